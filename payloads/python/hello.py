"""Prints a greeting from inside the process: does attaching work?"""
# SPDX-License-Identifier: 0BSD
import sys

print("Hello from Python %s, PID %d" % (sys.version.split()[0], __import__("os").getpid()))
