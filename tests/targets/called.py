# SPDX-License-Identifier: GPL-3.0-or-later
"""One thread, asleep for ever, that says CALLED whenever a SIGHUP wakes it."""
import signal
import time

import kit


def on_call(number, frame):
    kit.say("CALLED", True)


signal.signal(signal.SIGHUP, on_call)
kit.ready()
while True:
    time.sleep(3600)
