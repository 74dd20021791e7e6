# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: threads.py [N] - N threads (50), each blocked in another way, some with timeouts that are
checked, and the main thread asleep."""
import os
import sys
import threading
import time

import kit

count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
forever = threading.Lock()
forever.acquire()
event = threading.Event()
arrived = []


def timed(wait, seconds):
    start = time.monotonic()
    wait(seconds)
    kit.check(time.monotonic() - start >= seconds * 0.98, "short wait", wait.__name__)
    kit.tick()


def poll(wait, seconds):
    timed(wait, 0.001)  # what the first one allocates is there
    arrived.append(wait)
    while True:
        timed(wait, seconds)


def lock():
    arrived.append(lock)
    forever.acquire()


def lock_timeout():
    poll(lambda s: kit.check(not forever.acquire(timeout=s), "lock taken"), 0.4)


def sleep():
    poll(time.sleep, 0.3)


def wait_event():
    poll(event.wait, 0.5)


def read_pipe():
    pipe = os.pipe()
    arrived.append(read_pipe)
    os.read(pipe[0], 1)


kinds = [lock, lock_timeout, sleep, wait_event, read_pipe]
for number in range(count):
    # One in ten polls; the rest is blocked for good, so that the machine is left alone.
    kit.start_thread(kinds[number // 10 % 5] if number % 10 == 0 else
                     (lock, read_pipe)[number % 2])

# start() returns before the thread has, for one, opened its pipe.
while len(arrived) < count:
    time.sleep(0.001)
kit.ready()
while True:
    time.sleep(10)
