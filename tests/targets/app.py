# SPDX-License-Identifier: GPL-3.0-or-later
"""A heap of known structure. known_heap.py imports it; the tests know every path in it."""


class Node:
    def __init__(self, label):
        self.label = label
        self.next = None


class Slotted:
    __slots__ = ("left", "right", "__weakref__")

    def __init__(self, left, right):
        self.left = left
        self.right = right


def closure_over(value):
    def inner():
        return value
    return inner


CACHE = {"k": [Node("zero"), Node("one"), Node("two"), Node("three")], ("t", 1): "by tuple", 7: "by int"}
CACHE["k"][3].next = Node("next")
CACHE["k"][3].next.next = Node("next but one")

PAIR = Slotted(Node("left"), ("in a tuple", Node("in the tuple")))
KEPT = closure_over(Node("in a cell"))
CYCLE = Node("cycle")
CYCLE.next = Node("back")
CYCLE.next.next = CYCLE


def addresses():
    """Path as Python would write it -> address of the object there."""
    return {
        "sys.modules['app'].CACHE['k'][3].next": id(CACHE["k"][3].next),
        "sys.modules['app'].CACHE['k'][3].next.next": id(CACHE["k"][3].next.next),
        "sys.modules['app'].CACHE['k'][0]": id(CACHE["k"][0]),
        "sys.modules['app'].PAIR.left": id(PAIR.left),
        "sys.modules['app'].PAIR.right[1]": id(PAIR.right[1]),
        "sys.modules['app'].CYCLE.next": id(CYCLE.next),
        "sys.modules['app'].CACHE": id(CACHE),
        "sys.modules['app'].KEPT": id(KEPT),
    }
