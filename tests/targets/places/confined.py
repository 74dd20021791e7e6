# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: confined.py WHAT [ARG...] - asleep for ever, after confining itself:

  seccomp kill|errno|enosys CALL...  a filter on these system calls of x86_64, by name or number;
                                     mmap+x: only where it asks for executable memory
  services                           two filters, much as those of Docker and of systemd's
                                     MemoryDenyWriteExecute and RestrictNamespaces
  mdwe                               PR_SET_MDWE: memory never becomes executable
  nproc | nofile | as ROOM           room for that many more threads, descriptors, or MB of memory
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
         "close_range": 436, "openat": 257, "sched_getaffinity": 204, "prctl": 157,
         "waitid": 247}  # asm/unistd_64.h
PROT_EXEC = 4
ALLOW, ERRNO, KILL = 0x7fff0000, 0x00050000, 0x80000000  # linux/seccomp.h
LOAD, AND, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x54, 0x15, 0x45, 0x06  # linux/bpf_common.h
JUMP_GREATER_EQUAL = 0x35
NUMBER, ARCH, ARGS = 0, 4, 16  # struct seccomp_data


def prctl(*args):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(*[ctypes.c_ulong(n) for n in args + (0,) * (5 - len(args))]) != 0:
        raise OSError(ctypes.get_errno(), "prctl%r" % (args,))


def seccomp(action, *names):
    verdict = {"kill": KILL, "errno": ERRNO | 1, "enosys": ERRNO | 38}[action]
    code = [(LOAD, 0, 0, NUMBER)]
    for name in names:
        name, _, executable = name.partition("+")
        code.append((JUMP_EQUAL, 0, 4 if executable else 1, CALLS.get(name) or int(name)))
        if executable:
            code += [(LOAD, 0, 0, ARGS + 2 * 8), (JUMP_SET, 0, 1, PROT_EXEC)]
        code.append((RETURN, 0, 0, verdict))
        if executable:
            code.append((LOAD, 0, 0, NUMBER))
    code.append((RETURN, 0, 0, ALLOW))
    install(code)


def install(code):
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(filters)))
    prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    prctl(22, 2, ctypes.addressof(program))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def services():
    eperm, enosys = ERRNO | 1, ERRNO | 38
    code = [(LOAD, 0, 0, ARCH), (JUMP_EQUAL, 1, 0, 0xc000003e), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER),
            (JUMP_GREATER_EQUAL, 0, 1, 0x40000000), (RETURN, 0, 0, enosys)]
    # mount, umount2, keyctl, unshare, setns, bpf, perf_event_open, userfaultfd, ptrace
    for number in (165, 166, 250, 272, 308, 321, 298, 323, 101):
        code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, eperm)]
    code += [(JUMP_EQUAL, 0, 1, CALLS["clone3"]), (RETURN, 0, 0, enosys),
             (JUMP_EQUAL, 0, 4, CALLS["clone"]), (LOAD, 0, 0, ARGS), (AND, 0, 0, 0x7e020000),
             (JUMP_EQUAL, 1, 0, 0), (RETURN, 0, 0, eperm), (RETURN, 0, 0, ALLOW)]
    install(code)
    code = [(LOAD, 0, 0, NUMBER)]
    for name, mask in (("mmap", 2 | PROT_EXEC), ("mprotect", PROT_EXEC)):
        code += [(JUMP_EQUAL, 0, 5, CALLS[name]), (LOAD, 0, 0, ARGS + 2 * 8), (AND, 0, 0, mask),
                 (JUMP_EQUAL, 0, 1, mask), (RETURN, 0, 0, eperm), (RETURN, 0, 0, ALLOW)]
    install(code + [(RETURN, 0, 0, ALLOW)])


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
    elif what == "services":
        services()
    elif what == "mdwe":
        prctl(65, 1)  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
    elif what == "nproc":
        limit(resource.RLIMIT_NPROC, 1 + int(args[0]))
    elif what == "as":
        limit(resource.RLIMIT_AS, (status_kb("VmSize") << 10) + (int(args[0]) << 20))
    elif what == "nofile":
        limit(resource.RLIMIT_NOFILE, 3 + int(args[0]))
    elif what == "closed":
        close_streams()
    else:
        raise SystemExit(__doc__)


confine(*sys.argv[1:])
kit.ready()
while True:
    time.sleep(10)
