# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes to look into: started, told when ready, their heart watched, ended."""
import ast
import contextlib
import mmap
import os
import select
import signal
import struct
import subprocess
import time

from machine import status_kb

DEADLINE = 600.0


class Pulse:
    """The page that a target's heart writes (tests/targets/heart.py)."""

    def __init__(self, path):
        self.file = open(path, "r+b")
        self.page = mmap.mmap(self.file.fileno(), 4096)
        self.asked = 0.0

    def reset(self):
        self.asked += 1
        struct.pack_into("<d", self.page, 32, self.asked)
        end = time.monotonic() + 30
        while struct.unpack_from("<d", self.page, 24)[0] != self.asked:
            if time.monotonic() > end:
                raise RuntimeError("the target's heart does not beat")
            time.sleep(0.002)

    def largest_ms(self):
        return struct.unpack_from("<d", self.page, 0)[0] * 1000

    def close(self):
        self.page.close()
        self.file.close()


class Target:
    """A process to look into: one of tests/targets on one interpreter, with its heart."""

    def __init__(self, interpreter, script, *args, group=None, env=None):
        here, there = interpreter.folder()
        beats = "beats-%d-%d" % (os.getpid(), id(self))
        line = interpreter.command + [interpreter.target(script)] + [str(a) for a in args] + [
            "--hb", os.path.join(there, beats)]
        begin = time.monotonic()
        clean = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0", **(env or {}))
        self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        env=clean)
        self.pid = self.process.pid
        # In its cgroup before it has memory, as pages stay with the group that they came from.
        self.group = group if group and group.add(self.pid) else None
        self.name, self.client, self.answers, self.pulse = script, None, None, None
        self.interpreter, self.python = interpreter, repr(interpreter)
        self.here, self.there, self.files = here, there, []
        self.beats = os.path.join(here, beats)
        try:
            self.facts = self._ready()
            self.born_s = time.monotonic() - begin
            self.pulse = Pulse(self.beats)
        except BaseException:
            self.close()
            raise
        self.rss_mb = status_kb(self.pid).get("VmRSS", 0) / 1024.0

    def _ready(self):
        if not select.select([self.process.stdout], [], [], DEADLINE)[0]:
            raise SystemExit("bench: %s did not get ready" % self.name)
        word, _, facts = self.process.stdout.readline().decode().partition(" ")
        if word != "READY":
            raise SystemExit("bench: %s failed" % self.name)
        return ast.literal_eval(facts)

    def file(self, name):
        """The path, as the target sees it, of a file that is removed with the target."""
        name = "bench-%d-%s" % (self.pid, name)
        self.files.append(os.path.join(self.here, name))
        return os.path.join(self.there, name)

    def load_with(self, command, beats):
        """Starts a client of the target; its longest answer is measured like the heart's gap."""
        self.client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if not select.select([self.client.stdout], [], [], 30)[0]:
            raise SystemExit("bench: the client did not get ready")
        self.client.stdout.readline()
        self.answers = Pulse(beats)

    def pids(self):
        return [p.pid for p in (self.process, self.client) if p]

    def begin(self):
        """Before a run: the heart's largest gap, and the peak of the resident set, start anew."""
        for pulse in (self.pulse, self.answers):
            if pulse:
                pulse.reset()
        with contextlib.suppress(OSError):
            with open("/proc/%d/clear_refs" % self.pid, "w") as file:
                file.write("5")
        return status_kb(self.pid)

    def end(self, before):
        after = status_kb(self.pid)
        if not before or not after:
            raise RuntimeError("the target has died")
        figures = {"gap_ms": self.pulse.largest_ms(),
                   "grown_mb": (after["VmRSS"] - before["VmRSS"]) / 1024.0,
                   "peak_mb": (after["VmHWM"] - before["VmHWM"]) / 1024.0}
        if self.answers:
            figures["answer_ms"] = self.answers.largest_ms()
        return figures

    def close(self):
        for process in (self.client, self.process):
            if process:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                process.wait()
                process.stdout.close()
        for pulse in (self.answers, self.pulse):
            if pulse:
                pulse.close()
        for file in self.files + [self.beats]:
            with contextlib.suppress(OSError):
                os.unlink(file)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
