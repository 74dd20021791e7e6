# SPDX-License-Identifier: GPL-3.0-or-later
"""`leaks` against brute force: what is retained is found by leaving one object out, and who is a suspect,
in which order, by the rules of cli/heap/leaks.c in their shortest form."""
import collections
import json
import os
import random
import re
import unittest

import heap_model
import support
from test_model import COUNT, FIRST, Models, by_number

ITEMS_MIN, GROWTH_MIN, WEIGHT, PASSAGE, GARBAGE, LIMIT = 50, 10, 64, 70, 50, 10
CROWDS = ("<held by C code>", "<unreachable>", "<threads>")
CROWD, PLACE, OF_GROWTH, OF_HEAP = 50, 16384, 10, 500


class LeakHeap(heap_model.Heap):
    """A small heap, and in it a few containers of many items, some of them in each other."""

    def __init__(self, rand):
        super().__init__(rand, rand.randrange(20, 60))
        self.next, self.containers = 16 * 10000, []
        for _ in range(rand.randrange(1, 6)):
            a = rand.choice([a for a in self.addresses if a not in self.classes])
            if a not in self.containers:
                self.containers.append(a)
                self.hold(a, rand.choice(("list", "dict", "pairs", "set", "deque", "tuple")))
                self.add(a, rand.choice((20, 49, 50, 60, 99, 120)))
        self.settle()

    def stray(self, count):
        """Objects that only C holds."""
        for _ in range(count):
            t, self.next = self.next, self.next + 16
            self.objects[t] = {"address": t, "type": "Stray", "size": 1000, "rc": 0, "refs": [], "flags": [],
                               "held": True}

    def hold(self, a, kind):
        self.objects[a] = {"address": a, "type": "dict" if kind == "pairs" else kind, "rc": 0, "refs": [], "len": 0,
                           "size": self.rand.randrange(56, 5000), "flags": [], "held": self.rand.random() < .1}
        if kind == "dict":
            self.objects[a]["keys"] = []

    def add(self, a, count):
        """Some new objects into a container, or some that are there, or one container into another."""
        rand, record = self.rand, self.objects[a]
        kinds = rand.choice((["str"], ["method"], ["str", "Node"], ["Node", "list"]))
        shared = rand.choice((0, 0, .1, .9))
        for _ in range(count):
            if rand.random() < shared:
                t = rand.choice(sorted(self.objects))
            else:
                t, self.next = self.next, self.next + 16
                kind = rand.choice(kinds)
                self.objects[t] = item = {"address": t, "type": kind, "size": rand.choice((50, 60, 500)), "rc": 0,
                                          "refs": [], "flags": [], "held": False}
                if kind == "str":
                    item.update(value="a%d" % t, len=len("a%d" % t))
                elif kind == "list":
                    item["refs"] = [rand.choice(sorted(self.objects)) for _ in range(rand.randrange(2))]
                    item["len"] = len(item["refs"])
            record["refs"] += [t] * (2 if record["type"] == "dict" and "keys" not in record else 1)
        record["len"] = len(record["refs"])
        record["size"] += 8 * count


class LeakModel(heap_model.Model):
    def __init__(self, heap):
        super().__init__(heap)
        self.everything = self.all_reached()
        self.total = sum(map(self.bytes, self.everything))
        self.known = {}

    def under(self, a):
        if a not in self.known:
            self.known[a] = self.everything - self.all_reached(a)
        return self.known[a]

    def retains(self, a):
        return sum(map(self.bytes, self.under(a)))

    def items(self, a):
        record = self.objects[a]
        if record["type"] == "dict" and "keys" not in record and len(record["refs"]) == 2 * record["len"]:
            return record["refs"][::2]
        if record["type"] == "dict" and len(record.get("keys", ())) == len(record["refs"]) == record["len"]:
            return record["refs"]
        return self.edges[a]

    def can_grow(self, a):
        kind = self.objects[a]["type"]
        return kind not in ("str", "bytes", "tuple", "cell", "type", "int", "method")

    def is_furniture(self, a):
        """What the interpreter keeps, or the dict of a class."""
        if any(a in r["refs"] for r in self.roots if r["root"] in heap_model.OVER):
            return True
        record, above = self.objects[a], self.referrers[a]
        if record["type"] != "dict":
            return False
        if not above and record.get("keys") and record["keys"] == record["refs"]:
            return True
        return bool(above) and all(self.objects[r]["type"] == "type" for r in above)

    def is_passage(self, a):
        inside = [n for n in self.under(a) if n != a]
        return bool(inside) and 100 * max(self.retains(n) for n in inside) > PASSAGE * self.retains(a)

    def types(self, a):
        counts = collections.Counter(self.label(t) for t in self.items(a))
        return counts, 100 * max(counts.values()) // sum(counts.values())

    def candidates(self, least):
        return [a for a in sorted(self.objects) if self.can_grow(a) and len(self.edges[a]) >= least and
                len(self.items(a)) >= least and not self.is_furniture(a)]


