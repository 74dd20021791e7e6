# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting targets, running remora, and the proof that a target was not harmed.

Every wait here has a deadline. The proof, assert_unharmed(), compares what /proc and the target
itself say after an attach with a Snapshot taken before it.
"""
import ast
import contextlib
import ctypes
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import pythons

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("REMORA_BUILD") or ROOT / "build")
# The build in which the search for a safe point can be switched off; see test_bite.py.
UNSAFE_BUILD = os.environ.get("REMORA_UNSAFE_BUILD")
LONG = bool(os.environ.get("REMORA_LONG"))
NO_SKIP = bool(os.environ.get("REMORA_NO_SKIP") or os.environ.get("CI"))
DEADLINE = 60.0
LIBC = ctypes.CDLL(None)
# A shell that starts this in the background has both ignored, here and in all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
LIBC_SIGNALS = 1 << 31 | 1 << 32  # 32, SIGCANCEL, and 33, SIGSETXID
SYS_TGKILL = 234  # asm/unistd_64.h
SLEEPS, FUTEX = ("23", "35", "230", "270"), "202"  # as there; by the first ones time.sleep() sleeps


def find_binary(build):
    for name in ("remora", "cli/remora", "bin/remora"):
        if os.access(str(build / name), os.X_OK) and (build / name).is_file():
            return str(build / name)
    return str(build / "remora")


REMORA = os.environ.get("REMORA") or find_binary(BUILD)
HELPERS = BUILD / "tests" / "e2e" / "helpers.so"


def helper(name):
    return str(BUILD / "tests" / "e2e" / name)


def skip(why, impossible_in_ci=False):
    """Skips the running test; in CI only what is impossible there may be skipped, the rest fails."""
    if NO_SKIP and not impossible_in_ci:
        raise AssertionError("would be skipped, which CI does not allow: " + why)
    raise unittest.SkipTest(why)


def wait_for(test, what, seconds=DEADLINE):
    """Calls test until its result is true, ever more slowly; returns that result."""
    end, pause = time.monotonic() + seconds, 0.001
    while True:
        result = test()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" % (seconds, what))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


class Result:
    """How a remora ended: status, out and err (text), and the seconds it took."""

    def __init__(self, command, status, out, err, seconds):
        self.command, self.status, self.seconds = command, status, seconds
        self.raw, self.out, self.err = out, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def __repr__(self):
        return "%s -> %s in %.2f s\n--- stdout\n%s--- stderr\n%s" % (
            " ".join(self.command), self.status, self.seconds, self.out[:3000], self.err[:3000])


def command(*args, binary=None):
    return [binary or REMORA] + [str(a.pid) if isinstance(a, Target) else str(a) for a in args]


def environment(extra=None):
    """What remora is run with: nothing of the caller's settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("REMORA_")}
    env.update(LC_ALL="C.UTF-8", TERM="dumb", HISTFILE="/dev/null")
    env.update(extra or {})
    return env


def remora(*args, stdin=b"", timeout=DEADLINE, env=None, prefix=(), binary=None):
    """Runs remora to its end. Target objects among the arguments stand for their PIDs."""
    line = list(prefix) + command(*args, binary=binary)
    start = time.monotonic()
    done = subprocess.run(line, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, env=environment(env))
    return Result(line, done.returncode, done.stdout, done.stderr, time.monotonic() - start)


def read(path, default=""):
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return default


class Kind:
    """A kind of target. vary names what changes by itself and cannot be compared: "threads", "fds",
    "maps", "state", "masks". busy: ticks must go on. env: what its environment has besides. awaits: a
    signal that it waits for by sigtimedwait: meanwhile Linux shows it as not blocked."""

    def __init__(self, script, *args, busy=False, reports=True, vary="", env=None, awaits=None):
        self.script, self.args, self.busy, self.reports = script, args, busy, reports
        self.awaits = 1 << awaits - 1 if awaits else 0
        self.env = env or {}
        self.vary = set(vary.split())


