# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: malloc_c.py HELPERS N - N threads (1: the main thread alone) in C code that does nothing but
allocate and free, without the GIL. They take the arena's lock: the process has had another thread."""
import ctypes
import sys

import kit

helpers = ctypes.CDLL(sys.argv[1])
helpers.rmr_hammer_malloc.restype = ctypes.c_long


def hammer():
    while True:
        bad = helpers.rmr_hammer_malloc(ctypes.c_long(20))
        kit.check(bad == 0, "blocks overwritten", bad)
        kit.tick()


kit.have_had_a_thread()
for _ in range(int(sys.argv[2]) - 1):
    kit.start_thread(hammer)
kit.ready()
hammer()
