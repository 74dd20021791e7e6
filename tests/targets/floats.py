# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: floats.py HELPERS - vector, x87, control and general registers, full of known values and
checked by C code without the GIL (one thread), and sums of floats in Python (the main thread)."""
import ctypes
import math
import sys
import time

import kit

helpers = ctypes.CDLL(sys.argv[1])
helpers.rmr_registers_check.restype = ctypes.c_long


def registers():
    while True:
        bad = helpers.rmr_registers_check(ctypes.c_long(20))
        kit.check(bad == 0, "registers changed", bad)
        kit.tick()


def sums():
    return sum(math.sin(n) * math.sqrt(n) for n in range(500))


expected = sums()
kit.start_thread(registers)
kit.ready()
while True:
    kit.check(sums() == expected, "sum of floats")
    kit.tick()
    time.sleep(0.005)