KINDS = {
    "sleep": Kind("sleep"),
    "called": Kind("called"),
    "busy": Kind("busy", busy=True, vary="state"),
    "accept": Kind("accept"),
    "locked": Kind("locked"),
    "threads": Kind("threads", "50", busy=True),
    "known_heap": Kind("known_heap"),
    "withheld": Kind("withheld", "S3CRET"),
    "malloc1": Kind("malloc", "1", busy=True, vary="state maps"),
    "malloc9": Kind("malloc", "9", busy=True, vary="state maps"),
    "malloc_c1": Kind("malloc_c", HELPERS, "1", busy=True, vary="state maps"),
    "malloc_c2": Kind("malloc_c", HELPERS, "2", busy=True, vary="state maps"),
    # From 3.12 on Python warns of a fork beside another thread, here that of the agent: README names it.
    "forks": Kind("forks", busy=True, vary="state fds maps children",
                  env={"PYTHONWARNINGS": "ignore::DeprecationWarning"}),
    "forks_quick": Kind("forks", "1", "300", "quick", busy=True, vary="state fds maps children",
                        env={"PYTHONWARNINGS": "ignore::DeprecationWarning"}),
    "subprocesses": Kind("subprocesses", busy=True, vary="state fds maps children"),
    "signals": Kind("signals", busy=True, vary="state pending"),
    "small_stacks": Kind("small_stacks", busy=True, vary="state threads maps"),
    "recursion": Kind("recursion", "3000", busy=True, vary="state"),
    "dlopens": Kind("dlopens", HELPERS, busy=True, vary="state fds maps"),
    "setids": Kind("setids", busy=True, vary="state pending masks"),
    "calls": Kind("calls", busy=True, vary="state threads maps", awaits=signal.SIGUSR2),
    "calls_c": Kind("calls_c", HELPERS, busy=True, vary="state pending", awaits=signal.SIGUSR2),
    "vforks": Kind("vforks", HELPERS, busy=True, vary="state children"),
    "signals_c": Kind("signals_c", HELPERS, busy=True, vary="state pending"),
    "threads500": Kind("threads", "500", busy=True),
    "deep": Kind("recursion", "8000", busy=True, vary="state"),
    "stacks": Kind("stacks"),
    "deep_python": Kind("recursion", "8000", "0", busy=True, vary="state"),
    "gil_kept": Kind("gil_kept", HELPERS, vary="state pending"),
    "floats": Kind("floats", HELPERS, busy=True, vary="state"),
    "busy_c": Kind("busy_c", HELPERS, "50", busy=True, vary="state"),
    "gil_forever": Kind("busy_c", HELPERS, "0", reports=False, vary="state"),
    "timed_calls": Kind("timed_calls", HELPERS, reports=False, vary="state", awaits=signal.SIGUSR2),
}


