# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: busy_c.py HELPERS MS [free] - a C function of that file that holds the GIL for MS milliseconds at a
time (0: for ever, after READY); free: that lets it go."""
import ctypes
import sys

import kit

helpers = (ctypes.CDLL if "free" in sys.argv[3:] else ctypes.PyDLL)(sys.argv[1])
milliseconds = int(sys.argv[2])

kit.ready()
while True:
    helpers.rmr_spin(ctypes.c_long(milliseconds))
    kit.tick()
