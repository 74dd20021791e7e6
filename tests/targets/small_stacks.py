# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads with stacks of 64 KB: some blocked, some busy, some that come and go."""
import threading
import time

import kit

kit.small_stacks()
forever = threading.Lock()
forever.acquire()


def busy():
    while True:
        kit.check(sum([n * n for n in range(300)]) == 8955050, "sum")
        kit.tick()
        time.sleep(0.001)


def short():
    time.sleep(0.002)


def come_and_go():
    while True:
        thread = kit.start_thread(short)
        thread.join()
        kit.tick()


for _ in range(6):
    kit.start_thread(forever.acquire)
for _ in range(2):
    kit.start_thread(busy)
kit.start_thread(come_and_go)

kit.ready()
while True:
    time.sleep(10)
