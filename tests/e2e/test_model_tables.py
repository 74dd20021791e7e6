# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures, SQL and views against brute force (heap_model.py)."""
import collections
import re
import unittest

import heap_model
import support
from test_model import COUNT, Models, quoted


class Pictures(Models):
    def test_pictures(self):
        self.each(self.pictures)

    def pictures(self, rand, heap, model, path):
        start = rand.choice(sorted(heap.objects))
        depth, breadth = rand.randrange(1, 5), rand.randrange(1, 6)
        for up in (False, True):
            words = ["graph", path, str(start), "-o", "-", "-d%d" % depth, "-b%d" % breadth]
            dot = self.good(support.remora(*words, *["--up"] * up)).out
            names = {name: int(address, 16) for name, address in
                     re.findall(r'^  (o\d+) \[label="[^\n]*\\n0x([0-9a-f]+)"', dot, re.M)}
            objects = sorted(names.values())
            names.update(re.findall(r'^  ([rb]\d+) \[shape=box, [^\n]*label="([^\n]*)"\];$', dot, re.M))
            arrows = [(names[a], names[b]) for a, b in re.findall(r"^  (\w+) -> (\w+)", dot, re.M)]
            want, between = model.picture(start, depth, breadth, up)
            self.assertEqual(objects, want)
            self.assertEqual(collections.Counter(arrows), collections.Counter(between))


