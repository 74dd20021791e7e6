# SPDX-License-Identifier: GPL-3.0-or-later
"""Greenlets that talk over sockets and sleep, and check what they get and when."""
from gevent import monkey
monkey.patch_all()

import os  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import kit  # noqa: E402


def echo(end):
    while True:
        end.sendall(end.recv(100))


def ask(end, number):
    while True:
        text = b"%d %d" % (number, kit.progress["ticks"])
        end.sendall(text)
        kit.check(end.recv(100) == text, "echo", number)
        start = time.monotonic()
        gevent.sleep(0.002)
        kit.check(time.monotonic() - start >= 0.0019, "a short sleep")
        kit.tick()


for n in range(20):
    one, other = socket.socketpair()
    gevent.spawn(echo, one)
    gevent.spawn(ask, other, n)
kit.ready()
while True:
    gevent.sleep(3600)
