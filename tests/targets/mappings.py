# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: mappings.py LEFT - has all mappings but LEFT that a process may have."""
import mmap
import sys
import time

import kit

held = []
try:
    while True:
        held.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | (mmap.PROT_WRITE if len(held) % 2 else 0)))
except OSError:
    pass
for _ in range(int(sys.argv[1]) + 64):
    held.pop().close()
kit.ready()
left = int(open("/proc/sys/vm/max_map_count").read()) - len(open("/proc/self/maps").readlines())
while left > int(sys.argv[1]):
    held.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | (mmap.PROT_WRITE if len(held) % 2 else 0)))
    left -= 1
while True:
    time.sleep(0.01)
    kit.tick()
