# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaks of all shapes. Says READY; each line `SHAPE N` on standard input leaks N times more, answer: OK."""
import asyncio
import atexit
import collections
import functools
import gc
import logging
import re
import sys
import threading
import weakref


class Request:
    def __init__(self, number):
        self.number = number
        self.body = "request %d " % number * 10


class Registry:
    items = []


class Node:
    def __init__(self, next_node):
        self.next = next_node


class Cyclic:
    def __init__(self):
        self.me = self

    def __del__(self):
        pass


class Owner:
    pass


CACHE = {}
LOG = logging.getLogger("app.requests")
LOCAL = threading.local()
QUEUE = collections.deque()
LOOP = asyncio.new_event_loop()
TASKS = set()
GENERATORS = []
ERRORS = []
CALLBACKS = []
OWNER = Owner()
ATTRIBUTES = Owner()
INDEX = Owner()
INDEX.by_number, INDEX.by_body = {}, {}
ORDERED = collections.OrderedDict()
GROUPED = collections.defaultdict(list)
NESTED = {}
LISTS = {}
BUFFER = bytearray()
STOP = threading.Event()
HEAD = None


def default_argument(item, seen=[]):
    seen.append(item)


def make_closure():
    kept = []

    def keep(item):
        kept.append(item)
    return keep


CLOSURE = make_closure()


@functools.lru_cache(maxsize=None)
def compute(number):
    return (number, str(number) * 20)


def fail(number):
    local = "local %d " % number * 10
    raise ValueError(local)


def generate(number):
    local = ["local %d" % number] * 5
    yield number
    yield local


async def wait_long(number):
    local = "local %d" % number
    await asyncio.sleep(3600)
    return local


def tuple_keys(i):
    CACHE["user", i] = Request(i)


def class_attribute(i):
    Registry.items.append(Request(i))


def lru_cache(i):
    compute(i)


def handlers(i):
    LOG.addHandler(logging.NullHandler())


def thread_local(i):
    if not hasattr(LOCAL, "seen"):
        LOCAL.seen = []
    LOCAL.seen.append(Request(i))


def tasks(i):
    async def start():
        TASKS.add(asyncio.ensure_future(wait_long(i)))
    LOOP.run_until_complete(start())


def deque(i):
    QUEUE.append(Request(i))


def cycles(i):
    gc.disable()
    Cyclic()


def generators(i):
    generator = generate(i)
    next(generator)
    GENERATORS.append(generator)


def exceptions(i):
    try:
        fail(i)
    except ValueError as error:
        ERRORS.append(error)


def defaults(i):
    default_argument(Request(i))


def closure(i):
    CLOSURE(Request(i))


def attributes(i):
    setattr(ATTRIBUTES, "attribute_%d" % i, Request(i))


def callbacks(i):
    request = Request(i)
    CALLBACKS.append(weakref.ref(OWNER, lambda _, request=request: None))


def linked_list(i):
    global HEAD
    HEAD = Node(HEAD)


def module_globals(i):
    globals()["global_%d" % i] = Request(i)


def class_dict(i):
    setattr(Registry, "attribute_%d" % i, Request(i))


def long_string(i):
    CACHE["text"] = CACHE.get("text", "") + "x" * 1000


def buffer(i):
    BUFFER.extend(b"x" * 1000)


def nested(i):
    NESTED.setdefault(i % 20, []).append(Request(i))


def ordered_dict(i):
    ORDERED[i] = Request(i)


def grouped(i):
    GROUPED["key"].append(Request(i))


def at_exit(i):
    atexit.register(Request(i).__init__, i)


def threads(i):
    if i % 10 == 0:
        threading.Thread(target=STOP.wait, daemon=True).start()


def two_places(i):
    tuple_keys(i)
    deque(i)


def two_indexes(i):
    request = Request(i)
    INDEX.by_number[i] = INDEX.by_body[request.body] = request


def regexes(i):
    re.compile("a%d" % i)


def nothing(i):
    Request(i)


def main():
    count = 0
    print("READY", flush=True)
    for line in sys.stdin:
        shape, more = line.split()
        for i in range(count, count + int(more)):
            globals()[shape](i)
        count += int(more)
        print("OK", flush=True)


if __name__ == "__main__":
    main()
