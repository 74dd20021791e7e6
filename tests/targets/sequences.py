# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: sequences.py HELPERS - one thread that is half the time in a restartable sequence (rseq), without the
GIL. Says whether the C library registers threads for that."""
import ctypes
import sys
import time

import kit

helpers = ctypes.CDLL(sys.argv[1])
helpers.rmr_sequences.restype = ctypes.c_long
libc = ctypes.CDLL(None)
try:
    offset = ctypes.c_long.in_dll(libc, "__rseq_offset")
    registered = ctypes.c_uint.in_dll(libc, "__rseq_size").value > 0
except ValueError:  # before glibc 2.35
    registered = False

bad = 0
kit.ready(registered=registered)
while not registered:
    time.sleep(10)
while True:
    bad = helpers.rmr_sequences(ctypes.c_long(20), offset)
    kit.check(bad == 0, "sequences went on where they were cut off", bad)
    kit.tick()
