# SPDX-License-Identifier: GPL-3.0-or-later
"""A WSGI application. GET /state: what kit.state() knows, and the PID; /sleep: gives the GIL up for a
while; anything else: a greeting."""
import os
import sys
import time

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import kit  # noqa: E402


def answer(path):
    if path == "/state":
        return "%r" % dict(kit.state(), pid=os.getpid())
    if path == "/sleep":
        time.sleep(0.2)
    return "hello"


def application(environ, start_response):
    body = answer(environ["PATH_INFO"]).encode("ascii", "backslashreplace")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
