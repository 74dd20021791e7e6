# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: sequences.py HELPERS - one thread that is half the time in a restartable sequence (rseq), without the
GIL. Says whether the C library registers threads for that."""
import ctypes
import sys

import kit

helpers = ctypes.CDLL(sys.argv[1])
helpers.rmr_sequences.restype = ctypes.c_long

bad = 0
kit.ready(registered=helpers.rmr_sequences(ctypes.c_long(1)) >= 0)
while True:
    bad = helpers.rmr_sequences(ctypes.c_long(20))
    kit.check(bad <= 0, "sequences went on where they were cut off", bad)
    kit.tick()
