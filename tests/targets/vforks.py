# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: vforks.py HELPERS - one thread that makes children by vfork in C, without the GIL."""
import ctypes
import sys

import kit

helpers = ctypes.CDLL(sys.argv[1])
helpers.rmr_vforks.restype = ctypes.c_long

bad = 0
kit.ready(childless=False)
while True:
    bad = helpers.rmr_vforks(ctypes.c_long(20))
    kit.check(bad == 0, "children ended otherwise", bad)
    kit.tick()
