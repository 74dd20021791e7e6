# SPDX-License-Identifier: GPL-3.0-or-later
"""Sleeps, and counts signals in handlers that write to sys.stdout. Its collector works at SIGWINCH only,
which tells how much garbage there was, and how many signals so far. From SIGHUP on SIGTERM ends it."""
import gc
import os
import signal
import sys
import threading  # a payload's threading.current_thread() leaves its mark there
import time

import kit

seen = []  # one handler may run within another: appending cannot be torn


def on_signal(signum, frame):
    # While remora is in, this may be its stream: on this thread it must do as the old one.
    kit.check(sys.stdout.write("x") == 1 and not sys.stdout.closed, "stdout", signum)
    if signum != signal.SIGALRM:  # payloads set the alarm
        seen.append(signum)


def on_resize(signum, frame):
    kit.say("GARBAGE", (gc.collect(), len(gc.get_objects()), len(seen)))


def on_hangup(signum, frame):
    signal.signal(signal.SIGTERM, on_term)
    sys.stdout.close()
    kit.say("ENDS", threading.active_count())


on_term, kit.on_term = kit.on_term, on_signal
kit.have_had_a_thread()
sys.stdout = open(os.devnull, "w")
for number in (signal.SIGINT, signal.SIGUSR2, signal.SIGALRM):
    signal.signal(number, on_signal)
signal.signal(signal.SIGWINCH, on_resize)
signal.signal(signal.SIGHUP, on_hangup)
gc.collect()
gc.disable()
kit.ready()
while True:
    time.sleep(10)
