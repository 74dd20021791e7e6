# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: shapes.py SHAPE N [--hb FILE] - a heap of N objects of one extreme shape, then idle.

  chain    a linked list of N nodes; the address is that of its last one
  star     one list that N tuples refer to, each of them alone; the address is that of the list
  strings  N strings of all widths in one list
  arrays   N/8 small numpy arrays, views, scalars and records, and 64 MB in a few large arrays
  threads  N threads with frames eight deep, all of them blocked
READY tells the address of the object to ask about.
"""
import gc
import sys
import time

import heart
import kit


class Node:
    __slots__ = ("next", "text")


def chain(wanted):
    first = last = Node()
    for number in range(wanted):
        node = Node()
        last.next = node
        last = node
    return first, last


def star(wanted):
    hub = []
    return [(hub,) for _ in range(wanted)], hub


def strings(wanted):
    made = []
    for number in range(wanted):
        made.append("%s %d" % (("plain", "caf\u00e9", "\u2126hm", "\U0001f40d snake")[number % 4], number))
    return made, made[wanted // 2]


def arrays(wanted):
    import numpy
    record = numpy.dtype([("at", "f8"), ("count", "i4"), ("name", "U8")])
    made = [numpy.zeros(2 << 20) for _ in range(4)]
    for number in range(wanted // 8):
        array = numpy.arange(number % 50)
        made.append((array, array[1:], numpy.float64(number), numpy.zeros(2, record)))
        if number % 100 == 0:
            made.append(numpy.array([made[-1], "object", number], dtype=object))
    return made, made[-1]


def threads(wanted):
    import threading
    threading.stack_size(256 * 1024)
    shut, count, held = threading.Lock(), [0], []
    shut.acquire()

    def dive(depth, number):
        words = ["thread %d at %d" % (number, depth)]
        if depth:
            return dive(depth - 1, number)
        held.append(words)
        shut.acquire()

    for number in range(wanted):
        kit.start_thread(dive, 8, number)
    while len(held) < wanted:
        time.sleep(0.01)
    return (shut, count, held), held


gc.disable()
HELD, ASKED = {"chain": chain, "star": star, "strings": strings, "arrays": arrays,
               "threads": threads}[sys.argv[1]](int(float(sys.argv[2])))
gc.enable()
heart.start()
kit.ready(objects=int(float(sys.argv[2])), address=id(ASKED))
while True:
    time.sleep(10)
