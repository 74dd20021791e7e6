# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that has hooked the interpreter it runs on, in the way that the argument names. SIGUSR2
asks how fast it is: the processor time of the fastest of many short loops."""
import gc
import os
import signal
import sys
import time

import kit


def trace(frame, event, argument):
    return trace


def trace_all():
    sys.settrace(trace)


def profile_all():
    sys.setprofile(trace)


def monitor():
    monitoring = getattr(sys, "monitoring", None)  # 3.12 and later
    if not monitoring:
        return trace_all()
    events = monitoring.events
    monitoring.use_tool_id(3, "hooks")
    for event in (events.PY_START, events.LINE, events.PY_RETURN, events.CALL):
        monitoring.register_callback(3, event, lambda code, *rest: None)
    monitoring.set_events(3, events.PY_START | events.LINE | events.PY_RETURN | events.CALL)


def audit_by(refused):
    """Events that refused() is true for raise, in all threads but this one."""
    if not hasattr(sys, "addaudithook"):  # before 3.8
        return
    import _thread
    main = _thread.get_ident()

    def hook(event, arguments):
        if _thread.get_ident() != main and refused(event):
            raise RuntimeError("audit refuses " + event)
    sys.addaudithook(hook)


def collect_always():
    gc.callbacks.append(lambda phase, info: [[] for _ in range(5)])
    gc.set_threshold(1, 1, 1)


def no_streams():
    sys.stdin = sys.stdout = sys.stderr = None


MODES = {
    "plain": lambda: None,
    "trace": trace_all,
    "profile": profile_all,
    "monitor": monitor,
    "audit_exec": lambda: audit_by(lambda event: event == "exec"),
    "audit_all": lambda: audit_by(lambda event: True),
    "collect_always": collect_always,
    "no_streams": no_streams,
    "frozen": lambda: gc.freeze() if hasattr(gc, "freeze") else None,
    "recursion": lambda: sys.setrecursionlimit(70),
    "switch": lambda: sys.setswitchinterval(1000),
}


def work():
    return 1


def on_speed(signum, frame):
    best = 1e9
    for _ in range(40):
        start = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
        for _ in range(20000):
            work()
        best = min(best, time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) - start)
    kit.say("SPEED", best)


signal.signal(signal.SIGUSR2, on_speed)
MODES[sys.argv[1]]()
kit.ready()
while True:
    time.sleep(0.02)
    kit.tick()
