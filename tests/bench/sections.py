# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a run: which target, and which rows are measured on it in turn."""
import contextlib
import math
import os
import statistics
import subprocess
import sys

import baselines
import machine
import pythons
import queries
from measure import Row, in_turn, once
from target import Target

TARGETS = pythons.TARGETS
VERSIONS = ((3, 8), (3, 11), (3, 13), (3, 14))


class Section:
    """A title, facts of its target, and its rows; noise is how many processors others kept busy."""

    def __init__(self, key, title):
        self.key, self.title, self.rows, self.facts, self.noise = key, title, [], {}, 0.0

    def row(self, name):
        return next((row for row in self.rows if row.name == name and not row.failure), None)


class Bench:
    """What all sections share. options as in __main__.py; show(section) is called with each part as
    soon as it is there."""

    def __init__(self, options, folder, show, tell):
        self.options, self.folder, self.show, self.tell = options, folder, show, tell
        self.sections, self.told = [], set()
        self.remora = options.remora
        self.kit = baselines.Kit(self.remora, folder, self.tell_once)
        self.group = machine.Cgroup()
        if not self.group.usable:
            tell("skipped: growth of the target's cgroup: no memory cgroup can be made here")
        self.main = self.choose_main()

    def tell_once(self, text):
        if text not in self.told:
            self.told.add(text)
            self.tell(text)

    def choose_main(self):
        """The interpreter that most is measured on: the chosen one, or one that has objgraph."""
        found = [p for p in pythons.find(programs=True) if p.supported and not p.debug]
        if self.options.python:
            found = [p for p in found if p.name == self.options.python]
        if not found:
            try:
                found = [pythons.Interpreter(self.options.python, [self.options.python])]
            except (OSError, subprocess.SubprocessError) as error:
                raise SystemExit("bench: --python %s: %s" % (self.options.python, error))
        return next((p for p in found if p.has("objgraph")), found[0])

    def file(self, name):
        return os.path.join(self.folder, name)

    def begin(self, key, title, target):
        section = Section(key, title)
        section.facts = {"python": target.python, "version": ".".join(map(str, target.interpreter.version)),
                         "rss_mb": target.rss_mb, "start_s": target.born_s}
        self.sections.append(section)
        return section

    def measure(self, section, rows, target, runs=None):
        """All rows in turn, while the noise of others is watched."""
        noise = machine.Noise(target.pids() if target else ())
        in_turn(rows, runs or self.options.runs, target, self.options.patience, self.tell)
        section.rows += rows
        section.noise = max(section.noise, noise.others())
        return section

    def dumps(self, target, plain):
        """remora's own rows on a live process."""
        dump = [self.remora, "dump", target.pid]
        return [
            Row("remora run -c pass", [self.remora, "run", target.pid, "-c", "pass"]),
            Row("remora dump", dump + ["-o", plain], output=plain),
            Row("remora dump .zst", dump + ["-o", plain + ".zst"], output=plain + ".zst"),
            Row("remora dump, not kept", dump + ["-o", "-"], null=True),
        ]

    def control(self):
        """What nothing costs: a short command, and the target's own largest gap meanwhile."""
        return [Row("(nothing: sleep 0.2)", ["sleep", "0.2"])]

    # Sections

    def size(self, count, name):
        """The workload of one size: live, then the questions to its dump."""
        plain, other = self.file("heap-%d.json" % count), self.file("other-%d.json" % count)
        with Target(self.main, "workload", count, group=self.group) as target:
            section = self.begin("live-" + name, "live, workload of %s objects" % name, target)
            dump = [self.remora, "dump", target.pid]
            rows = self.control() + self.dumps(target, plain) + [
                Row("remora dump --format meliae", dump + ["--format", "meliae", "-o", plain + ".meliae"],
                    output=plain + ".meliae"),
                Row("remora dump --in-place", dump + ["--in-place", "-o", other], output=other),
                Row("remora summary PID", [self.remora, "summary", target.pid]),
            ]
            rows += self.kit.walks(target, plain) + self.kit.objgraph(target) + self.kit.gdb(target)
            self.measure(section, rows, target)
            made = section.row("remora dump")
            if not made:
                raise SystemExit("bench: no dump of %s objects could be made" % name)
            section.facts.update(objects=made.median("objects"), references=made.median("references"))
            self.show(section)
            self.remove(plain + ".zst", plain + ".meliae")
            asked = self.begin("dump-" + name, "queries on its dump of %.0f MB" % made.median("written_mb"),
                               target)
            asked.facts.update(section.facts)
            address = str(target.facts["address"])
            with_json = sys.executable if count <= self.options.load_limit else None
            if not with_json:
                self.tell("skipped: json.loads of the dump in plain Python: its objects do not fit (%s)" % name)
            self.measure(asked, queries.commands(self.remora, plain, other, address, with_json) +
                         queries.in_shell(self.remora, self.folder, plain, address) +
                         self.kit.questions(target), target)
        for suffix in queries.SUFFIXES:
            with contextlib.suppress(OSError):
                asked.facts["index_mb"] = asked.facts.get("index_mb", 0) + os.path.getsize(plain + suffix) / 1e6
        self.remove(plain, other)
        self.show(asked)

    def remove(self, *files):
        for file in files:
            queries.forget(file, ("",) + queries.SUFFIXES)

    def attach(self, title, target):
        """Many attaches to one target: how the stops and the whole command are spread."""
        section = self.begin("attach-" + title, "%d attaches to %s" % (self.options.attaches, title), target)
        noise = machine.Noise(target.pids())
        row = Row("remora run -c pass", [self.remora, "run", target.pid, "-c", "pass"])
        once(row, target)
        for _ in range(self.options.attaches):
            row.runs.append(once(row, target))
        section.rows, section.noise = [row], noise.others()
        self.show(section)

    def extreme(self, shape, count):
        """One shape of heap that is hard on walks and analyses."""
        with Target(self.main, "shapes", shape, count, group=self.group) as target:
            section = self.begin("shape-" + shape, "%s of %d" % (shape, count), target)
            self.whole_way(section, target, self.kit.walks(target, None, ("walk",)))
            if shape == "threads":
                self.attach("%d threads" % count, target)

    def whole_way(self, section, target, more):
        """Live rows and the heaviest questions, in one section."""
        plain = self.file("heap.json")
        self.measure(section, self.control() + self.dumps(target, plain) + more, target)
        made = section.row("remora dump")
        if not made:
            raise SystemExit("bench: no dump of %s could be made" % section.title)
        section.facts.update(objects=made.median("objects"), references=made.median("references"))
        address = str(target.facts["address"])
        ask = lambda name, *words: Row(name, [self.remora] + [str(word) for word in words], null=True, live=False)
        self.measure(section, [
            queries.first_load(self.remora, plain, address),
            ask("referrers", "referrers", plain, address), ask("why", "why", plain, address),
            queries.dominators(self.remora, plain), ask("groups --by owner", "groups", plain, "--by", "owner"),
            ask("waste", "waste", plain), ask("cycles", "cycles", plain)], None)
        self.remove(plain, plain + ".zst")
        self.show(section)

    def service(self, count):
        """A Flask service that answers about 300 requests a second meanwhile."""
        found = [self.main] + pythons.find(programs=True)
        interpreter = next((p for p in found if p.supported and p.has("flask")), None)
        if interpreter is None:
            self.tell("skipped: the service: no interpreter here has Flask (python3-flask)")
            return
        with Target(interpreter, "service", count, group=self.group) as target:
            beats = self.file("answers")
            target.load_with([sys.executable, str(TARGETS / "service_client.py"), str(target.facts["port"]),
                              "900", "--hb", beats], beats)
            section = self.begin("service", "Flask service of %d articles under load" % count, target)
            self.whole_way(section, target, self.kit.walks(target, None, ("walk",)) + self.kit.gdb(target))
            self.attach("the service under load", target)

    def memory(self, count, name):
        """What the twin costs in memory where the target meanwhile writes to what they share."""
        plain = self.file("heap.json")
        for meanwhile, title in (("collect", "collects garbage again and again"), ("change", "changes a million objects a second")):
            with Target(self.main, "workload", count, "--meanwhile", meanwhile, group=self.group) as target:
                section = self.begin("memory-%s-%s" % (meanwhile, name),
                                     "workload of %s objects that %s" % (name, title), target)
                self.measure(section, self.control() + self.dumps(target, plain)[1:2], target)
                self.remove(plain)
                self.show(section)

    def version(self, version, count):
        """The workload on another interpreter."""
        number = "%d.%d" % version
        found = pythons.first(lambda p: p.supported and p.version[:2] == version and not p.debug)
        if found is None:
            self.tell("skipped: Python %s: no such interpreter here" % number)
            return
        plain = self.file("heap.json")
        with Target(found, "workload", count, group=self.group) as target:
            section = self.begin("python-" + number, "Python %s, %d objects" % (number, count), target)
            self.measure(section, self.control() + self.dumps(target, plain) +
                         self.kit.walks(target, plain, ("walk", "json")), target)
            made = section.row("remora dump")
            if made:
                section.facts.update(objects=made.median("objects"), references=made.median("references"))
                self.measure(section, [
                    queries.first_load(self.remora, plain, str(target.facts["address"])),
                    queries.dominators(self.remora, plain)], None)
            self.remove(plain, plain + ".zst")
            self.show(section)

    def tracing(self, count):
        """tracemalloc: what its snapshot costs, in a target that has traced from its start."""
        plain = self.file("heap.json")
        with Target(self.main, "workload", count, env={"PYTHONTRACEMALLOC": "1"}) as target:
            section = self.begin("tracemalloc", "traced by tracemalloc, %d objects" % count, target)
            self.measure(section, [self.dumps(target, plain)[1]] + self.kit.tracemalloc(target), target)
            self.remove(plain)
            self.show(section)

    def peer(self, peer, count, name):
        """A tool whose path was given, in a target of its own: some leave much in it, or end it."""
        plain = self.file("heap.json")
        with Target(self.main, "workload", count) as target:
            section = self.begin("peer-%s-%s" % (peer, name), "%s, workload of %s objects" % (peer, name), target)
            self.measure(section, self.dumps(target, plain)[:2] +
                         [self.kit.peer(target, peer, self.options.peers[peer])], target)
            self.remove(plain)
            self.show(section)


def spread(values):
    """Median, 99th part in a hundred, and largest."""
    values = sorted(values)
    return statistics.median(values), values[math.ceil(len(values) * 0.99) - 1], values[-1]
