# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: timed_calls.py HELPERS CALL FD - the main thread stays in C for good, in a loop of one system
call, and counts results, errors and durations in the page behind descriptor FD. Python would hide
EINTR (PEP 475); this sees every one. Ends when the page says so."""
import ctypes
import mmap
import os
import sys

page = mmap.mmap(int(sys.argv[3]), 4096)
counters = (ctypes.c_long * 16).from_buffer(page)
helpers = ctypes.CDLL(sys.argv[1])
os.write(1, ("READY %r\n" % {"pid": os.getpid()}).encode())
helpers.rmr_timed_calls(sys.argv[2].encode(), counters)