class Tables(Models):
    def test_objects(self):
        self.each(self.objects)

    def objects(self, _, heap, model, path):
        """Each column of SQL's objects is what the dump and brute force say, and what `show` says."""
        model.dominate()
        addresses = sorted(heap.objects)
        rows, *shown = self.ask(path, 'sql "SELECT * FROM objects ORDER BY address"',
                                *("show %d" % a for a in addresses))
        self.assertEqual([r["address"] for r in rows], addresses)
        for a, row, show in zip(addresses, rows, shown):
            record, open_end = heap.objects[a], model.is_open and a in model.garbage
            owner = heap.objects.get(record.get("class"))
            want = {"type": record["type"], "size": record["size"], "owned": record.get("owned", 0),
                    "rc": record["rc"], "len": record.get("len"), "name": record.get("name"),
                    "module": owner["module"] if owner else None, "value": record.get("value"),
                    "referrers": len(model.referrers[a]), "children": len(model.edges[a]),
                    "reach": "root" if a in model.alive else "held by C" if a in model.kept else "unreachable",
                    "flags": ",".join(record["flags"])}
            if not open_end:
                dominator = model.owner[a]
                want.update(retained=model.retained[a],
                            dominator=dominator if dominator and dominator >= 16 else None)
            want = {k: heap_model.told(v) if isinstance(v, str) else v for k, v in want.items()}
            self.assertEqual({k: row[k] for k in want}, want, a)
            for key in ("size", "rc", "len", "retained", "dominator"):
                self.assertEqual(show.get(key), row[key], (a, key))
            self.assertEqual(show["value"], record.get("value", show["value"]), a)
            for key, table in (("children", model.edges[a]), ("referrers", model.referrers[a])):
                self.assertLessEqual({r["address"] for r in show[key]}, set(table) | {None})

    def test_sorted(self):
        self.each(self.sorted)

    def sorted(self, rand, heap, model, path):
        """Chosen by type or by an expression, in the order that was asked for, cut where it was."""
        key = rand.choice(("size", "len", "rc", "referrers", "children", "address"))
        kind = rand.choice([o["type"] for o in heap.objects.values() if quoted(o["type"])])
        least = rand.randrange(300)
        limit, reverse = rand.randrange(1, 9), rand.random() < .5
        chosen = {a: {"size": o["size"], "len": o.get("len", -1), "rc": o["rc"], "address": a,
                      "referrers": len(model.referrers[a]), "children": len(model.edges[a])}[key]
                  for a, o in heap.objects.items() if o["type"] == kind and o["size"] >= least}
        least_first = reverse != (key == "address")
        order = sorted(chosen, key=lambda a: (chosen[a] if least_first else -chosen[a], a))
        rows, = self.ask(path, "objects --sort %s --type %s --where 'size >= %d' --limit %d%s" %
                         (key, quoted(heap_model.told(kind)), least, limit, " --reverse" * reverse))
        got = [r["address"] for r in rows]
        self.assertLessEqual(set(got), set(chosen))
        self.assertEqual([chosen[a] for a in got], [chosen[a] for a in order[:limit]], (key, reverse))

    def test_completeness(self):
        self.each(self.completeness)

    def completeness(self, _, heap, model, path):
        answer, = self.ask(path, "summary --unexplained")
        counted = found = held = 0
        missing = collections.Counter()
        for a, record in heap.objects.items():
            if not model.immortal(a):
                some = min(record["rc"], model.found[a])
                counted, found, held = counted + record["rc"], found + some, held + (some < record["rc"])
                missing[model.label(a)] += record["rc"] - some
        self.assertEqual((answer["references_counted"], answer["references_found"], answer["held_by_c"]),
                         (counted, found, held))
        self.assertEqual({r["type"]: r["unexplained"] for r in answer["unexplained"] if r["unexplained"]},
                         {k: n for k, n in missing.items() if n})

    def test_references(self):
        self.each(self.references)

    def references(self, rand, heap, model, path):
        want = []
        for a in sorted(heap.objects):
            record = heap.objects[a]
            kinds = ["ref"] * len(record["refs"]) + ["hidden"] * len(record.get("hidden", ()))
            for i, (t, (name, _)) in enumerate(zip(model.edges[a], model.names(a))):
                want.append((a, t, name, kinds[i] if i < len(kinds) else "key"))
        target = rand.choice(want or [(16, 16)])[1]
        source = rand.choice(sorted(heap.objects))
        every, to, of = self.ask(path, 'sql "SELECT * FROM refs"',
                                 'sql "SELECT * FROM refs WHERE dst = %d"' % target,
                                 'sql "SELECT * FROM refs WHERE src = %d"' % source)
        for rows, part in ((every, want), (to, [w for w in want if w[1] == target]),
                           (of, [w for w in want if w[0] == source])):
            self.assertEqual([(r["src"], r["dst"], r["name"]) for r in rows], [w[:3] for w in part])
            # A dict whose keys are among its refs has them as keys, too.
            self.assertEqual([r["kind"] for r in rows if r["kind"] != "key"],
                             [w[3] for r, w in zip(rows, part) if r["kind"] != "key"])

    def test_types_and_roots(self):
        self.each(self.types_and_roots)

    def types_and_roots(self, _, heap, model, path):
        types, roots = self.ask(path, 'sql "SELECT * FROM types"', 'sql "SELECT * FROM roots"')
        want = collections.defaultdict(lambda: [0, 0, 0, 0])
        for a, record in heap.objects.items():
            row = want[model.label(a)]
            row[0] += 1
            row[1] += record["size"]
            row[2] += record.get("owned", 0)
            row[3] = max(row[3], record["size"])
        self.assertEqual({r["label"]: [r["count"], r["bytes"], r["owned"], heap.objects[r["largest"]]["size"]]
                          for r in types if r["count"]}, want)
        self.assertEqual(
            sorted((r["kind"], r["label"], r["address"], r["name"] or "") for r in roots),
            sorted((r["root"], r["label"], a, (r["names"][i] if r["names"] else None) or "")
                   for r in heap.roots for i, a in enumerate(r["refs"])))


class HostilePictures(Pictures):
    """The same with names and sizes of a bad dream."""
    make = {"hostile": True}
    count = COUNT // 3


class HostileTables(Tables):
    make = {"hostile": True}
    count = COUNT // 3


class Views(Models):
    """Objects that show the bytes of others, in chains, in part, over each other."""
    make = {"buffers": True}

    def test_pinned(self):
        self.each(self.pinned)

    def pinned(self, _, heap, model, path):
        answer, = self.ask(path, "waste --limit 0")
        rows = sorted((r["example"], r["count"], r["bytes"]) for r in answer["worst"]
                      if r["kind"] == "buffers pinned by views")
        self.assertEqual(rows, model.pinned())


if __name__ == "__main__":
    unittest.main()
