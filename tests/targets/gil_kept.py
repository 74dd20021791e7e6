# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: gil_kept.py HELPERS - a C function that keeps the GIL until SIGUSR2 comes, again and again."""
import ctypes
import signal
import sys

import kit

helpers = ctypes.PyDLL(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

kit.ready()
while True:
    helpers.rmr_spin_until(ctypes.c_long(signal.SIGUSR2))
    kit.tick()
