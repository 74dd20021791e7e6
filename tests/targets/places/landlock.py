# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: landlock.py COMMAND [ARG...] - becomes that command in a Landlock domain of its own, which
may make no symbolic link and, as in every such domain, trace nothing outside of it.
Status 77 where the kernel has no Landlock."""
import ctypes
import os
import struct
import sys

CREATE_RULESET, RESTRICT_SELF = 444, 446  # asm/unistd_64.h
ACCESS_FS_MAKE_SYM = 1 << 12  # linux/landlock.h: handled, and so forbidden

libc = ctypes.CDLL(None, use_errno=True)
ruleset = libc.syscall(CREATE_RULESET, struct.pack("Q", ACCESS_FS_MAKE_SYM), 8, 0)
if ruleset < 0:
    sys.exit(77)
if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(RESTRICT_SELF, ruleset, 0):  # 38: PR_SET_NO_NEW_PRIVS
    raise OSError(ctypes.get_errno(), "landlock_restrict_self")
os.execvp(sys.argv[1], sys.argv[1:])
