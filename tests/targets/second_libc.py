# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: second_libc.py busy|asleep - dlmopen() has loaded a second C library, which the program does not
use."""
import ctypes
import sys
import time

import kit

load = ctypes.CDLL(None).dlmopen
load.restype = ctypes.c_void_p
NEW_LIST, NOW = -1, 2  # LM_ID_NEWLM, RTLD_NOW
if not load(ctypes.c_long(NEW_LIST), b"libm.so.6", NOW):
    sys.exit("dlmopen failed")

kit.ready()
while True:
    if sys.argv[1] == "busy":
        sum(range(1000))
    else:
        time.sleep(0.01)
    kit.tick()
