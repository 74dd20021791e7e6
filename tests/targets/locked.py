# SPDX-License-Identifier: GPL-3.0-or-later
"""Every thread waits for a lock: two for ever in a Lock and a Queue, the main one in an Event, a little
at a time."""
import queue
import threading

import kit

lock = threading.Lock()
lock.acquire()
threading.Thread(target=lock.acquire, daemon=True).start()
threading.Thread(target=queue.Queue().get, daemon=True).start()
event = threading.Event()

kit.ready()
while True:
    event.wait(0.2)
    kit.tick()
