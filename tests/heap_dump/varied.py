# SPDX-License-Identifier: GPL-3.0-or-later
"""A heap with an object of every kind that a program meets. Runs on 3.6 and later."""
import abc
import array
import asyncio
import collections
import contextlib
import ctypes
import datetime
import decimal
import enum
import fractions
import functools
import gc
import io
import itertools
import json
import logging
import mmap
import operator
import os
import pickle
import random
import re
import socket
import struct
import sys
import threading
import time
import types
import typing
import weakref
import xml.etree.ElementTree as etree
import zlib

import inventory

try:
    import dataclasses
except ImportError:
    dataclasses = None
try:
    import contextvars
except ImportError:
    contextvars = None

KEEP = []


class Plain(object):
    def __init__(self, i):
        self.first = i
        self.second = "two-%d" % i
        self.third = [i]


class Slots(object):
    __slots__ = ("zz", "aa", "unset")

    def __init__(self):
        self.zz = []
        self.aa = {}


class MoreSlots(Slots):
    __slots__ = ("own", "__private")


class SlotsAndDict(Slots):
    def __init__(self):
        Slots.__init__(self)
        self.extra = object()


class NoSlots(object):
    __slots__ = ()


class WeakSlots(object):
    __slots__ = ("value", "__weakref__")


class Meta(type):
    counter = 0


class WithMeta(metaclass=Meta):
    registry = {}


class Abstract(abc.ABC):
    @abc.abstractmethod
    def run(self):
        pass


class Concrete(Abstract):
    def run(self):
        return 1


class Colour(enum.Enum):
    RED = 1
    GREEN = "g"


class Flags(enum.IntFlag):
    A = 1
    B = 2


class Error(ValueError):
    def __init__(self, text):
        ValueError.__init__(self, text)
        self.attribute = [text]


class Sizer(object):
    def __sizeof__(self):
        raise RuntimeError("must never be called")


def subclasses(*bases):
    return [type("Sub_" + base.__name__, (base,), {}) for base in bases]


def instances():
    KEEP.extend(Plain(i) for i in range(300))
    changed = [Plain(i) for i in range(40)]
    for i, plain in enumerate(changed):
        if i % 5 == 0:
            vars(plain)
        if i % 5 == 1:
            del plain.second
        if i % 5 == 2:
            setattr(plain, "extra_%d" % i, i)
        if i % 5 == 3:
            plain.__dict__ = {"replaced": plain}
        if i % 5 == 4:
            for n in range(40):
                setattr(plain, "many_%d" % n, n + 1000)
    slots = MoreSlots()
    slots.own = slots
    both = SlotsAndDict()
    vars(both)["more"] = 1
    weak = WeakSlots()
    KEEP.extend([changed, Slots(), slots, SlotsAndDict(), both, NoSlots(), weak, weakref.ref(weak),
                 WithMeta(), Concrete(), Colour.RED, Flags.A | Flags.B, Error("e"),
                 types.SimpleNamespace(a=1, b=[]), object()])
    if dataclasses:
        KEEP.append(dataclasses.make_dataclass("Data", ["x", "y"])(1, []))
    KEEP.append(collections.namedtuple("Named", "left right")([1], "r"))
    KEEP.append(typing.NamedTuple("Typed", [("x", int)])(3))
    for cls in subclasses(int, str, bytes, bytearray, list, tuple, dict, set, frozenset, float,
                          complex, Exception, collections.OrderedDict, collections.defaultdict,
                          collections.deque, datetime.datetime, decimal.Decimal, property,
                          types.ModuleType, weakref.ref, array.array, threading.local):
        KEEP.append(cls)
        for arguments in ((), ("7",), (b"7",), (KEEP,), ("i", [1, 2]), (2020, 1, 2)):
            with contextlib.suppress(TypeError, ValueError):
                value = cls(*arguments)
                with contextlib.suppress(AttributeError):
                    value.attribute = [1]
                KEEP.append(value)
                break
    KEEP.append(type("SlotTuple", (tuple,), {"__slots__": ()})((1, [2])))
    KEEP.append(type("BigInt", (int,), {"__slots__": ()})(1 << 200))


def scalars():
    KEEP.extend([0, 1, -1, 255, 257, 1 << 29, 1 << 30, -(1 << 60), 1 << 61, -(1 << 100), 10 ** 90,
                 1 << 5000, 0.0, -0.0, 1.5, 1e300, 5e-324, float("nan"), float("inf"),
                 -float("inf"), 0.1, 1e16, 1e-5, 123456789.125, 3 + 4j, True, False, None, ...,
                 NotImplemented])
    KEEP.extend(random.Random(1).random() * 10 ** n for n in range(-20, 20))
    KEEP.extend(["", "a", "ascii", "caf\xe9", "\u20ac uro", "\U0001f40d snake", "nul\0l",
                 "line\nfeed\"quote\\", "\ud800 lone", "x" * 99, "y" * 100, "z" * 101,
                 "\xff" * 200, "\u4e00" * 300, "w" * 100000, "\x7f\x80", "tab\t\x01"])
    utf8 = "\xe9t\xe9 with a cached utf-8"
    with contextlib.suppress(OSError):
        os.stat(utf8)
    KEEP.append(utf8)
    KEEP.extend([b"", b"bytes", bytes(range(256)), b"q" * 5000, bytearray(), bytearray(b"abc"),
                 bytearray(3000)])
    shrunk = bytearray(1000)
    del shrunk[:500]
    KEEP.append(shrunk)


