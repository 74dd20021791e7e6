# SPDX-License-Identifier: GPL-3.0-or-later
"""Every analysis against brute force (heap_model.py), on random heaps with cycles, many roots, references to
nothing, equal references, immortal objects, addresses used again. A failure names its seed."""
import collections
import json
import os
import random
import re
import tempfile
import unittest

import heap_model
import support

COUNT = 1500 if os.environ.get("REMORA_LONG") else 40
FIRST = int(os.environ.get("REMORA_SEED", "1"))
PARTITIONS = ("type", "module", "size", "referrer", "via", "owner")


class Models(support.LiveTest):
    maxDiff = None
    make = {}  # what heap_model.Heap() is told
    count = COUNT

    def ask(self, path, *commands):
        """The answers of one shell to these commands, decoded."""
        script = "".join(c + " --format json\n" for c in commands)
        result = self.good(support.remora("shell", path, stdin=script.encode()))
        answers, at, decoder = [], 0, json.JSONDecoder()
        while result.out[at:].strip():
            at += len(result.out[at:]) - len(result.out[at:].lstrip())
            answer, at = decoder.raw_decode(result.out, at)
            answers.append(answer)
        self.assertEqual(len(answers), len(commands), repr(result))
        return answers

    def each(self, check, most=30):
        """Calls check() with a random generator, a heap, its model and where it lies as a dump."""
        for seed in range(FIRST, FIRST + self.count):
            rand = random.Random("%d %s" % (seed, self.id()))
            heap = heap_model.Heap(rand, rand.randrange(4, most), rand.random() < .3, **self.make)
            with tempfile.TemporaryDirectory(prefix="remora-e2e-") as folder:
                path = os.path.join(folder, "heap.jsonl")
                heap.write(path)
                try:
                    check(rand, heap, heap_model.Model(heap), path)
                except Exception as error:
                    raise AssertionError("with REMORA_SEED=%d" % seed) from error


