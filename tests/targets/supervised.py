# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: supervised.py - a thread whose calls of mount() another one answers, by a seccomp filter
(SECCOMP_RET_USER_NOTIF), each once: a supervisor that is asked twice does twice what it is asked for."""
import ctypes
import fcntl
import struct
import threading
import time

import kit

SYS_MOUNT, SYS_SECCOMP = 165, 317  # asm/unistd_64.h
SET_MODE_FILTER, NEW_LISTENER = 1, 8  # linux/seccomp.h, as all below
USER_NOTIF, ALLOW = 0x7fc00000, 0x7fff0000
RECV, SEND = 0xc0502100, 0xc0182101
NO_NEW_PRIVS = 38  # linux/prctl.h
libc = ctypes.CDLL(None, use_errno=True)
listener = []
asked = []
filtered = threading.Event()


def supervise():
    filtered.wait()
    while True:
        request = bytearray(80)
        try:
            fcntl.ioctl(listener[0], RECV, request)
            asked.append(1)
            time.sleep(0.1)
            fcntl.ioctl(listener[0], SEND, struct.pack("<QqiI", struct.unpack_from("<Q", request)[0], 7, 0, 0))
        except OSError as error:
            kit.check(False, str(error))


def ask():
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in (
        (0x20, 0, 0, 0), (0x15, 0, 1, SYS_MOUNT), (6, 0, 0, USER_NOTIF), (6, 0, 0, ALLOW))))
    program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", 4, ctypes.addressof(code)))
    libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    listener.append(libc.syscall(SYS_SECCOMP, SET_MODE_FILTER, NEW_LISTENER, program))
    kit.check(listener[0] >= 0, ctypes.get_errno())
    filtered.set()
    while True:
        before = len(asked)
        result = libc.syscall(SYS_MOUNT, 0, 0, 0, 0, 0)
        kit.check((result, len(asked) - before) == (7, 1), result, len(asked) - before)
        kit.tick()


for function in supervise, ask:
    threading.Thread(target=function, daemon=True).start()
filtered.wait()
kit.ready()
while True:
    time.sleep(10)
