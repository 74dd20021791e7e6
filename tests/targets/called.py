# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: called.py [sleep|lock|accept|pause [THREADS]] - a main thread, in that call for ever, that says CALLED
whenever a SIGHUP wakes it; so many others compute, in C code, too."""
import signal
import socket
import sys
import _thread
import time

import kit


def on_call(number, frame):
    kit.say("CALLED", True)


signal.signal(signal.SIGHUP, on_call)
lock = _thread.allocate_lock()
lock.acquire()
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(1)
wait = {"sleep": lambda: time.sleep(3600), "lock": lock.acquire, "accept": server.accept,
        "pause": signal.pause}[(sys.argv + ["sleep"])[1]]
begun = []


def compute():
    import zlib
    data = bytes(1 << 20)
    begun.append(zlib.crc32(data))
    while True:
        zlib.crc32(data)


count = int(sys.argv[2]) if len(sys.argv) > 2 else 0
for _ in range(count):
    _thread.start_new_thread(compute, ())
# It returns before the thread has begun, with all signals blocked until then.
while len(begun) < count:
    time.sleep(0.001)
kit.ready()
while True:
    wait()