class OneDump(Models):
    """What is asked of one heap."""

    def test_groups(self):
        self.each(self.groups)

    def groups(self, _, heap, model, path):
        model.dominate()
        answers = self.ask(path, *("groups --limit 0 --retained --by " + by for by in PARTITIONS))
        for by, rows in zip(PARTITIONS, answers):
            if by == "owner" and model.is_open:
                continue
            want = {label: (len(m), sum(heap.objects[a]["size"] for a in m),
                            None if model.is_open else model.outermost(m))
                    for label, m in model.groups(by).items()}
            got = {r["group"]: (r["count"], r["bytes"], None if model.is_open else r["retained"])
                   for r in rows}
            self.assertEqual(got, want, by)

    def test_groups_in_groups(self):
        self.each(self.groups_in_groups)

    def groups_in_groups(self, rand, heap, model, path):
        first, second = rand.sample(PARTITIONS[:5] if model.is_open else PARTITIONS, 2)
        model.dominate()
        label, members = rand.choice(sorted(g for g in model.groups(first).items() if quoted(g[0])))
        rows, = self.ask(path, "groups --limit 0 --by %s --group %s --by %s" %
                         (first, quoted(label), second))
        want = collections.Counter(model.group(second, a) for a in members)
        self.assertEqual({r["group"]: r["count"] for r in rows}, want)

    def test_dominators(self):
        self.each(self.dominators)

    def dominators(self, _, heap, model, path):
        model.dominate()
        addresses = [a for a in sorted(heap.objects) if not model.is_open or a in model.kept]
        for a, row in zip(addresses, self.ask(path, *("show %d" % a for a in addresses))):
            owner = model.owner[a]
            self.assertEqual((row["retained"], row.get("dominator")),
                             (model.retained[a], owner if owner and owner >= 16 else None), a)

    def test_cycles(self):
        self.each(self.cycles)

    def cycles(self, _, heap, model, path):
        rows, = self.ask(path, "cycles --each --limit 0")
        self.assertEqual(sorted((r["address"], r["count"], r["bytes"], r["state"]) for r in rows),
                         model.cycles())
        for row in rows:
            if row["count"] == 1:
                self.assertEqual(row["types"], model.label(row["address"]))
            links, first = row["ring"].split(" -> "), row["address"]
            length = model.ring(first)
            if length > 12:
                self.assertEqual(links.pop(), "... (%d objects)" % length)
                self.assertTrue(model.walk(first, links), row)
            else:
                self.assertEqual((len(links), first in model.walk(first, links)), (length, True), row)

    def test_waste(self):
        self.each(self.waste, 90)

    def waste(self, _, heap, model, path):
        answer, = self.ask(path, "waste --limit 0")
        totals = {t["kind"]: (t["count"], t["bytes"]) for t in answer["totals"] if t["count"]}
        self.assertEqual(totals, model.waste())
        rows = collections.defaultdict(lambda: (0, 0))
        for row in answer["worst"]:
            count, size = rows[row["kind"]]
            rows[row["kind"]] = (count + row["count"], size + row["bytes"])
        self.assertEqual(dict(rows), totals)

    def test_paths(self):
        self.each(self.paths)

    def paths(self, rand, heap, model, path):
        target = rand.choice(sorted(heap.objects))
        avoid = [str(rand.choice(sorted(heap.objects))) for _ in range(rand.randrange(2))]
        if rand.random() < .3:
            avoid.append(rand.choice(sorted({model.label(a) for a in heap.objects
                                             if quoted(model.label(a))})))
        words = "".join(" --avoid " + quoted(word) for word in avoid)
        answer, = self.ask(path, "why %d --paths 100%s" % (target, words))
        self.check_paths(model, target, set(avoid), answer)

    def check_paths(self, model, target, avoid, answer):
        def barred(a):
            return str(a) in avoid or model.label(a) in avoid

        def distances(follow):
            found, level = {target: 1}, [target]
            while level:
                level = [a for a in model.objects if a not in found and not barred(a) and
                         not found.keys().isdisjoint(follow[a])]
                found.update(dict.fromkeys(level, max(found.values()) + 1))
            return found

        def starts(found):
            """Each root that leads to an object on the way, but for those of the last resort."""
            return sorted((length, root["label"], a) for root in model.roots
                          for a, length in found.items()
                          if root["root"] != "static" and
                          (root["root"] != "frame" or any(
                              t == a and name and name[0] != "<"
                              for t, name in zip(root["refs"], root["names"]))) and a in root["refs"])

        steps = collections.defaultdict(list)
        for step in answer["steps"]:
            steps[step["path"]].append(step)
        got = []
        for row in answer["paths"]:
            way = [s["address"] for s in steps[row["path"]]]
            self.assertEqual((len(way), way[-1], len(set(way))), (row["steps"], target, len(way)))
            for a, b, step in zip(way, way[1:], steps[row["path"]][1:]):
                self.assertFalse(barred(a), row)
                names = [n for t, (n, _) in zip(model.edges[a], model.names(a)) if t == b]
                self.assertTrue(names, "no reference from %d to %d" % (a, b))
                if step["name"] and step["name"][0] != "<":
                    self.assertIn(step["name"], names)
            label = next((r["label"] for r in sorted(model.roots, key=lambda r: -len(r["label"]))
                          if row["expression"].startswith(r["label"])), None)
            got.append((len(way), label, way[0]))
        named = {a: model.leads(a) if model.strong[a] else [] for a in model.objects}
        want = starts(distances(named)) or starts(distances(model.strong))
        if want:
            self.assertEqual(sorted(got), want)
            self.assertEqual([g[0] for g in got], sorted(g[0] for g in got))
        else:
            # What --avoid leaves nothing of is told in a sentence.
            self.assertIn(len({g[2] for g in got}), (0, 1) if avoid else (1,), "more than one last resort")

    def test_trees(self):
        self.each(self.trees)

    def trees(self, rand, heap, model, path):
        start = rand.choice(sorted(heap.objects))
        depth, breadth = rand.randrange(1, 6), rand.randrange(1, 6)
        options = "%d --depth %d --breadth %d" % (start, depth, breadth)
        answers = self.ask(path, "tree " + options, "tree --up " + options)
        for up, rows in enumerate(answers):
            got = [(r["depth"], r["address"] or (r["type"] and r["value"]), r["mark"] or
                    (r["name"] if not r["type"] else None)) for r in rows]
            self.assertEqual(got, self.tree(model, start, depth, breadth, up))

    def tree(self, model, start, depth, breadth, up):
        rows, done = [], set()

        def visit(a, level, above):
            inside = [b for b, _ in model.branches(a, up)] if not isinstance(a, str) else []
            mark = None
            if a in above:
                mark = "cycle"
            elif inside and a in done:
                mark = "seen above"
            elif inside and level >= depth:
                mark = "..."
            rows.append((level, a, mark))
            if mark or not inside:
                return
            for b in inside[:breadth]:
                visit(b, level + 1, above | {a})
            if len(inside) > breadth:
                rows.append((level + 1, None, "... %d more" % (len(inside) - breadth)))
            done.add(a)

        visit(start, 0, frozenset())
        return rows