def containers():
    KEEP.extend([[], [1], list(range(1000, 1100)), (), (1,), tuple(range(2000, 2050)), {}, set(),
                 frozenset(), {1, 2}, set(range(3000, 3500)), frozenset(range(100)), {1: 2},
                 {"a": 1}, {("t", 1): [], "mixed": 2, None: 3}, dict.fromkeys(range(4000, 4400)),
                 {str(i): i for i in range(1000)}, {"k%d" % i: [i] for i in range(30000)}])
    deleted = {str(i): i for i in range(20)}
    for i in range(0, 20, 2):
        del deleted[str(i)]
    emptied = {i: i for i in range(50)}
    emptied.clear()
    shrunk = set(range(200))
    for i in range(100):
        shrunk.discard(i)
    own = []
    own.append(own)
    nested = ()
    for _ in range(300):
        nested = (nested, str(len(KEEP)))
    KEEP.extend([deleted, emptied, shrunk, own, nested, [None] * 70000, list(range(5000, 75000)),
                 tuple("s%d" % i for i in range(40000)), {i: str(i) for i in range(40000)}])
    ordered = collections.OrderedDict((str(i), i) for i in range(20))
    del ordered["5"]
    ordered.attribute = 1
    mixed = collections.OrderedDict([(1, 2), ("a", "b")])
    default = collections.defaultdict(list, {"k": [1], "l": []})
    KEEP.extend([ordered, mixed, default, collections.Counter("abracadabra"),
                 collections.deque(range(1000)), collections.deque([], 5),
                 collections.ChainMap({}, {}), types.MappingProxyType({"a": []}),
                 array.array("d", [1.0] * 100), array.array("i"), memoryview(b"viewed"),
                 memoryview(bytearray(100))[10:], range(10), range(1 << 70, 1 << 71, 3),
                 slice(1, [2], "3"), struct.Struct("iid"), ordered.keys(), {"a": 1}.items(),
                 {}.values()])


def function_with_closure(value):
    other = [value]

    def inner(argument=value, *, keyword=other):
        """doc"""
        return value, other, argument, keyword
    inner.attribute = 1
    return inner


def generator(n):
    local = ["in generator", n]
    text = yield local
    yield text


async def coroutine(event):
    local = {"in": "coroutine"}
    await event
    return local


async def agenerator():
    local = [1]
    yield local


class Awaitable(object):
    def __await__(self):
        yield self


def callables():
    closure = function_with_closure(77777)
    started, fresh, finished, running = generator(1), generator(2), generator(3), generator(4)
    next(started)
    list(finished)
    pending = coroutine(Awaitable())
    pending.send(None)
    KEEP.extend([closure, started, fresh, finished, running, pending, agenerator(),
                 (x for x in [1, 2]), KEEP.append, Plain(1).__init__, len, str.join, [].append,
                 object().__str__, int.__add__, type.__dict__["__mro__"], Slots.zz,
                 property(len, doc="d"), staticmethod(len), classmethod(len), super(Concrete),
                 functools.partial(print, 1, end=""), functools.lru_cache(10)(len),
                 functools.partial(function_with_closure), operator.itemgetter(1, 2),
                 operator.attrgetter("a.b"), operator.methodcaller("x", 1),
                 compile("a + [1, 2.5, 'text', (3, 4)][b]", "file", "eval"),
                 functools.singledispatch(function_with_closure)])
    cached = functools.lru_cache(None)(function_with_closure)
    cached(1), cached("x")
    KEEP.append(cached)
    KEEP.extend([iter([1]), iter((1,)), iter({}), iter({1}), iter("abc"), iter(b""), reversed([1]),
                 enumerate([]), zip([1], (2,)), map(len, []), filter(None, []),
                 itertools.chain([1], [2]), itertools.count(1 << 70), itertools.cycle([1]),
                 itertools.product([1, 2], repeat=2), itertools.permutations([1, 2, 3]),
                 itertools.combinations([1, 2, 3], 2), itertools.groupby([1]),
                 itertools.islice([], 3), itertools.tee([1])[0], itertools.repeat([]),
                 iter(range(5)), iter(range(1 << 70, 1 << 80))])


def errors():
    try:
        try:
            {}["missing"]
        except KeyError as inner:
            raise Error("outer") from inner
    except Error as error:
        KEEP.append(error)
    try:
        open("/nonexistent/file")
    except OSError as error:
        KEEP.append(error)
    for error in (StopIteration([1]), SyntaxError("m", ("f", 1, 2, "t")), ImportError("x", name="n"),
                  UnicodeDecodeError("utf-8", b"x", 0, 1, "r"), SystemExit(3)):
        KEEP.append(error)


