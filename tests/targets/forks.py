# SPDX-License-Identifier: GPL-3.0-or-later
"""A loop of fork. Each child imports a module that the parent does not have, allocates, computes and
exits with a status that the parent checks; so does a pipe to the parent."""
import os
import sys

import kit


def child(number, pipe):
    import colorsys
    import textwrap
    text = textwrap.fill("word " * 200, 40)
    value = int(colorsys.rgb_to_hls(0.5, 0.25, 0.75)[1] * 100)
    os.write(pipe, str(len(text) + value + number).encode())
    os._exit(number % 100 + 1)


def fork_once(number):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(number, writer)
        finally:
            os._exit(101)
    os.close(writer)
    answer = os.read(reader, 100)
    os.close(reader)
    got, status = os.waitpid(pid, 0)
    kit.check(got == pid and status == (number % 100 + 1) << 8, "child ended with", status)
    kit.check(answer == str(999 + 50 + number).encode(), "child said", answer)
    kit.tick()


turn = 0
sys.stdout.flush()
kit.ready(childless=False)
while True:
    turn += 1
    fork_once(turn)
