# SPDX-License-Identifier: GPL-3.0-or-later
"""One or more of every kind of built-in object, in the shapes that differ inside the interpreter
(small and large, split and combined, ASCII and wide, tracked and not)."""
import array
import collections
import datetime
import decimal
import functools
import itertools
import operator
import os
import re
import sys
import time
import types
import weakref


class Plain:
    def __init__(self, n):
        self.a, self.b, self.c = n, str(n) * 3, [n]

    def method(self):
        return self.a

    @property
    def prop(self):
        return self.b

    @classmethod
    def of_class(cls):
        return cls


class Slots:
    __slots__ = ("x", "y")


class Child(Plain):
    extra = {"class": "attribute"}


class MyList(list):
    pass


class MyDict(dict):
    __slots__ = ("tag",)


class MyInt(int):
    pass


class MyStr(str):
    pass


class MyTuple(tuple):
    pass


Point = collections.namedtuple("Point", "x y")


class Shadowed:
    """Its property comes before what its instances' dicts hold under that name."""
    later = 1

    @property
    def shadow(self):
        return None


class Answers:
    """Its items and attributes are what its code says."""

    def __getattribute__(self, name):
        return 0


class Lookup(dict):
    def __getitem__(self, key):
        return 0


class Items(list):
    def __getitem__(self, index):
        return 0


class Descriptor:
    def __get__(self, instance, owner):
        return 0


class Described:
    attribute = Descriptor()


class WithSlot:
    __slots__ = ("slot",)


class HidesSlot(WithSlot):
    slot = "of the class"


class Meta(type):
    @property
    def shadow(cls):
        return 0


class WithMeta(metaclass=Meta):
    shadow = ["hidden by the class of the class"]
    seen = ["not hidden"]


def generator(n):
    held = [n]
    yield held
    yield n


async def coroutine(n):
    return n


def with_defaults(a, b=(1, 2), *args, key="word", **kwargs):
    return lambda: (a, b, args, key, kwargs)


def failing():
    try:
        {}["missing"]
    except KeyError as error:
        return error


def dicts():
    shrunk = {n: str(n) for n in range(100)}
    for n in range(90):
        del shrunk[n]
    mixed = {"a": 1, 2: "b", None: [], (1, "t"): {}}
    return [{}, {"one": 1}, {str(n): n for n in range(200)}, dict.fromkeys(range(9)), shrunk, mixed,
            {"nested": {"deeper": {"deepest": []}}}, {b"bytes": 1.5}, MyDict(a=[1])]


def deceivers():
    """Objects of which Python shows something else, or nothing, where others show what they hold."""
    shadowed, answers, odd, hides = Shadowed(), Answers(), Plain([1]), HidesSlot()
    WithSlot.slot.__set__(hides, ["in the slot of the base"])
    shadowed.__dict__["shadow"], shadowed.later = ["hidden"], ["seen"]
    object.__setattr__(answers, "held", ["never shown"])
    for name in ("no name", "class", "a.b", "\u00e9", "\ufb01", "quote'"):
        setattr(odd, name, [name])
    keys = {float("inf"): [1], -float("inf"): [2], float("nan"): [3], ("inf", float("inf")): [4], 1e22: [5],
            "nul\0": [6], b"nul\0": [7], "inf": [8], "escape\x1b": [9], (True, None): [10], Plain: [11]}
    return [shadowed, answers, odd, hides, keys, Lookup(a=[1]), Items([[1]]), Described, WithMeta, os.stat("/"),
            time.gmtime(86400 * 9999), sys.version_info]


def lists():
    grown = []
    for n in range(33):
        grown.append(n * 1000)
    own = []
    own.append(own)
    return [[], [1], [None] * 7, grown, own, list(range(1000, 1050)), MyList([1, [2]])]


def numbers():
    return [0, 1, -1, 2 ** 30 - 1, 2 ** 30, -2 ** 31, 2 ** 62, 2 ** 64 + 1, -7 ** 200, True, False, 1.5,
            -0.0, float("inf"), float("nan"), 2j, complex(1, -2), MyInt(10 ** 20),
            decimal.Decimal("1.25")]


def texts():
    used_as_bytes = "caf\u00e9 with utf8"
    used_as_bytes.encode()
    return ["", "a", "ascii text of some length", "\u00e9", "caf\u00e9", "\u20ac wide", "\U0001f40d snake",
            "x" * 5000, "\u20ac" * 300, used_as_bytes, "quote ' and \" and \n", "\ud800 lone", MyStr("own"),
            "".join(["built", " ", "at run time"])]


def containers():
    return [(), (1,), (1, (2, (3, []))), MyTuple((1, [])), Point(1, []), set(), {1, 2, 3},
            set(range(500)), frozenset(), frozenset(["a", "b"]), collections.deque([1, [2]]),
            collections.deque(maxlen=5), collections.OrderedDict(a=1, b=[2]),
            collections.defaultdict(list, a=[1]), collections.Counter("abca"), array.array("d", [1.0] * 50),
            bytes(0), b"x", b"y" * 700, bytearray(), bytearray(b"z" * 300), memoryview(b"seen"),
            range(5), slice(1, [2], None), Ellipsis, NotImplemented]


def machinery():
    started = generator(3)
    next(started)
    waiting = coroutine(1)
    keep = Plain(99)
    made = [started, generator(4), keep.method, keep, [].append, len, str.join, Plain.__dict__["prop"],
            Plain.__dict__["of_class"], staticmethod(len), with_defaults, with_defaults(1, k=[2]), waiting,
            failing(), weakref.ref(keep), weakref.proxy(keep), weakref.WeakValueDictionary(k=keep),
            functools.partial(print, [1], sep=""), functools.lru_cache(maxsize=4)(with_defaults),
            iter([1, 2]), iter((1,)), iter({1: 2}), iter({3}), iter("str"), enumerate([1]), zip([1], [2]),
            map(str, [1]), filter(None, [1]), reversed([1]), itertools.chain([1], [2]), itertools.count(),
            operator.itemgetter(1), operator.attrgetter("a"), types.SimpleNamespace(a=[1]),
            types.MappingProxyType({"k": []}), types.ModuleType("made"), re.compile("a(b)c"), Plain, Slots,
            Child, type("Dynamic", (Plain,), {"z": [1]}), {}.keys(), {1: []}.values(), {1: 2}.items(),
            property(lambda self: 1), object(), datetime.datetime(2020, 1, 2), datetime.timedelta(3),
            datetime.timezone(datetime.timedelta(hours=1)), super(Child, Child(1)), compile("1+x", "f", "eval")]
    filled, empty = Slots(), Slots()
    filled.x, filled.y = [1], "slot"
    odd = Plain(5)
    odd.later = {"more": "attributes"}
    del odd.a
    touched = Plain(6)
    vars(touched)
    return made + [filled, empty, odd, touched, Child(7)] + [Plain(n) for n in range(20)]


SAMPLES = {"dicts": dicts(), "lists": lists(), "numbers": numbers(), "texts": texts(),
           "containers": containers(), "machinery": machinery(), "deceivers": deceivers()}