def library():
    zone = datetime.timezone(datetime.timedelta(hours=3), "zone")
    KEEP.extend([datetime.datetime(2020, 1, 2, tzinfo=zone), datetime.time(1, tzinfo=zone), zone,
                 datetime.datetime(2021, 1, 1), datetime.date(2020, 1, 1), datetime.timedelta(3),
                 decimal.Decimal("1.5"), decimal.Decimal(10) ** 400, decimal.Context(),
                 fractions.Fraction(1, 3), re.compile("(a)|b"), re.match("(a)", "a"),
                 re.compile(b"x").finditer(b"xx"), io.StringIO("text" * 100), io.BytesIO(b"x" * 999),
                 io.BytesIO(), open(os.devnull), open(os.devnull, "rb"), open(os.devnull, "rb", 0),
                 socket.socket(), threading.Lock(), threading.RLock(), threading.Event(),
                 threading.local(), mmap.mmap(-1, 8192), ctypes.c_int(3), (ctypes.c_int * 10)(),
                 ctypes.create_string_buffer(500), ctypes.pointer(ctypes.c_int(1)),
                 ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1), ctypes.Structure,
                 type("S", (ctypes.Structure,), {"_fields_": [("a", ctypes.c_int)]})(),
                 type("T", (ctypes.Union,), {"__slots__": ("x", "y"), "_fields_": [
                     ("a", ctypes.c_int), ("b", ctypes.c_double * 3 * 4)]}),
                 ctypes.POINTER(ctypes.c_int * 7), type("NoFields", (ctypes.BigEndianStructure,), {}),
                 random.Random(3), time.gmtime(), os.stat("/"), os.environ, zlib.compressobj(),
                 zlib.decompressobj(), json.JSONEncoder(), json.JSONDecoder(),
                 logging.getLogger("varied"), pickle.Pickler(io.BytesIO()), etree.Element("tag", a="1"),
                 typing.List[int], typing.Optional[str], weakref.WeakValueDictionary(),
                 weakref.WeakKeyDictionary({KEEP[0]: 1}), weakref.WeakSet(),
                 weakref.ref(KEEP[1], print), weakref.proxy(KEEP[1]), sys.flags, sys.version_info,
                 list(os.scandir("/"))[:3], types.ModuleType("made", "doc"), sys.implementation])
    element = KEEP[-1]
    tree = etree.fromstring("<a x='1'><b>text</b>tail</a>")
    KEEP.extend([element, tree, etree.XMLParser()])
    if contextvars:
        variable = contextvars.ContextVar("variable", default=[])
        variable.set({1})
        KEEP.extend([variable, contextvars.copy_context()])
    loop = asyncio.new_event_loop()

    async def sleeper():
        await asyncio.sleep(3600)
    tasks = [loop.create_task(sleeper()) for _ in range(3)]
    loop.call_soon(loop.stop)
    loop.run_forever()
    KEEP.extend([loop, tasks, loop.create_future()])


def arrays():
    """Of extensions whose types have no tp_traverse, or Cython's; false if there are none here."""
    try:
        import numpy
        import pandas
    except ImportError:
        return False
    record = numpy.dtype([("at", "f8"), ("name", "U8"), ("any", "O")])
    table = numpy.arange(600.0).reshape(20, 30)
    mixed = numpy.array([[1], "object", None], dtype=object)
    KEEP.extend([record, table, table[2:, ::3], table.T, mixed, mixed[1:], numpy.zeros(3, record),
                 numpy.zeros(3, record)[0], numpy.float64(1.5), numpy.int8(3), numpy.str_("text"),
                 numpy.datetime64("2020-01-01"), numpy.array(5), numpy.ma.array([1, 2], mask=[0, 1]),
                 numpy.add, numpy.random.RandomState(1), numpy.nditer(table), table.flat,
                 numpy.broadcast(table, 1), memoryview(table), table.dtype])
    frame = pandas.DataFrame({"number": range(100), "text": ["t%d" % i for i in range(100)],
                              "time": pandas.date_range("2020", periods=100, tz="UTC")})
    KEEP.extend([frame, frame["text"], frame.groupby("number").sum(numeric_only=True), frame.index,
                 pandas.Timestamp("2020-01-02", tz="UTC"), pandas.Timedelta(3), pandas.NaT,
                 pandas.Period("2020-01"), pandas.Interval(0, 1), pandas.Categorical(["a", "b"])])
    return True


def sleep_in(event):
    local_of_thread = ["local", "of", "thread"]
    event.wait()
    return local_of_thread


def build():
    instances()
    scalars()
    containers()
    callables()
    errors()
    library()
    KEEP.append(inventory.build())
    arrays()
    KEEP.append(Sizer())
    event = threading.Event()
    started = [threading.Thread(target=sleep_in, args=(event,), name="sleeper-%d" % i)
               for i in range(3)]
    for thread in started:
        thread.daemon = True
        thread.start()
    KEEP.append((event, started))
    gc.collect()
    gc.freeze() if hasattr(gc, "freeze") else None
    KEEP.append([Plain(i) for i in range(50)])
    return KEEP
