# SPDX-License-Identifier: GPL-3.0-or-later
"""A timer signal 1,000 times a second, handled in Python, around sleeps and sums that are checked."""
import signal
import time

import kit

alarms = [0]


def on_alarm(signum, frame):
    alarms[0] += 1


before = start = 0
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
kit.ready()
try:
    while True:
        before, start = alarms[0], time.monotonic()
        time.sleep(0.02)
        kit.check(time.monotonic() - start >= 0.0198, "short sleep")
        kit.check(sum(range(5000)) == 12497500, "sum")
        kit.check(alarms[0] > before, "signals lost")
        kit.tick()
finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
