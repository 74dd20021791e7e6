# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: near_guard.py HELPERS LEFT - asleep, beside a thread of C code that waits with LEFT bytes of stack before
a guard of 64 KB."""
import ctypes
import sys
import time

import kit

helpers = ctypes.CDLL(sys.argv[1])
libc = ctypes.CDLL("libpthread.so.0" if sys.version_info < (3, 10) else None)
attributes = ctypes.create_string_buffer(256)
libc.pthread_attr_init(attributes)
libc.pthread_attr_setguardsize(attributes, ctypes.c_size_t(64 << 10))
libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(320 << 10))
place = (ctypes.c_ulong * 3)(0, int(sys.argv[2]), 0)
thread = ctypes.c_ulong()
if libc.pthread_create(ctypes.byref(thread), attributes, helpers.rmr_wait_at, place) != 0:
    raise OSError("no thread")
end, size = ctypes.c_ulong(), ctypes.c_size_t()
libc.pthread_getattr_np(thread, attributes)
libc.pthread_attr_getstack(attributes, ctypes.byref(end), ctypes.byref(size))
place[0] = end.value
# Until the C library has let a new thread begin, it has all signals blocked.
while not place[2]:
    time.sleep(0.001)
kit.ready()
while True:
    time.sleep(10)
