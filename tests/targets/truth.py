# SPDX-License-Identifier: GPL-3.0-or-later
"""A payload for `remora run`: what the interpreter itself says of every object that can be reached
from the samples and the app, a Python literal on one line each:
(address, type, module of the type, size, len or None, [referents])."""


def report():
    import gc
    import sys
    start = [sys.modules["samples"].SAMPLES, sys.modules["app"].CACHE, sys.modules["app"].PAIR,
             sys.modules["app"].CYCLE, sys.modules["app"].KEPT]
    stop = {id(sys.modules), id(sys.__dict__), id(sys), id(report.__globals__), id(start)}
    own_frame = sys._getframe()
    stop.add(id(own_frame))
    sized = (list, tuple, dict, set, frozenset, str, bytes, bytearray)
    seen, todo = {}, list(start)
    while todo:
        item = todo.pop()
        if id(item) in seen or id(item) in stop:
            continue
        referents = gc.get_referents(item)
        seen[id(item)] = (item, [id(r) for r in referents])
        todo.extend(referents)
    for address, (item, referents) in seen.items():
        kind = type(item)
        try:
            size = sys.getsizeof(item)
        except Exception:  # a proxy whose referent is gone, a type with a broken __sizeof__
            size = None
        length = len(item) if kind in sized else None
        print(repr((address, kind.__name__, kind.__module__, size, length, referents)))


report()