class Leaks(Models):
    def heaps(self, dumps):
        """For each seed: a random generator, the paths of some dumps of one heap that grows, their models."""
        folder = self.folder()
        for seed in range(FIRST, FIRST + COUNT // 2):
            rand = random.Random("%d %s" % (seed, self.id()))
            heap, models, paths = LeakHeap(rand), [], []
            strays = rand.choice(((0,), (0, 30, 60, 120), (60,)))
            for number in range(dumps):
                if number:
                    heap.objects = json.loads(json.dumps(heap.objects), object_hook=by_number)
                    for a in heap.containers:
                        if a not in heap.objects or rand.random() < .05:
                            heap.hold(a, "list")
                            heap.add(a, 20)
                        elif rand.random() < .05:
                            del heap.objects[a]
                        elif rand.random() < .8:
                            heap.add(a, rand.choice((1, 5, 11, 30)))
                    heap.stray(rand.choice(strays))
                    heap.settle()
                paths.append(os.path.join(folder, "%d-%d.jsonl" % (seed, number)))
                heap.write(paths[-1], number)
                models.append(LeakModel(heap))
            if any(model.is_open for model in models):
                continue
            try:
                yield rand, paths, models
            except GeneratorExit:
                print("with REMORA_SEED=%d" % seed)
                raise

    def generals(self, path, addresses):
        """The paths of objects, with [*] for any index."""
        found = {}
        for a, answer in zip(addresses, self.ask(path, *("why %d" % a for a in addresses))):
            first = answer["paths"][0]
            names, attribute = [], True
            for i, step in enumerate(s for s in answer["steps"] if s["path"] == first["path"]):
                name = step["name"] or ""
                names.append("[*]" if name[:1] == "[" and i > 1 and not attribute else name)
                attribute = name == ".__dict__"
            label = re.match(r"<\w+ \w+>|\w+|<", first["expression"])[0] if first["start"] == "root" \
                else first["start"] + answer["type"]
            found[a] = "".join(names) + "|" + label
        return found

    def test_one_dump(self):
        for _, (path,), (model,) in self.heaps(1):
            suspects = []
            for a in model.candidates(ITEMS_MIN):
                if model.is_passage(a):
                    continue
                counts, percent = model.types(a)
                score = (model.retains(a) + WEIGHT * len(model.items(a))) * percent / 100
                suspects.append((score / (GARBAGE if a in model.garbage else 1), a, percent, counts))
            general = self.generals(path, [s[1] for s in suspects]) if suspects else {}
            want = []
            for score, a, percent, counts in sorted(suspects, key=lambda s: (-s[0], s[1])):
                shared = sum(t not in model.under(a) for t in model.items(a))
                worth = score * 100 >= model.total and model.retains(a) * 100 >= model.total or (
                    len(model.items(a)) >= 100 and percent >= 90 and shared * 2 <= len(model.items(a)) and
                    counts.most_common(1)[0][0] == "method")
                if worth and not any(general[a] == general[b] or a in model.under(b) for b, *_ in want) \
                        and len(want) < LIMIT:
                    want.append((a, model.retains(a), len(model.items(a)), float("%.6g" % score)))
                    best = counts.most_common(1)[0][1]
                    self.assertTrue(best)
            rows, = self.ask(path, "leaks")
            self.assertEqual([(r["address"], r["retained"], r["children"], r["score"])
                              for r in rows], want, path)
            for row in rows:
                self.inside(model, row)
                counts, _ = model.types(row["address"])
                self.assertEqual(counts[row["child_type"]], max(counts.values()))
                self.assertAlmostEqual(row["share"], row["retained"] / model.total, 4)

    def inside(self, model, row):
        """The three types that make up most of what it keeps alive."""
        counts, sizes = collections.Counter(), collections.Counter()
        for a in model.under(row["address"]) - {row["address"]}:
            if a in model.objects:
                counts[model.label(a)] += 1
                sizes[model.label(a)] += model.bytes(a)
        told = re.findall(r"([\d,]+) ([\w.]+) \(", row["prose"].partition("Inside: ")[2])
        self.assertEqual(sorted(sizes[name] for _, name in told), sorted(sizes.values())[-3:])
        self.assertEqual([int(n.replace(",", "")) for n, _ in told], [counts[name] for _, name in told])

    def test_two_dumps(self):
        self.grown(2)

    def test_four_dumps(self):
        self.grown(4)

    def growth(self, models, a):
        """Of a container that grew from each dump to the next: by how many items and bytes; else None."""
        now, after, first, size = models[-1], len(models[-1].items(a)), 0, 0
        for at in range(len(models) - 2, -1, -1):
            model = models[at]
            if a not in model.objects or model.label(a) != now.label(a):
                if at == len(models) - 2:
                    return None
                break
            if len(model.items(a)) >= after:
                return None
            after = first = len(model.items(a))
            size = model.retains(a)
        items = len(now.items(a)) - first
        return (items, max(0, now.retains(a) - size)) if items >= GROWTH_MIN else None

    def grown(self, dumps):
        told = 0
        for _, paths, models in self.heaps(dumps):
            now, suspects = models[-1], {}
            for a in now.candidates(GROWTH_MIN):
                growth = self.growth(models, a)
                if growth:
                    score = (growth[1] + WEIGHT * growth[0]) / (GARBAGE if a in now.garbage else 1)
                    if a not in now.garbage or growth[1] * 100 >= now.total:
                        suspects[a] = growth[1], float("%.6g" % score)
            result = self.good(support.remora("leaks", *paths, "--format", "json"))
            rows = json.loads(result.out)
            self.assertEqual([r["score"] for r in rows], sorted((r["score"] for r in rows), reverse=True))
            for at, row in enumerate(rows):
                a = row["address"]
                if row["path"] in CROWDS:
                    continue
                self.assertEqual(row["retained"], now.retains(a), paths)
                if a in suspects:
                    told += 1
                    self.assertEqual((row["growth"], row["score"]), suspects[a], paths)
                    self.assertEqual(row["children"], len(now.items(a)))
                    self.assertFalse([b for b in rows[:at] if a in now.under(b["address"])])
                else:  # no container: a place where the tree grew
                    self.place(models, row)
            told_at = {r["address"] for r in rows if not r["path"] in CROWDS}
            general = self.generals(paths[-1], sorted(told_at | suspects.keys())) if rows else {}
            for a, (_, score) in suspects.items():
                above = [r for r in rows if r["score"] >= score]
                self.assertTrue(len(above) >= LIMIT or any(
                    r["address"] == a or a in now.under(r["address"]) or
                    general.get(r["address"]) == general[a] for r in above), (a, paths))
            self.crowd(models, rows, paths)
        self.assertTrue(told)

    def place(self, models, row):
        """No container of many: it grew since it is there, or a larger one took its place each time."""
        now, a = models[-1], row["address"]
        same = [a in m.objects and heap_model.same(now, m, a) for m in models[:-1]]
        before = [self.replaced(now, m, a) for m in models[:-1]]
        while None in before:
            del before[0]
        sizes = [m.retains(b) for m, b in zip(models[len(models) - 1 - len(before):], before)] + [now.retains(a)]
        replaced = not same[-1] and before and sizes == sorted(set(sizes))
        self.assertEqual("It took the place of" in row["prose"], bool(replaced), row)
        if not replaced:
            sizes = [m.retains(a) if known else 0 for m, known in zip(models, same)] + [now.retains(a)]
            since = [size for at, size in enumerate(sizes) if any(sizes[:at + 1])]
            self.assertEqual(since, sorted(set(since)), row)
            self.assertEqual("It is new since" in row["prose"], len(since) == 1, row)
        self.assertEqual(row["growth"], sizes[-1] - sizes[0], row)

    @staticmethod
    def replaced(now, old, a):
        """What a reference of the same name of the same owner led to."""
        for r in now.referrers[a][:16]:
            name = next(name for t, (name, _) in zip(now.edges[r], now.names(r)) if t == a)
            if name and r in old.objects and old.label(r) == now.label(r):
                found = next((t for t, (n, _) in zip(old.edges[r], old.names(r)) if n == name), None)
                if found in old.objects and old.label(found) == now.label(a):
                    return found
        return None

    def crowd(self, models, rows, paths):
        """What only C holds is told if it became more in every interval, by enough."""
        strays = [[a for a, o in m.objects.items() if o["type"] == "Stray" and a not in m.alive] for m in models]
        counts, now = [len(s) for s in strays], models[-1]
        sizes = [sum(m.bytes(a) for a in s) for m, s in zip(models, strays)]
        grown = now.total - models[0].total
        if any(b <= a for a, b in zip([m.total for m in models], [m.total for m in models[1:]])):
            grown = 0
        least = max(PLACE, grown // OF_GROWTH, now.total // OF_HEAP)
        worth = all(a < b for a, b in zip(counts, counts[1:])) and counts[-1] - counts[0] >= CROWD and \
            sizes[-1] >= sizes[0] + least
        got = [(r["children"], r["retained"], r["growth"]) for r in rows if r["path"] == "<held by C code>"
               and r["child_type"] == "Stray"]
        want = [(counts[-1], sizes[-1], sizes[-1] - sizes[0])] if worth else []
        if len(rows) < LIMIT or got:
            self.assertEqual(got, want, paths)


if __name__ == "__main__":
    unittest.main()
