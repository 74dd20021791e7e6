# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: confined.py WHAT [ARG...] - asleep for ever, after confining itself:

  seccomp kill|errno|enosys CALL...  a filter on these system calls of x86_64; mmap+x, mprotect+x:
                                     only where they ask for executable memory
  mdwe                               PR_SET_MDWE: memory never becomes executable
  nproc | as                         no more processes and threads, or memory, than it has
  nofile                             no free descriptor
  closed                             descriptors 0 to 2 closed; it then speaks on 9
"""
import ctypes
import os
import resource
import struct
import sys
import time

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import kit  # noqa: E402

CALLS = {"mmap": 9, "mprotect": 10, "madvise": 28, "munmap": 11, "ppoll": 271, "socketpair": 53, "clone": 56,
         "clone3": 435, "sendto": 44, "sendmsg": 46, "recvfrom": 45, "recvmsg": 47, "gettid": 186,
         "rt_sigprocmask": 14, "ptrace": 101, "set_robust_list": 273, "rseq": 334, "futex": 202,
         "close_range": 436, "prctl": 157, "waitid": 247}  # asm/unistd_64.h
PROT_EXEC = 4
ALLOW, ERRNO, KILL = 0x7fff0000, 0x00050000, 0x80000000  # linux/seccomp.h
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06  # linux/bpf_common.h


def prctl(*args):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(*[ctypes.c_ulong(n) for n in args + (0,) * (5 - len(args))]) != 0:
        raise OSError(ctypes.get_errno(), "prctl%r" % (args,))


def seccomp(action, *names):
    verdict = {"kill": KILL, "errno": ERRNO | 1, "enosys": ERRNO | 38}[action]
    code = [(LOAD, 0, 0, 0)]  # seccomp_data.nr
    for name in names:
        name, _, executable = name.partition("+")
        code.append((JUMP_EQUAL, 0, 4 if executable else 1, CALLS[name]))
        if executable:
            code += [(LOAD, 0, 0, 32), (JUMP_SET, 0, 1, PROT_EXEC)]  # args[2]
        code.append((RETURN, 0, 0, verdict))
        if executable:
            code.append((LOAD, 0, 0, 0))
    code.append((RETURN, 0, 0, ALLOW))
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(filters)))
    prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    prctl(22, 2, ctypes.addressof(program))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def limit(which, value):
    resource.setrlimit(which, (value, value))


def status_kb(name):
    with open("/proc/self/status") as file:
        return int(file.read().split(name + ":")[1].split()[0])


def close_streams():
    os.dup2(1, 9)
    for fd in range(3):
        os.close(fd)
    write = os.write
    kit.os = type(sys)("os")
    kit.os.__dict__.update(os.__dict__, write=lambda fd, data: write(9, data))


def confine(what, *args):
    if what == "seccomp":
        seccomp(*args)
    elif what == "mdwe":
        prctl(65, 1)  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
    elif what == "nproc":
        limit(resource.RLIMIT_NPROC, 1)
    elif what == "as":
        limit(resource.RLIMIT_AS, (status_kb("VmSize") + 1024) << 10)
    elif what == "nofile":
        limit(resource.RLIMIT_NOFILE, 3)
    elif what == "closed":
        close_streams()
    else:
        raise SystemExit(__doc__)


confine(*sys.argv[1:])
kit.ready()
while True:
    time.sleep(3600)
