# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: undumpable.py [UID] - asleep, with PR_SET_DUMPABLE 0; first becomes user UID."""
import ctypes
import os
import sys
import time

import kit

if len(sys.argv) > 1:
    os.setgid(int(sys.argv[1]))
    os.setuid(int(sys.argv[1]))
PR_SET_DUMPABLE = 4
ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
kit.ready()
while True:
    time.sleep(10)
