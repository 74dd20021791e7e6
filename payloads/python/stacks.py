"""Prints the Python stack of every thread, innermost frame last."""
# SPDX-License-Identifier: 0BSD
import _thread
import sys


def source_line(path, number, cache={}):
    if path not in cache:
        try:
            with open(path, "rb") as file:
                cache[path] = file.read().decode("utf-8", "replace").split("\n")
        except (OSError, ValueError):
            cache[path] = []
    lines = cache[path]
    return lines[number - 1].strip() if number and 0 < number <= len(lines) else ""


threading = sys.modules.get("threading")
names = {}
if threading is not None:
    names = {ident: thread.name for ident, thread in list(threading._active.items())}
for ident, frame in sorted(sys._current_frames().items()):
    if ident == _thread.get_ident():
        continue
    print("Thread %#x (%s)" % (ident, names.get(ident, "not started by Python")))
    stack = []
    while frame is not None:
        stack.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    for path, number, function in reversed(stack):
        print('  File "%s", line %s, in %s' % (path, number, function))
        text = source_line(path, number)
        if text:
            print("    " + text)
    print()
