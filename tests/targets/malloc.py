# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: malloc.py [N] - N threads (1: the main thread alone) that do nothing but allocate and free
through the C library (blocks above pymalloc's 512 bytes), and check every block."""
import sys
import time

import kit

count = int(sys.argv[1]) if len(sys.argv) > 1 else 1


def hammer(seed):
    blocks, n = [None] * 64, seed
    while True:
        for _ in range(500):
            n = (n * 1103515245 + 12345) & 0x7fffffff
            slot, size = n % 64, 600 + (n >> 8) % 9000
            old = blocks[slot]
            if old is not None and (old[0] != slot or old[-1] != slot):
                kit.check(False, "block overwritten", slot, len(old))
            blocks[slot] = bytes([slot]) * size
        kit.tick()


for number in range(1, count):
    kit.start_thread(hammer, number)

kit.ready()
hammer(count)
