# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that block in every way that Python knows, with a time limit or until something comes, and
check what they get and when; the main thread sleeps."""
import fcntl
import os
import select
import signal
import socket
import struct
import tempfile
import threading
import time

import kit

LIMIT = 0.05
forever = threading.Lock()
forever.acquire()
pair, limited, timer = socket.socketpair(), socket.socketpair(), os.pipe()
limited[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, int(LIMIT * 1e6)))
pair[0].settimeout(LIMIT)
epoll = select.epoll()
epoll.register(pair[0].fileno(), select.EPOLLIN)
poll = select.poll()
poll.register(pair[0].fileno(), select.POLLIN)
lock_file = tempfile.NamedTemporaryFile()
lock_files = [open(lock_file.name), open(lock_file.name)]


def raises(error, function, *args):
    try:
        function(*args)
    except error:
        return True
    return False


def by_flock():
    """Another thread gives the lock up after the time."""
    fcntl.flock(lock_files[0], fcntl.LOCK_EX)
    releaser = kit.start_thread(release)
    fcntl.flock(lock_files[1], fcntl.LOCK_EX)
    fcntl.flock(lock_files[1], fcntl.LOCK_UN)
    releaser.join()
    return True


def release():
    time.sleep(LIMIT)
    fcntl.flock(lock_files[0], fcntl.LOCK_UN)


def by_read():
    writer = kit.start_thread(lambda: (time.sleep(LIMIT), os.write(timer[1], b"x")))
    got = os.read(timer[0], 10)
    writer.join()
    return got == b"x"


calls = [
    lambda: poll.poll(LIMIT * 1000) == [],
    lambda: epoll.poll(LIMIT) == [],
    lambda: select.select([pair[0]], [], [], LIMIT) == ([], [], []),
    lambda: raises(socket.timeout, pair[0].recv, 1),
    lambda: raises(BlockingIOError, limited[0].recv, 1),
    lambda: signal.sigtimedwait([signal.SIGUSR2], LIMIT) is None,
    lambda: forever.acquire(timeout=LIMIT) is False,
    lambda: time.sleep(LIMIT) is None,
    lambda: threading.Event().wait(LIMIT) is False,
    by_read,
    by_flock,
]


def repeat(number):
    while True:
        start = time.monotonic()
        good = calls[number]()
        took = time.monotonic() - start
        kit.check(good, "result", number)
        kit.check(took >= LIMIT * 0.98, "short", number, took)
        kit.tick()


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
for index in range(len(calls)):
    kit.start_thread(repeat, index)
kit.ready()
while True:
    time.sleep(10)
