# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one command and tells what it cost, itself and the process that it looked into."""
import contextlib
import json
import os
import re
import select
import signal
import statistics
import subprocess
import tempfile
import time

from machine import private_dirty_mb, read, status_kb

DEADLINE = 600.0
STOP = re.compile(rb"borrowed at try [0-9]+, held for ([0-9.]+) ms")
GIL = re.compile(rb"GIL was held for ([0-9.]+) ms")
INSIDE = re.compile(rb"^INSIDE ([0-9.e-]+)$", re.M)
TWIN = re.compile(rb"the twin is PID ([0-9]+)")


class Row:
    """One thing to measure.

    name: what the tables call it. command: a list of words. versus: the name of remora's row that it
    is compared with, for a baseline. before: called before each run, outside the time. output: the
    file that it makes. null: its standard output is thrown away. many: a pair (command, n): it does
    the same n times, and what is shown is the time of one, (many - command) / (n - 1). live: it
    concerns the target. partial: a baseline that does much less than what it is compared with.
    """

    def __init__(self, name, command, versus=None, before=None, output=None, null=False, many=None,
                 live=True, partial=False):
        self.name, self.command, self.versus = name, [str(word) for word in command], versus
        self.before, self.output, self.null, self.many = before, output, null, many
        self.live, self.partial = live, partial
        self.runs, self.watched, self.failure = [], {}, None

    def values(self, key):
        return [run[key] for run in self.runs if run.get(key) is not None]

    def median(self, key):
        """Of the timed runs; what only the watched run knows comes from there. None if unknown."""
        values = self.values(key)
        return statistics.median(values) if values else self.watched.get(key)

    def seconds(self):
        """What is compared: the time within the process where a baseline tells it, else all."""
        return self.median("inside") if self.values("inside") else self.median("wall")

    def facts(self):
        keys = sorted({key for run in self.runs + [self.watched] for key in run})
        return {"name": self.name, "versus": self.versus, "failure": self.failure, "runs": self.runs,
                "watched": self.watched, "median": {key: self.median(key) for key in keys}}


def start(row, command, log):
    if row.output:  # to remove a large file takes as long as to write one
        with contextlib.suppress(OSError):
            os.unlink(row.output)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("REMORA_")}
    environment.update(REMORA_DEBUG="1", LC_ALL="C.UTF-8", HISTFILE="/dev/null")
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env=environment,
                            stdout=subprocess.DEVNULL if row.null else log, start_new_session=True)


def kill(process):
    """With all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def wait(process, seconds):
    """Status and usage of a child that ends within seconds."""
    ended = os.pidfd_open(process.pid)
    try:
        if not select.select([ended], [], [], seconds)[0]:
            kill(process)
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        os.close(ended)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage


def timed(row, command):
    """Seconds, processor seconds and output of a command; raises RuntimeError if it fails."""
    with tempfile.TemporaryFile() as log:
        begin = time.monotonic()
        process = start(row, command, log)
        status, usage = wait(process, DEADLINE)
        seconds = time.monotonic() - begin
        log.seek(0)
        output = log.read()
    if status:
        raise RuntimeError("status %d: %s" % (status, output[-300:].decode("utf-8", "replace").strip()))
    return seconds, usage.ru_utime + usage.ru_stime, output


def what_it_said(output):
    figures = {}
    for key, pattern in (("stop_ms", STOP), ("gil_ms", GIL), ("inside", INSIDE)):
        found = pattern.findall(output)
        if found:
            figures[key] = max(float(text) for text in found)
    return figures


def what_it_wrote(row):
    """The size of the file, and the pause as the trailer of a plain dump has it, to the microsecond."""
    figures = {"written_mb": os.path.getsize(row.output) / 1e6}
    with open(row.output, "rb") as file:
        file.seek(-min(4096, os.path.getsize(row.output)), os.SEEK_END)
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    if last.startswith(b'{"end"'):
        trailer = json.loads(last)
        figures.update(gil_ms=trailer["gil_us"] / 1000.0, stop_ms=trailer["stop_us"] / 1000.0,
                       objects=trailer["objects"], references=trailer["references"])
    return figures


def once(row, target=None):
    """One timed run; a dict of figures (s, ms, MB)."""
    if not row.live:
        target = None
    if row.before:
        row.before()
    if target:
        before = target.begin()
    seconds, cpu, output = timed(row, row.command)
    figures = {"wall": seconds, "cpu": cpu}
    if row.many:
        more, times = row.many
        figures["wall"] = max(0.0, timed(row, more)[0] - seconds) / (times - 1)
        del figures["cpu"]
    if row.live:
        figures.update(what_it_said(output))
    if row.output and os.path.exists(row.output):
        figures.update(what_it_wrote(row))
    if target:
        figures.update(target.end(before))
    return figures


def watch(row, target=None):
    """One run that is looked at every millisecond, and is not timed: the largest anonymous memory
    and resident set of the command, what the twin has copied, how much the target's cgroup grew."""
    peaks = {}
    if not row.live:
        target = None

    def note(key, value):
        peaks[key] = max(value, peaks.get(key, 0.0))

    if row.before:
        row.before()
    group = target.group if target else None
    usage = group.usage_mb() if group else 0.0
    with tempfile.NamedTemporaryFile() as log:
        process = start(row, row.command, log)
        twin, end = None, time.monotonic() + DEADLINE
        while True:
            memory = status_kb(process.pid)
            note("anon_mb", memory.get("RssAnon", 0) / 1024.0)
            note("rss_mb", memory.get("VmHWM", 0) / 1024.0)
            if group:
                note("cgroup_mb", group.usage_mb() - usage)
            if target and twin is None:
                found = TWIN.search(read(log.name).encode())
                twin = int(found.group(1)) if found else None
            if twin:
                note("twin_mb", private_dirty_mb(twin))
            pid, status, _ = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                break
            if time.monotonic() > end:
                kill(process)
            time.sleep(0.001)
    return peaks if process.returncode == 0 else {}


def in_turn(rows, runs, target=None, patience=60.0, tell=lambda text: None):
    """Measures all rows in turn: a warm-up, a run that is watched, then the timed ones.

    A baseline whose warm-up took more than a third of patience (s) is not run again: the warm-up
    counts. One that has taken patience in all is run no more. The tables show how many runs there
    were. A row that fails is told of and left out.
    """
    spent = {row.name: 0.0 for row in rows}
    for number in range(runs + 2):
        for row in rows:
            if row.failure or (row.versus and (number == 1 or spent[row.name] > patience)):
                continue
            try:
                if number == 1:
                    row.watched = watch(row, target)
                    continue
                figures = once(row, target)
            except (RuntimeError, OSError) as error:
                row.failure = str(error)
                tell("failed: %s: %s" % (row.name, error))
                continue
            spent[row.name] += figures["wall"]
            if number > 1:
                row.runs.append(figures)
            elif row.versus and figures["wall"] > patience / 3:
                row.runs.append(figures)
                spent[row.name] = patience + 1
    return rows