class Target:
    """A running target: use it in a with statement. facts is what READY said."""

    def __init__(self, interpreter, kind, *args, env=None, pass_fds=(), container=False, prefix=()):
        self.kind = KINDS[kind] if isinstance(kind, str) else kind
        self.name = "%s on %s" % (kind if isinstance(kind, str) else self.kind.script, interpreter)
        run = [os.path.dirname(interpreter.command[0]) + "/python-ct"] if container else interpreter.command
        line = list(prefix) + run + [interpreter.target(self.kind.script)]
        for arg in self.kind.args + args:
            line.append(interpreter.place(arg) if isinstance(arg, pathlib.Path) else str(arg))
        self.errors = tempfile.TemporaryFile()
        clean = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0", **dict(self.kind.env, **(env or {})))
        self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.errors, env=clean, pass_fds=pass_fds)
        self.pid = self.process.pid
        self.buffer = b""
        self.stray = []
        self.arenas = 1  # how many malloc arenas the attaches may leave: 3 if one is ended early
        try:
            self.facts = self.answer("READY")
            if container:
                self.pid = int(read("/proc/%d/task/%d/children" % (self.pid, self.pid)).split()[0])
            self.born = Snapshot(self)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def answer(self, word, seconds=DEADLINE):
        """The literal of the target's next line that starts with word."""
        end = time.monotonic() + seconds
        while True:
            line, newline, rest = self.buffer.partition(b"\n")
            if newline:
                self.buffer = rest
                got, _, literal = line.decode().partition(" ")
                if got == word:
                    return ast.literal_eval(literal)
                self.stray.append(line)
                continue
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError("%s: no %s within %g s; %s" % (self.name, word, seconds, self.condition()))
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise AssertionError("%s ended before %s: %s" % (self.name, word, self.condition()))
            self.buffer += more

    def condition(self):
        """For messages: is it alive, what did it say last, where do its threads wait."""
        try:
            status = self.process.wait(0 if os.path.exists("/proc/%d/wchan" % self.pid) else 1)
        except subprocess.TimeoutExpired:
            status = "alive"
        waits = [read("/proc/%d/task/%s/syscall" % (self.pid, t)).split(" ")[0] for t in self.tids()]
        lines = self.status()
        masks = {name: lines.get(name) for name in ("SigBlk", "SigPnd", "ShdPnd", "TracerPid")}
        self.errors.seek(0)
        return "status %s, state %s, %s, system calls %s, stderr %r" % (
            status, lines.get("State"), masks, waits[:60], self.errors.read()[-2000:])

    def status(self, tid=None):
        text = read("/proc/%d/task/%d/status" % (self.pid, tid or self.pid))
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def tids(self):
        try:
            return sorted(os.listdir("/proc/%d/task" % self.pid), key=int)
        except FileNotFoundError:
            return []

    def report(self):
        """What the target says of itself, now."""
        self.signal(signal.SIGUSR1)
        return self.answer("STATE")

    def signal(self, number):
        """To the main thread: in another one Python would only take note of it."""
        if LIBC.syscall(SYS_TGKILL, self.pid, self.pid, int(number)) != 0:
            raise AssertionError("%s cannot be signalled: %s" % (self.name, self.condition()))

    def rest(self):
        """Waits until the main thread is back in time.sleep(), to which it is on its way for a while after an
        answer, and all others wait for ever: those that wait for the GIL do so for a few ms at a time."""
        wait_for(self.rests, "%s rests" % self.name)

    def rests(self):
        for tid in self.tids():
            call = read("/proc/%d/task/%s/syscall" % (self.pid, tid)).split() or ["running"]
            if int(tid) == self.pid and call[0] not in SLEEPS or call[0] == "running" or \
                    call[0] == FUTEX and call[4] != "0x0":
                return False
        return True

    def alive(self):
        return self.process.poll() is None and self.status().get("State", "Z")[0] not in "ZX"

    def resident_kb(self):
        return int(self.status()["VmRSS"].split()[0])

    def finish(self, test):
        """Asks it to end, and asserts that it does so with status 0 and has said nothing strange."""
        self.signal(signal.SIGTERM)
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            test.fail("%s does not end on SIGTERM: %s" % (self.name, self.condition()))
        test.assertEqual(status, 0 if self.kind.reports else -signal.SIGTERM,
                         "%s: %s" % (self.name, self.condition()))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        self.process.stdout.close()
        self.errors.close()


STATUS_LINES = ("Uid Gid Groups NoNewPrivs Seccomp CapInh CapPrm CapEff CapBnd CapAmb Umask "
                "SigIgn SigCgt Cpus_allowed TracerPid").split()
THREAD_LINES = "Name SigBlk SigPnd TracerPid".split()
ARENA = 66 << 20  # address space of one malloc arena and a guard
STACK = 16 << 20  # one cached thread stack, and what the payload's own objects took


class Snapshot:
    """The target from outside (/proc) and, if asked, from inside (its report) at one moment."""

    def __init__(self, target, inside=True, settle=True):
        pid = target.pid
        status = target.status()
        self.state = status.get("State", "?")[:1]
        end = time.monotonic() + 10
        while "state" not in target.kind.vary and self.state == "R" and time.monotonic() < end:
            time.sleep(0.001)  # on its way back to sleep, from its start or from its last report
            self.state = target.status().get("State", "?")[:1]
        self.lines = {name: status.get(name) for name in STATUS_LINES}
        # The C library handles its own two signals from the first thread on: README names it.
        self.lines["SigCgt"] = "%x" % (int(status.get("SigCgt", "0"), 16) & ~LIBC_SIGNALS)
        self.pending = status.get("ShdPnd")
        self.files = ["%s: %s" % (f, read("/proc/%d/%s" % (pid, f)))
                      for f in ("limits", "oom_score_adj", "coredump_filter", "personality", "comm")]
        self.threads = {}
        for tid in target.tids():
            lines = target.status(int(tid))
            self.threads[tid] = {name: lines.get(name) for name in THREAD_LINES}
            if "pending" in target.kind.vary:
                self.threads[tid].pop("SigPnd")
        if settle and target.kind.vary & {"threads", "children", "masks"}:
            self.settle_masks(target)
        for lines in self.threads.values():
            if lines["SigBlk"]:
                lines["SigBlk"] = "%016x" % (int(lines["SigBlk"], 16) & ~target.kind.awaits)
        self.fds = {}
        with contextlib.suppress(FileNotFoundError):
            for fd in os.listdir("/proc/%d/fd" % pid):
                with contextlib.suppress(FileNotFoundError):
                    self.fds[int(fd)] = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        self.children = " ".join(read("/proc/%d/task/%s/children" % (pid, t)) for t in self.threads).split()
        self.maps = [Mapping(line) for line in read("/proc/%d/maps" % pid).splitlines()]
        target.errors.seek(0, os.SEEK_END)
        self.errors = target.errors.tell()
        self.inside = target.report() if inside and target.kind.reports else {}

    def settle_masks(self, target):
        """The C library blocks all signals for a moment while it forks and starts threads, and the kernel
        the one of a change of user (33) while it is handled: what counts is what is always blocked."""
        for _ in range(30):
            time.sleep(0.0005)
            for tid, lines in self.threads.items():
                mask = target.status(int(tid)).get("SigBlk")
                if mask and lines["SigBlk"]:
                    lines["SigBlk"] = "%016x" % (int(mask, 16) & int(lines["SigBlk"], 16))


