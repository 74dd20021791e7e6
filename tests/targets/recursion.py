# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: recursion.py DEPTH [EVERY] - DEPTH nested Python calls, every tenth (0: none) through a C
function, and asleep at the bottom."""
import sys
import threading
import time

import kit

depth = int(sys.argv[1])
every = int(sys.argv[2]) if len(sys.argv) > 2 else 10
sys.setrecursionlimit(depth * 3 + 1000)


def descend(level):
    if level == 0:
        bottom.release()
        while True:
            time.sleep(0.05)
            kit.tick()
    if every and level % every == 0:
        try:
            return list(map(descend, (level - 1,)))
        except RecursionError:
            pass  # 3.13's debug build allows 500 calls through C: the others without
    return descend(level - 1)


bottom = threading.Lock()
bottom.acquire()
threading.stack_size(512 << 20)
kit.start_thread(descend, depth)
bottom.acquire()

kit.ready()
while True:
    time.sleep(10)
