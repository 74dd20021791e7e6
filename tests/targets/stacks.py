# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads in every kind of Python frame, each blocked for good, and the main one asleep. Answers SIGUSR2
with a FRAMES line: what the interpreter itself says of each thread, {ident: (name, [(file, line,
function), ...])}, innermost first."""
import asyncio
import contextlib
import os
import signal
import sys
import threading
import time

import kit

forever = threading.Lock()
forever.acquire()
reading, _writing = os.pipe()


def recursion(level):
    if level:
        return recursion(level - 1)
    return forever.acquire()


def inner_generator():
    yield 1
    forever.acquire()
    yield 2


def generator():
    yield from inner_generator()


def consume():
    return sum(n for n in generator())


def through_c():
    return sorted([3, 1, 2], key=lambda n: list(map(lambda m: forever.acquire(), [n])))


class Box:
    def __getattr__(self, name):
        with contextlib.closing(self):
            try:
                raise KeyError(name)
            except KeyError:
                return [forever.acquire() for _ in range(3)]

    def close(self):
        pass


def attribute():
    return Box().missing


async def coroutine(level):
    if level:
        return await coroutine(level - 1)
    forever.acquire()


def run_coroutine():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(coroutine(3))


async def idle():
    await asyncio.sleep(10000)


def run_idle_loop():
    asyncio.new_event_loop().run_until_complete(idle())


def long_statement():
    return max(
        1,
        2,

        forever.acquire(),
    )


def far_lines():
    """A function with long jumps in its line table, forwards and backwards, and wide arguments."""
    lines = ["def far():"]
    lines += ["    x = %d" % n for n in range(1000, 1400)] + [""] * 400
    lines += ["    return (", "        1,"] + [""] * 300 + ["        forever.acquire(),", "        2)"]
    scope = {"forever": forever}
    exec(compile("\n".join(lines), "<far away>", "exec"), scope)
    scope["far"]()


def read_file():
    os.read(reading, 1)


first, second = threading.Lock(), threading.Lock()
both = threading.Barrier(2)


def deadlock(mine, other):
    with mine:
        both.wait()
        with other:
            pass


def frames_of(frame):
    found = []
    while frame:
        code = frame.f_code
        found.append((code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    return found


def on_frames(signum, frame):
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = {ident: frames_of(top) for ident, top in sys._current_frames().items()}
    # This handler runs on the main thread: what it interrupted is what that was doing.
    stacks[threading.get_ident()] = frames_of(frame)
    kit.say("FRAMES", {ident: (names.get(ident), stack) for ident, stack in stacks.items()})


for function in (consume, through_c, attribute, run_coroutine, run_idle_loop, long_statement, far_lines,
                 read_file):
    threading.Thread(target=function, name=function.__name__, daemon=True).start()
threading.Thread(target=recursion, args=(200,), name="Rückruf \u65e5\u672c \U0001f40d", daemon=True).start()
threading.Thread(target=deadlock, args=(first, second), name="one", daemon=True).start()
threading.Thread(target=deadlock, args=(second, first), name="other", daemon=True).start()


def ends(thread):
    """The function that a thread is blocked in was reached: it has stood at one place for a while."""
    frame = sys._current_frames().get(thread.ident)
    return frame and (frame.f_code, frame.f_lasti)


seen, same = None, 0
while same < 5:
    time.sleep(0.05)
    now = [ends(t) for t in threading.enumerate() if t is not threading.main_thread()]
    same = same + 1 if now == seen and all(now) else 0
    seen = now

signal.signal(signal.SIGUSR2, on_frames)
kit.ready()
while True:
    time.sleep(10)
