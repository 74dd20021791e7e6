# SPDX-License-Identifier: GPL-3.0-or-later
"""One thread that never leaves the bytecode loop, and checks its own sums."""
import kit


def round_of_work():
    value, total = 12345, 0
    for _ in range(2000):
        value = (value * 1103515245 + 12345) & 0x7fffffff
        total ^= value
    return value, total


EXPECTED = round_of_work()

kit.ready()
while True:
    kit.check(round_of_work() == EXPECTED, "sum")
    kit.tick()
