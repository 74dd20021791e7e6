# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: hanging.py FOLDER FILE COMMAND... - runs COMMAND where FOLDER, a file system of our own (FUSE, in
a mount namespace of its own), holds a copy of FILE under the name "file". The file system answers until
its server, whose PID is written to FOLDER.pid, gets SIGUSR2: from then on, until the next, it hangs, as one on the
network may; or SIGUSR1: it takes requests and answers none, and who waits for one cannot even be killed. It ends with
the command."""
import ctypes
import os
import select
import signal
import struct
import sys

CLONE_NEWNS, MS_PRIVATE, MS_REC = 0x20000, 1 << 18, 1 << 14  # linux/sched.h, linux/mount.h
SYS_PIDFD_OPEN = 434  # asm/unistd_64.h
# linux/fuse.h
LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, INIT, INTERRUPT, BATCH_FORGET = 1, 2, 3, 14, 15, 18, 26, 36, 42
ENOENT, ENOSYS = 2, 38
KEEP_CACHE = 2
ROOT, FILE = 1, 2
libc = ctypes.CDLL(None, use_errno=True)


def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "cannot set up the file system")
    return result


def attributes(node, size):
    """struct fuse_attr"""
    mode = 0o40755 if node == ROOT else 0o100755
    return struct.pack("<6Q10I", node, size, size // 512 + 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(code, node, body, content):
    """The bytes of a reply, a negative errno, or None where there is to be no reply."""
    for_ever = 1 << 30
    if code == INIT:
        return struct.pack("<4I2H2I2H8I", 7, 31, 65536, 0, 16, 8, 65536, 1, 0, 0, *[0] * 8)
    if code == LOOKUP:
        if body.rstrip(b"\0") != b"file":
            return -ENOENT
        return struct.pack("<4Q2I", FILE, 0, for_ever, for_ever, 0, 0) + attributes(FILE, len(content))
    if code == GETATTR:
        return struct.pack("<Q2I", for_ever, 0, 0) + attributes(node, len(content))
    if code == OPEN:
        return struct.pack("<Q2I", 0, KEEP_CACHE, 0)
    if code == READ:
        _, offset, size = struct.unpack_from("<QQI", body)
        return content[offset:offset + size]
    if code == RELEASE:
        return b""
    return None if code in (FORGET, BATCH_FORGET, INTERRUPT) else -ENOSYS


def serve(device, client, content):
    hung, silent = [], []
    signal.signal(signal.SIGUSR2, lambda *_: hung.clear() if hung else hung.append(1))
    signal.signal(signal.SIGUSR1, lambda *_: silent.append(1))
    while True:
        ready = select.select([client] if hung else [client, device], [], [], 0.05)[0]
        if client in ready:
            os._exit(0)
        if hung or not ready:
            continue
        request = os.read(device, 1 << 17)
        _, code, unique, node = struct.unpack_from("<IIQQ", request)
        if silent:
            continue
        reply = answer(code, node, request[40:], content)
        if reply is not None:
            data = b"" if isinstance(reply, int) else reply
            error = reply if isinstance(reply, int) else 0
            os.write(device, struct.pack("<IiQ", 16 + len(data), error, unique) + data)


def main():
    folder, file, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(file, "rb") as source:
        content = source.read()
    call(libc.unshare(CLONE_NEWNS))
    call(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    device = os.open("/dev/fuse", os.O_RDWR)
    options = "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % device
    call(libc.mount(b"remora", folder.encode(), b"fuse", 0, options.encode()))
    client = call(libc.syscall(SYS_PIDFD_OPEN, os.getpid(), 0))
    child = os.fork()
    if child == 0:
        # Nobody's child: the command is not to see it.
        server = os.fork()
        if server:
            with open(folder + ".pid", "w") as file:
                file.write(str(server))
        else:
            os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
            serve(device, client, content)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(device)
    os.execvp(command[0], command)


main()
