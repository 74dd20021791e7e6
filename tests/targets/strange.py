# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: strange.py HELPERS FUNCTION [NUMBER] - calls the helper, which does not return, after READY."""
import ctypes
import sys

import kit

helpers = ctypes.CDLL(sys.argv[1])
function = getattr(helpers, sys.argv[2])
arguments = [ctypes.c_ulong(int(a)) for a in sys.argv[3:]]
kit.ready()
function(*arguments)
