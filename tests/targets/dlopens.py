# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: dlopens.py HELPERS - one thread that loads and unloads a shared object for ever."""
import sys

import _ctypes

import kit

handle = None
kit.ready()
while True:
    handle = _ctypes.dlopen(sys.argv[1], 2)
    kit.check(_ctypes.dlsym(handle, "rmr_spin") != 0, "symbol")
    _ctypes.dlclose(handle)
    kit.tick()
