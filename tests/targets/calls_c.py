# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: calls_c.py HELPERS - one thread that makes one timed system call after the other in C and checks
what each returns and when. Python would hide an EINTR (PEP 475); this does not."""
import ctypes
import signal
import sys

import kit

CALLS, EINTRS, WRONG, SHORT, LATE, ERRNO, WORST = range(1, 8)
helpers = ctypes.CDLL(sys.argv[1])
counters = (ctypes.c_long * 16)()

# What the target itself is sent must not interrupt a call: it is taken in between.
handlers = {signal.SIGUSR1: kit.on_report, signal.SIGTERM: kit.on_term}
signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
number = None
helpers.rmr_timed_round(counters)
kit.ready(childless=False)
while True:
    helpers.rmr_timed_round(counters)
    kit.check(counters[EINTRS] == counters[WRONG] == counters[SHORT] == 0, list(counters))
    kit.tick()
    for number in signal.sigpending():
        handlers[signal.sigwait([number])](number, None)
