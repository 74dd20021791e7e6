# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: forks.py [N [MB [quick]]] - N threads (1: the main thread alone) in a loop of fork, with MB megabytes
touched, so that a fork takes its time. Each child imports a module that the parent does not have,
allocates, computes and exits with a status that the parent checks; so does a pipe to the parent.
quick: it exits at once, so that the parent does hardly anything but fork, which holds locks of the C
library: the process has had another thread."""
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


def fork_quickly(number):
    pid = os.fork()
    if pid == 0:
        os._exit(number % 100 + 1)
    got, status = os.waitpid(pid, 0)
    kit.check(got == pid and status == (number % 100 + 1) << 8, "child ended with", status)
    kit.tick()


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


def forever():
    turn = 0
    while True:
        turn += 1
        work(turn)


# Where Python notes that it has warned of a fork in a process with threads (3.12 and later).
__warningregistry__ = {}
sys.stdout.flush()
work = fork_once
if "quick" in sys.argv:
    kit.have_had_a_thread()
    work = fork_quickly
ballast = b"x" * ((int(sys.argv[2]) if len(sys.argv) > 2 else 0) << 20)
for _ in range(int(sys.argv[1]) - 1 if len(sys.argv) > 1 else 0):
    kit.start_thread(forever)
kit.ready(childless=False)
forever()
