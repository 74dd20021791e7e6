# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table: what remora promises, what this run saw, and how far the next best is behind.

The limits are for a machine of two cores of about 2020 and a workload on Debian's Python 3.11; what
this machine reaches is compared with what other tools reach on it, in the same run.
"""
from sections import spread
from table import growth, ratio

# Commands shorter than this (s) at the larger size tell nothing of growth.
SHORT = 0.05


class Goal:
    """One line: text tells what, value is what was seen (None: not measured), limit the most that it
    may be, unit the unit of both; rival tells the best baseline and its ratio."""

    def __init__(self, text, value, limit, unit, rival=""):
        self.text, self.value, self.limit, self.unit, self.rival = text, value, limit, unit, rival

    @property
    def met(self):
        return None if self.value is None else self.value <= self.limit

    def facts(self):
        return {"what": self.text, "value": self.value, "limit": self.limit, "unit": self.unit,
                "met": self.met, "rival": self.rival}


def rivals(sections, name):
    """All baselines that are compared with remora's row of this name, as text."""
    found = []
    for section in sections:
        for row in section.rows:
            times = ratio(section, row) if row.versus == name and not row.partial else None
            if times:
                found.append((times, row.name))
    return ", ".join("%s %.3g x" % (row, times) for times, row in sorted(found))


class Goals:
    def __init__(self, sections):
        self.sections = {section.key: section for section in sections}
        self.list = []

    def near(self, kind, size):
        """The section of this kind and size, and those of the peers of this size."""
        return [section for key, section in self.sections.items() if key == "%s-%s" % (kind, size) or
                (key.startswith("peer-") and key.endswith("-" + size))]

    def value(self, key, name, figure, scale=1.0):
        section = self.sections.get(key)
        row = section.row(name) if section else None
        value = row.median(figure) if row else None
        return None if value is None else value * scale

    def add(self, *words):
        self.list.append(Goal(*words))

    def attach(self, sizes):
        values = lambda key: [value for section in self.sections.values()
                              if section.key.startswith("attach-") for value in section.rows[0].values(key)]
        stops, walls = values("stop_ms"), values("wall")
        for last in sizes[-1:]:
            self.add("run PID -c pass, %s" % last, self.value("live-" + last, "remora run -c pass", "wall", 1e3),
                     15, "ms", rivals(self.near("live", last), "remora run -c pass"))
        if stops:
            middle, high, _ = spread(stops)
            self.add("stop of a thread, median of %d attaches" % len(stops), middle, 0.5, "ms")
            self.add("stop of a thread, p99", high, 2, "ms")
            self.add("run PID -c pass, p99 on all targets", spread(walls)[1] * 1e3, 15, "ms")

    def dump(self, size, seconds, gil):
        live, dump = "live-" + size, "remora dump"
        self.add("dump, " + size, self.value(live, dump, "wall"), seconds, "s",
                 rivals(self.near("live", size), dump))
        plain, packed = self.value(live, dump, "wall"), self.value(live, dump + " .zst", "wall")
        if plain and packed:
            self.add("dump .zst, more than plain, " + size, (packed / plain - 1) * 100, 30, "%")
        self.add("GIL held for it, " + size, self.value(live, dump, "gil_ms"), gil, "ms")
        self.add("largest gap of the heart, " + size, self.value(live, dump, "gap_ms"), 40, "ms")
        self.add("memory kept in the target, " + size, self.value(live, dump, "grown_mb"), 1, "MB")
        self.add("memory of the target at its peak, " + size, self.value(live, dump, "peak_mb"), 1, "MB")
        self.add("cgroup of the target at its peak, " + size, self.value(live, dump, "cgroup_mb"), 64, "MB")

    def questions(self, size, share):
        """share: the part of the limits for 10M objects that this size may take."""
        dump = "dump-" + size
        first = "load, first time (referrers)"
        self.add("load, first time, " + size, self.value(dump, first, "wall"), 2.5 * share, "s",
                 rivals(self.near("dump", size), first))
        self.add("its anonymous memory, " + size, self.value(dump, first, "anon_mb"), 1200 * share, "MB")
        self.add("open again, " + size, self.value(dump, "open again (summary)", "wall", 1e3), 100, "ms")
        self.add("retained size of every object, " + size, self.value(dump, "dominators, computed", "wall"),
                 6 * share, "s")
        self.add("referrers, a command, " + size, self.value(dump, "referrers", "wall", 1e3), 50, "ms",
                 rivals(self.near("dump", size), "referrers"))
        self.add("referrers, in the shell, " + size, self.value(dump, "shell: referrers", "wall", 1e6), 20, "us")
        self.add("why, a command, " + size, self.value(dump, "why", "wall", 1e3), 300, "ms",
                 rivals(self.near("dump", size), "why"))

    def growth(self):
        """The steepest row of remora's, where it takes long enough to tell."""
        worst = {}
        for name, step in growth(self.sections.values()):
            row = self.sections[step["to"]].row(name)
            if row.versus or row.median("wall") < SHORT:
                continue
            for key in ("wall", "cpu", "anon_mb"):
                if key in step:
                    worst[key] = max(worst.get(key, (0.0, "")), (step[key], name))
        for key, text in (("wall", "time"), ("cpu", "processor time"), ("anon_mb", "memory")):
            if key in worst:
                self.add("growth exponent of %s, the steepest" % text, worst[key][0], 1.1, "",
                         "of: " + worst[key][1])


def find(sections):
    """All goals that this run says something of."""
    goals = Goals(sections)
    sizes = [s.key.partition("-")[2] for s in sections if s.key.startswith("live-")]
    goals.attach(sizes)
    for size in sizes:
        share = {"10M": 1.0, "1M": 0.12, "100k": 0.02}.get(size)
        if share:
            goals.dump(size, {"10M": 2.5, "1M": 0.3, "100k": 0.1}[size], 15 if size == "10M" else 5)
            goals.questions(size, share)
    goals.growth()
    return goals.list


def lines_of(goals):
    yield "%-44s %10s %10s %-5s %s" % ("figure", "seen", "at most", "", "the next best takes")
    for goal in goals:
        seen = "-" if goal.value is None else "%.3g" % goal.value
        mark = {None: "", True: "met", False: "SHORT"}[goal.met]
        yield ("%-44s %10s %7.3g %-2s %-5s %s" % (goal.text, seen, goal.limit, goal.unit, mark,
                                                  goal.rival)).rstrip()
