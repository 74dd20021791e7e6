# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: busy_c.py HELPERS MS - a C function that holds the GIL for MS milliseconds at a time (0: for
ever, after READY)."""
import ctypes
import sys

import kit

helpers = ctypes.PyDLL(sys.argv[1])
milliseconds = int(sys.argv[2])

kit.ready()
while True:
    helpers.rmr_spin(ctypes.c_long(milliseconds))
    kit.tick()