class Mapping:
    """One line of /proc/PID/maps."""

    def __init__(self, line):
        span, self.perms, _, _, inode, *path = line.split(None, 5)
        self.start, self.end = (int(a, 16) for a in span.split("-"))
        self.path = path[0] if path else ""
        self.key = (self.start, self.end, self.perms, self.path)
        self.anonymous = inode == "0" and (not self.path or self.path.startswith("[anon"))

    def __repr__(self):
        return "%x-%x %s %s" % (self.start, self.end, self.perms, self.path)

    def outside(self, others):
        """How many of its bytes none of others covers."""
        left = [(self.start, self.end)]
        for other in others:
            left = [piece for start, end in left for piece in
                    ((start, min(end, other.start)), (max(start, other.end), end)) if piece[0] < piece[1]]
        return sum(end - start for start, end in left)


def compare_maps(old, new, arenas, threads):
    """What became of the mappings: a list of changes that no attach may make."""
    # With that many threads there are no new arenas: each attach has another of the program's.
    shared = 8 * os.cpu_count()
    writable = STACK + (shared << 20 if threads > shared else 0)
    wrong, grown = [], {"---p": 0, "rw-p": 0}
    unchanged = {m.key for m in old} & {m.key for m in new}
    old, new = ([m for m in maps if m.key not in unchanged] for maps in (old, new))
    for mapping in old:
        # An arena makes more of itself usable as it grows, and the brk heap may shrink and grow.
        alike = [m for m in new if m.perms == mapping.perms and m.path == mapping.path or
                 mapping.perms == "---p" and m.anonymous]
        if mapping.outside(alike) and mapping.path not in ("[heap]", "[stack]"):
            if mapping.anonymous and mapping.perms == "rw-p" and mapping.outside(alike) <= 2 << 20:
                continue  # the allocator gave one arena of its own back
            wrong.append("gone: %r" % mapping)
    for mapping in new:
        extra = mapping.outside([m for m in old if m.perms == mapping.perms and m.path == mapping.path])
        if not extra:
            continue
        if mapping.path in ("[heap]", "[stack]") or mapping.anonymous and mapping.perms in grown:
            grown[mapping.perms] = grown.get(mapping.perms, 0) + extra
        else:
            wrong.append("new: %r" % mapping)
    if grown["---p"] > ARENA * arenas or grown["rw-p"] > writable:
        wrong.append("grown by %d kB of address space, %d kB writable" %
                     (grown["---p"] >> 10, grown["rw-p"] >> 10))
    return wrong


