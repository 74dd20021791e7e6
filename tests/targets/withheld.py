# SPDX-License-Identifier: GPL-3.0-or-later
"""Asleep, with the word S3CRET in every kind of place that a dump without values must leave out, and
KEPT in the names that stay. Arguments: anything. READY says whether it traces its allocations."""
import collections
import datetime
import decimal
import functools
import io
import re
import sys
import threading
import time
import tracemalloc

import kit

tracemalloc.start(3)
KEEP = []
reached = threading.Lock()
reached.acquire()


class Kept(object):
    """S3CRET in the documentation of a class"""
    attribute = "S3CRET of the class"

    def __init__(self):
        self.name_KEPT = "S3CRET of an instance"
        self.number = 8463927105538261


class Slots(object):
    __slots__ = ("slot_KEPT",)

    def __init__(self):
        self.slot_KEPT = b"S3CRET in a slot"


def generator():
    local = "S3CRET of a generator"
    yield local[:1]


def closure(value):
    return lambda x="S3CRET default": (value, x)


def sleep_KEPT(argument):
    """S3CRET in the documentation of a function"""
    local_KEPT = "S3CRET of a frame"
    constant = ("S3CRET constant", 8463927105538262)
    KEEP.append((len(local_KEPT), len(constant)))
    reached.release()
    threading.Event().wait()


def fill():
    started = generator()
    next(started)
    ordered = collections.OrderedDict([("S3CRET ordered", 1)])
    default = collections.defaultdict(list, {"S3CRET default key": [1]})
    try:
        raise ValueError("S3CRET of an exception", 8463927105538263)
    except ValueError as error:
        KEEP.append(error)
    KEEP.extend([
        Kept(), Slots(), started, closure("S3CRET of a cell"), ordered, default,
        {"S3CRET key": "S3CRET value", b"S3CRET bytes key": 1, ("S3CRET", 2): 3, 8463927105538264: 4},
        {"S3CRET_identifier": 1, "other_S3CRET": 2}, {sys.intern("S3CRET_interned"): 1},
        {"S3CRET in a set"}, bytearray(b"S3CRET in a bytearray"), memoryview(b"S3CRET viewed"),
        re.compile("S3CRET pattern"), io.StringIO("S3CRET text"), io.BytesIO(b"S3CRET bytes"),
        decimal.Decimal("8463927105538265.5"), 8463927105538266.25, 8463927105538267 ** 30,
        functools.partial(print, "S3CRET partial"), u"S3CRET \u20ac", u"S3CRET \U0001f40d",
        datetime.timezone(datetime.timedelta(1 / 24), "S3CRET zone")])


fill()
threading.Thread(target=sleep_KEPT, args=("S3CRET argument",), name="S3CRET thread", daemon=True).start()
reached.acquire()
kit.ready()
while True:
    time.sleep(10)