class Hostile(OneDump):
    """The same with names and sizes of a bad dream."""
    make = {"hostile": True}
    count = COUNT // 3


class TwoDumps(Models):
    """Some objects went, some came, some addresses were used again."""

    def change(self, rand, heap):
        heap.objects = json.loads(json.dumps(heap.objects), object_hook=by_number)
        for address in heap.addresses:
            record = heap.objects.get(address)
            if address in heap.classes or rand.random() < .6:
                continue
            if record and rand.random() < .3:
                del heap.objects[address]
            elif not record or rand.random() < .5:
                heap.renew(address)
            elif record["refs"] and record["type"] != "dict":
                record["refs"][0] = rand.choice(heap.addresses)
        heap.settle()

    def test_survivors(self):
        self.each(self.survivors)

    def survivors(self, rand, heap, first, path):
        """Of three dumps: what is in the second and the third, and not in the first."""
        models, paths = [first], [path]
        for number in (1, 2):
            self.change(rand, heap)
            models.append(heap_model.Model(heap))
            paths.append("%s-%d" % (path, number))
            heap.write(paths[-1], number)
        _, second, third = models
        rows, = self.ask(paths[2], "diff %s %s --all --limit 0" % (paths[0], paths[1]))
        want = collections.defaultdict(lambda: [0, 0, 0, None])
        for a in sorted(second.objects):
            if heap_model.same(second, first, a):
                continue
            row, now = want[second.label(a)], third.objects.get(a)
            row[0] += 1
            if not heap_model.same(second, third, a):
                continue
            row[1] += 1
            row[2] += now["size"]
            if row[3] is None or now["size"] > third.objects[row[3]]["size"]:
                row[3] = a
        got = {r["type"]: [r["born"], r["survivors"], r["survivor_bytes"], r["example"]] for r in rows}
        self.assertEqual({k: v for k, v in got.items() if v[0]}, want)

    def test_steady(self):
        self.each(self.steady)

    def steady(self, rand, heap, first, path):
        """Of five dumps: what grew in every interval comes first."""
        models, paths = [first], [path]
        for number in range(1, 5):
            self.change(rand, heap)
            models.append(heap_model.Model(heap))
            paths.append("%s-%d" % (path, number))
            heap.write(paths[-1], number)
        by = rand.choice(PARTITIONS[:5])
        rows, = self.ask(paths[-1], "diff %s --by %s --all --limit 0" % (" ".join(paths[:-1]), by))
        want = collections.defaultdict(lambda: [0] * 10)
        for at, model in enumerate(models):
            for a, record in model.objects.items():
                cells = want[model.label(a) if by == "type" else model.group(by, a)]
                cells[at] += record["size"]
                cells[5 + at] += 1
        got = {r[by]: [r["%s_%d" % (what, at)] for what in ("bytes", "count") for at in range(1, 6)] for r in rows}
        self.assertEqual(got, want)
        for row in rows:
            sizes = list(zip(got[row[by]][:5], got[row[by]][5:]))
            self.assertEqual((row["grew"], row["bytes_change"]),
                             (sum(x < y for x, y in zip(sizes, sizes[1:])), sizes[-1][0] - sizes[0][0]))
        order = [(r["grew"] < 4, -r["bytes_change"]) for r in rows]
        self.assertEqual(order, sorted(order))

    def test_by_path(self):
        self.each(self.by_path)

    def by_path(self, rand, heap, old, before):
        """Each object that retains more than 1/500, by the path that `why` has, in both dumps."""
        self.change(rand, heap)
        after, new = before + "-after", heap_model.Model(heap)
        heap.write(after, 1)
        if old.is_open or new.is_open:
            return
        rows, = self.ask(after, "diff %s --all --limit 0 --by path" % before)
        want = collections.defaultdict(lambda: [[0, 0], [0, 0]])
        nodes = collections.defaultdict(list)
        for at, (model, path) in enumerate(((old, before), (new, after))):
            model.dominate()
            objects = [n for n in model.retained if n >= 16 and n in model.objects]
            answers = self.ask(path, *("why --brief %d" % n for n in objects))
            labels = {n: re.sub(r"\[[0-9]+\]", "[*]", answer["paths"][0]["expression"])
                      if answer["paths"][0]["start"] == "root" else model.label(n)
                      for n, answer in zip(objects, answers)}
            labels.update((n, model.roots[n]["label"]) for n in model.retained if n < 16)
            least = sum(o["size"] + o.get("owned", 0) for o in model.objects.values()) // 500
            for node, label in labels.items():
                if model.retained[node] > least:
                    nodes[label].append((at, node))
                    want[label][at][0] += len(model.below[node])
                    want[label][at][1] += model.retained[node]
        for label, found in nodes.items():
            at, node = found[-1]
            other = (old, new)[1 - at]
            if len(found) == 1 and node >= 16 and heap_model.same((old, new)[at], other, node):
                want[label][1 - at] = [len(other.below[node]), other.retained[node]]
        got = {r["path"]: [[r["count_before"], r["bytes_before"]], [r["count"], r["bytes"]]] for r in rows}
        # A path of several objects in one dump and none in the other: any of them may be looked up there.
        for label in [k for k, v in nodes.items() if len(v) > 1 and [0, 0] in want[k]]:
            del want[label], got[label]
        self.assertEqual(got, want)

    def test_types_and_groups(self):
        self.each(self.types_and_groups)

    def types_and_groups(self, rand, heap, old, before):
        self.change(rand, heap)
        after, new, words = before + "-after", heap_model.Model(heap), list(PARTITIONS)
        heap.write(after, 1)
        for model in (old, new):
            model.dominate()
        if old.is_open or new.is_open:
            words.remove("owner")
        answers = self.ask(after, *("diff %s --all --limit 0 --by %s" % (before, by) for by in words))
        born = [a for a in sorted(new.objects) if not heap_model.same(new, old, a)]
        gone = [a for a in sorted(old.objects) if not heap_model.same(old, new, a)]
        for by, rows in zip(words, answers):
            def key(model, a):
                return model.label(a) if by == "type" else model.group(by, a)

            want = collections.defaultdict(lambda: [0] * 6)
            for model, at in ((old, 0), (new, 2)):
                for a, record in model.objects.items():
                    want[key(model, a)][at] += 1
                    want[key(model, a)][at + 1] += record["size"]
            for a in born:
                want[key(new, a)][4] += 1
            for a in gone:
                want[key(old, a)][5] += 1
            got = {r[by]: [r["count_before"], r["bytes_before"], r["count"], r["bytes"], r["born"],
                           r["gone"]] for r in rows}
            self.assertEqual(got, want, by)
            for row in rows:
                some = [a for a in born if key(new, a) == row[by]]
                self.assertEqual(row["bytes_change"], row["bytes"] - row["bytes_before"])
                self.assertEqual(row["example"], max(some, key=lambda a: new.objects[a]["size"],
                                                     default=None))


def quoted(word):
    """As a word of the shell; None if it cannot be one, as it is of several lines."""
    if "\n" not in word:
        return '"%s"' % word.replace("\\", "\\\\").replace('"', '\\"')


def by_number(item):
    """JSON has only strings as keys."""
    return {int(k) if k.isdigit() else k: v for k, v in item.items()}


if __name__ == "__main__":
    unittest.main()