def differences(target, before, after):
    """Everything in which after differs from before and must not, as text."""
    vary, wrong = target.kind.vary, []

    def same(what, old, new):
        if old != new:
            wrong.append("%s: was %s, is %s" % (what, old, new))

    if "state" not in vary:
        same("state", before.state, after.state)
    elif after.state not in "RSD":
        wrong.append("state: is %s" % after.state)
    for name in STATUS_LINES:
        same(name, before.lines[name], after.lines[name])
    same("files", before.files, after.files)
    if "pending" not in vary:
        same("pending signals", before.pending, after.pending)
    if "threads" not in vary:
        for tid in set(before.threads) | set(after.threads):
            same("thread " + tid, before.threads.get(tid), after.threads.get(tid))
    else:
        masks = {(t["SigBlk"], t["TracerPid"]) for t in before.threads.values()}
        for tid, lines in after.threads.items():
            if (lines["SigBlk"], lines["TracerPid"]) not in masks | {(None, None)}:
                wrong.append("thread %s: %s" % (tid, lines))
    if "fds" not in vary:
        same("descriptors", *(dict(set(one.items()) - set(other.items())) for one, other in
                              ((before.fds, after.fds), (after.fds, before.fds))))
    if "children" not in vary:
        same("children", before.children, after.children)
    if "maps" not in vary:
        wrong.extend("mapping " + w for w in compare_maps(
            target.born.maps, after.maps, target.arenas, len(target.born.threads)))
    else:
        old = [m for m in target.born.maps if "x" in m.perms and m.anonymous]
        wrong.extend("mapping new: %r" % m for m in after.maps
                     if "x" in m.perms and m.anonymous and m.outside(old))
    same("size of stderr", before.errors, after.errors)
    for key in before.inside if after.inside else ():
        if key in ("ticks", "bad", "collector") or "threads" in vary and key in ("threading", "thread_states"):
            continue
        old, new = before.inside[key], after.inside.get(key)
        if isinstance(old, list) and isinstance(new, list) and key in ("modules", "main", "path"):
            same(key, [x for x in old if x not in new], [x for x in new if x not in old])
        else:
            same(key, old, new)
    wrong.extend("wrong result: " + bad for bad in after.inside.get("bad", []))
    wrong.extend("stray output: %r" % line for line in target.stray)
    return wrong


def harm(target, before, seconds=5.0, inside=True):
    """What is wrong with target, as text; "" if it is as it was at the Snapshot before: state, threads,
    masks, descriptors, mappings and, from inside, modules, results, and still at work. What remora
    leaves to itself to finish (when it was killed) may take some seconds."""
    end, settle = time.monotonic() + seconds, False
    while True:
        if not target.alive():
            return "%s died: %s" % (target.name, target.condition())
        after = Snapshot(target, inside, settle)
        settle = True
        wrong = differences(target, before, after)
        if not wrong or time.monotonic() > end:
            break
        time.sleep(0.02)
    if wrong:
        return "%s was harmed:\n  %s\n%s" % (target.name, "\n  ".join(wrong), target.condition())
    if target.kind.busy and inside:
        ticks = after.inside["ticks"]
        wait_for(lambda: target.report()["ticks"] > ticks,
                 "%s goes on working; %s" % (target.name, target.condition()), 20)
    return ""


def assert_unharmed(test, target, before, seconds=5.0):
    """Fails test where harm() finds any."""
    wrong = harm(target, before, seconds)
    if wrong:
        test.fail(wrong)


@contextlib.contextmanager
def unharmed(test, target, seconds=5.0):
    """Around any attach: the target must come out of it as it went in."""
    before = Snapshot(target)
    yield
    assert_unharmed(test, target, before, seconds)


class LiveTest(unittest.TestCase):
    """What most tests need: a folder, targets that end with the test, and checks of a Result."""

    maxDiff = 4000

    def folder(self):
        path = tempfile.mkdtemp(prefix="remora-e2e-")
        os.chmod(path, 0o755)
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def start(self, kind="sleep", *args, interpreter=None, **more):
        target = Target(interpreter or pythons.main(), kind, *args, **more)
        self.addCleanup(target.close)
        return target

    def good(self, result, status=0):
        self.assertEqual(result.status, status, repr(result))
        return result

    def refused(self, result, status, pattern, seconds=10.0):
        """One line that says what and why (and perhaps a hint), the documented status, in time."""
        self.assertEqual(result.status, status, repr(result))
        self.assertEqual(result.out, "", repr(result))
        lines = result.err.splitlines()
        messages = [n for n in lines if n.startswith("remora: ")]
        self.assertEqual(len(messages), 1, repr(result))
        self.assertRegex(messages[0], pattern)
        self.assertLessEqual(len([n for n in lines if n.startswith("hint: ")]), 1, repr(result))
        self.assertLess(result.seconds, seconds, repr(result))
        return result


if __name__ == "__main__":
    sys.exit("run the folder: python3 tests/e2e")
