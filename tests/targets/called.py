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
def compute():
    import zlib
    data = bytes(1 << 20)
    while True:
        zlib.crc32(data)


for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 0):
    _thread.start_new_thread(compute, ())
kit.ready()
while True:
    wait()
