# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: elsewhere.py HELPERS MS - computes in a C function of that file for MS milliseconds at a time, without
the GIL."""
import ctypes
import sys

import kit

helpers = ctypes.CDLL(sys.argv[1])
milliseconds = int(sys.argv[2])

kit.ready()
while True:
    helpers.rmr_spin(ctypes.c_long(milliseconds))
    kit.tick()
