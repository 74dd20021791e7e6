# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: signals_c.py HELPERS - a timer signal 1,000 times a second, handled in C, which interrupts sleeps
that are checked."""
import ctypes
import sys

import kit

helpers = ctypes.CDLL(sys.argv[1])
helpers.rmr_alarms.restype = ctypes.c_long

helpers.rmr_alarms(ctypes.c_long(2))
bad = 0
kit.ready()
while True:
    bad = helpers.rmr_alarms(ctypes.c_long(20))
    kit.check(bad == 0, "wrong sleeps or lost signals", bad)
    kit.tick()
