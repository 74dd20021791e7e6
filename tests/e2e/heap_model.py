# SPDX-License-Identifier: GPL-3.0-or-later
"""Random small heaps as dumps, and what there is to say of them by the shortest code that says it:
sets, searches, deletion of one object after the other. Nothing here is fast."""
import collections
import json
import re

BUILTINS = ("str", "bytes", "list", "tuple", "dict", "set", "cell", "type")
OVER = ("interpreter", "static", "interned")  # roots of these kinds are labels of their objects, no nodes


# What may stand in a program's names and values, and must neither break a format nor reach a terminal.
HOSTILE = ("", "'", '"', "\\", "a b", "\n", "\r\n", "\t", "\x1b[31m", "\x00", "\x7f", "\x9b2J", "\u202e",
           "\u2066", "\ufeff", "\U000e0041", "\ud800", "\udc80", "\u00e9", "\u65e5\u672c", "</svg>", "{x|y}",
           ",", ";", "=1+1", "%s%n", "x" * 300)
SIZES = (0, 0, 1, 2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32, 2 ** 40)


class Heap:
    """objects: address -> record; shapes; roots. The constructor fills them. few_types: three kinds of
    objects only; buffers: many of them show bytes of others; hostile: names and sizes of a bad dream."""

    def __init__(self, rand, count, few_types=False, buffers=False, hostile=False):
        self.hostile = hostile
        self.rand, self.objects, self.roots = rand, {}, []
        self.shapes = [[".__dict__", ".__class__"], [".a", None, ".f_back", ".__class__"], [".b"]]
        self.addresses = sorted(rand.sample(range(1, 8 * count), count))
        self.addresses = [16 * n for n in self.addresses]
        self.kinds = (rand.sample(["str", "bytes", "list", "tuple", "dict", "set", "instance",
                                   "number"], 3) if few_types else
                      ["str", "bytes", "list", "tuple", "dict", "dict", "set", "cell", "instance",
                       "instance", "number", "type", "pairs"])
        if buffers:
            self.kinds += ["buffer", "view", "view", "view", "bytes"]
        self.classes = self.addresses[:3]
        for address in self.addresses:
            self.renew(address)
        self.renew_roots()
        self.settle()

    def any(self, most):
        rand = self.rand
        return [rand.choice(self.addresses) if rand.random() < .97 else 16 * 8000 + rand.randrange(3)
                for _ in range(rand.choice((0, 1, 1, 2, 2, 3, most)))]

    def renew(self, address):
        """Another object at the address."""
        rand, most = self.rand, 5
        kind = "type" if address in self.classes else rand.choice(self.kinds)
        record = {"address": address, "type": kind, "size": rand.randrange(1, 400), "rc": 0, "refs": []}
        if kind == "type":
            names = (("Node", "app"), ("Node", "lib"), ("Thing", "app"))
            record["name"], record["module"] = names[address // 16 % 3]
            if address in self.classes:
                record["name"], record["module"] = names[self.classes.index(address)]
            record["refs"] = self.any(most)
        elif kind in ("str", "bytes"):
            record["value"] = rand.choice(("a", "b", "ab", "abc", "a b", "k" * 9))
            record["len"] = len(record["value"]) + 50 * (rand.random() < .1)
        elif kind == "number":
            record.update(type="int", value=rand.randrange(5))
        elif kind in ("list", "tuple", "set"):
            record["refs"] = self.any(most)
            record["len"] = len(record["refs"]) + (rand.random() < .1)
            record["size"] = rand.choice((50, 60, 90, 200, 1000))
        elif kind == "cell":
            record["refs"] = self.any(1)[:1]
        elif kind == "buffer":
            record.update(type="bytearray", buffer=rand.choice((0, 4095, 4096, 5000, 9000)), data=address << 20)
        elif kind == "view":
            base = rand.choice(self.addresses)
            record.update(type=rand.choice(("memoryview", "ndarray")), base=base,
                          buffer=rand.choice((0, 1, 100, 2000, 4500)),
                          data=(base << 20) + rand.choice((0, 50, 1000, 4000)), refs=self.any(1))
            record["refs"] += [base] * (rand.random() < .8)
        elif kind == "pairs":
            record["type"], record["refs"] = "dict", self.any(most)
            record["refs"] = record["refs"] * 2
        elif kind == "dict":
            record["refs"], record["keys"] = self.any(most), []
            record["size"] = rand.choice((64, 64, 232, 1000))
            if rand.random() < .2:
                record["hidden"] = self.any(2)
        else:
            owner = rand.randrange(3)
            record["type"], record["class"] = ("Node", "Node", "Thing")[owner], self.classes[owner]
            record["shape"], record["refs"] = rand.randrange(3), self.any(most)
            record["owned"] = rand.choice((0, 0, 40, 100))
            if self.hostile:
                record["type"] = self.objects[record["class"]]["name"]
        if self.hostile:
            self.make_hostile(record)
        if not record.get("owned", 1):
            del record["owned"]
        record["flags"] = ["immortal"] if rand.random() < .05 else []
        record["held"] = rand.random() < .08  # by C; no part of the dump
        self.objects[address] = record

    def make_hostile(self, record):
        rand = self.rand
        if rand.random() < .5:
            record["size"] = rand.choice(SIZES)
        if rand.random() < .2:
            record["owned"] = rand.choice(SIZES + (-(record["size"] // 3),))
        if record["type"] == "type":
            record["name"] = rand.choice(HOSTILE) + record["name"]
            record["module"] = record["module"] + rand.choice(HOSTILE)
        elif record["type"] in ("str", "bytes"):
            text = [c for c in rand.choice(HOSTILE) + rand.choice(HOSTILE)[:90]
                    if record["type"] == "str" or ord(c) < 256]
            # JSON makes one character of two surrogates that happen to be a pair.
            text = json.loads(json.dumps("".join(text)))
            record["value"], record["len"] = text[:100], len(text)

    def renew_roots(self):
        rand, self.roots = self.rand, []
        few = rand.choice((.05, .1, .3))
        for kind, label in (("interpreter", "builtins"), ("interpreter", "other"),
                            ("frame", "<frame f>"), ("frame", "<frame g>"), ("thread", "<thread>"),
                            ("static", "<static object>"), ("interned", "<interned strings>")):
            refs = [a for a in self.addresses if rand.random() < few]
            refs = refs[:1] if kind == "interpreter" else refs
            names = [rand.choice((".x", ".y", "<stack>", None)) for _ in refs]
            names = [] if kind == "interpreter" else names
            self.roots.append({"root": kind, "label": label, "names": names, "refs": refs})
        rand.shuffle(self.roots)

    def settle(self):
        """Keys are values that a path can spell out; then everything knows its references."""
        keys = [a for a, o in self.objects.items() if o["type"] in ("str", "bytes", "int") and
                o.get("len", 0) <= len(str(o["value"]))]
        for record in self.objects.values():
            if record["type"] != "dict":
                continue
            if not keys:
                record["refs"] = []
            some = [self.rand.choice(keys) for _ in record["refs"]]
            if "keys" in record:
                record["keys"] = [k if k in keys else new for k, new in
                                  zip(record["keys"] + some[len(record["keys"]):], some)]
                record["len"] = len(record["keys"])
            else:
                record["refs"][1::2] = [k if k in keys else new for k, new in
                                        zip(record["refs"][1::2], some)]
                record["len"] = len(record["refs"]) // 2
        weak = tables(self.roots)
        found = collections.Counter(t for a, o in self.objects.items() if a not in weak for t in edges(o))
        found.update(a for r in self.roots for a in r["refs"])
        for address, record in self.objects.items():
            record["rc"] = found[address] + record["held"]

    def write(self, path, number=0):
        lines = [{"remora": 1, "id": str(number), "pid": 4711, "exe": "/p", "host": "h"}]
        lines += [{"shape": i, "names": names} for i, names in enumerate(self.shapes)]
        records = list(self.objects.values())
        self.rand.shuffle(records)
        lines += [{k: v for k, v in r.items() if k != "held"} for r in records]
        lines += self.roots + [{"end": True, "id": str(number), "objects": len(records)}]
        with open(path, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


def told(text):
    """As remora tells a text: it knows no NUL in one, and no lone surrogates."""
    return re.sub("[\0\ud800-\udfff]", lambda found: "\\u%04x" % ord(found[0]), text)


def edges(record):
    return record["refs"] + record.get("hidden", []) + record.get("keys", [])


def tables(roots):
    """Addresses of the tables of interned strings: they keep nothing alive, and no count counts them."""
    return {a for r in roots if r["root"] == "interned" for a in r["refs"]}


class Model:
    """What is true of a heap."""

    def __init__(self, heap):
        self.objects, self.roots, self.shapes = heap.objects, heap.roots, heap.shapes
        self.edges = {a: edges(o) for a, o in self.objects.items()}
        self.referrers = collections.defaultdict(list)
        for a in sorted(self.edges):
            for t in self.edges[a]:
                self.referrers[t].append(a)
        self.rooted = collections.Counter(t for r in self.roots for t in r["refs"])
        weak = tables(self.roots)
        self.strong = {a: [] if a in weak else self.edges[a] for a in self.edges}
        self.found = {a: self.rooted[a] + sum(r not in weak for r in self.referrers[a]) for a in self.objects}
        self.sets_of_reach()

    # What is alive.

    def reach(self, starts, without=None, follow=None):
        follow = self.strong if follow is None else follow
        seen, todo = set(), list(starts)
        while todo:
            node = todo.pop()
            if node not in seen and node != without:
                seen.add(node)
                todo += follow.get(node, ())
        return seen

    def immortal(self, a):
        return "immortal" in self.objects[a]["flags"]

    def sets_of_reach(self):
        self.alive = self.reach(t for r in self.roots for t in r["refs"])
        self.held = [a for a in self.objects if a not in self.alive and (self.immortal(a) or
                     self.objects[a]["rc"] > self.found[a])]
        self.kept = self.alive | self.reach(self.held)
        self.garbage = set(self.objects) - self.kept
        # One object of each component that nothing else of the garbage leads to; which, is open.
        below = {a: self.reach([a]) & self.garbage for a in self.garbage}
        self.sources = [a for a in self.garbage
                        if all(a not in below[b] or b in below[a] for b in self.garbage)]
        self.is_open = any(b in below[a] and a in below[b]
                           for a in self.sources for b in self.sources if a != b)

    def all_reached(self, without=None):
        """From everything that keeps something alive, without one node: an address or a root's number."""
        nodes = {i for i, r in enumerate(self.roots) if r["root"] not in OVER and i != without}
        starts = [t for i, r in enumerate(self.roots) if r["root"] in OVER or i in nodes
                  for t in r["refs"]]
        kept = self.reach(starts + self.held, without)
        # Garbage that refers to what is alive does not keep it so.
        return kept | (self.reach(self.sources, without) - self.kept) | nodes

    def dominate(self):
        """retained of each node, below: what each dominates, itself too, owner: the last above it."""
        everything = self.all_reached()
        self.below = {n: everything - self.all_reached(n) for n in everything}
        self.retained = {n: sum(self.bytes(b) for b in below) for n, below in self.below.items()}
        self.owner = {}
        for node in everything:
            above = [n for n in everything if n != node and node in self.below[n]]
            self.owner[node] = min(above, key=lambda n: len(self.below[n]), default=None)

    def bytes(self, node):
        record = self.objects.get(node, {}) if isinstance(node, int) and node >= 16 else {}
        return record.get("size", 0) + record.get("owned", 0)

    # Names.

    def label(self, a):
        record = self.objects.get(a)
        if record is None:
            return "<absent>"
        owner = self.objects.get(record.get("class"))
        return told("%s.%s" % (owner["module"], record["type"]) if owner else record["type"])

    def literal(self, a):
        record = self.objects[a]
        value = record["value"]
        return repr(value.encode("latin-1") if record["type"] == "bytes" else value)

    def names(self, a):
        """Of each reference: a name or None, and whether it is a key."""
        record, refs = self.objects[a], self.objects[a]["refs"]
        shape = self.shapes[record["shape"]] if "shape" in record else []
        found = []
        for i, _ in enumerate(self.edges[a]):
            keys, behind = record.get("keys"), i - len(refs) - len(record.get("hidden", ()))
            name, key = None, behind >= 0
            if i < len(shape) and shape[i]:
                name = shape[i]
            elif keys and (i < len(refs) or behind >= 0):
                text = self.literal(keys[behind if behind >= 0 else i])
                name = ("<key %s>" if behind >= 0 else "[%s]") % text
            elif record["type"] in ("list", "tuple") and record["len"] == len(refs):
                name = "[%d]" % (len(refs) - 1 - i)
            elif record["type"] == "dict" and keys is None and i < len(refs) and \
                    len(refs) == 2 * record["len"]:
                text = self.literal(refs[i | 1])
                name, key = ("<key %s>" if i & 1 else "[%s]") % text, bool(i & 1)
            elif record["type"] == "cell" and i == 0:
                name = ".cell_contents"
            found.append((name, key))
        return found

    def leads(self, a):
        """The references by which a path goes on."""
        return [t for t, (name, key) in zip(self.edges[a], self.names(a))
                if name and not key and name not in (".__class__", ".f_back")]

    # Groups.

    def by_type(self, a):
        if self.objects[a]["type"] == "dict":
            for r in self.referrers[a]:
                if self.objects[r].get("shape") == 0 and self.edges[r][:1] == [a]:
                    return "dict of " + self.label(r)
        return self.label(a)

    def group(self, by, a):
        if by == "type":
            return self.by_type(a)
        if by == "size":
            return str(self.objects[a]["size"])
        if by == "module":
            owner = self.objects.get(self.objects[a].get("class"))
            return told(owner["module"]) if owner else "<unknown>"
        if by == "owner":
            owner = self.owner[a]
            return ("<nothing alone>" if owner is None else self.roots[owner]["label"]
                    if owner < 16 else self.label(owner))
        words = set()
        for r in self.referrers[a]:
            if by == "referrer":
                words.add(self.by_type(r))
                continue
            record, refs = self.objects[r], self.edges[r]
            for t, (name, key) in zip(refs, self.names(r)):
                if t == a and record["type"] in ("list", "tuple") and record["len"] == len(refs):
                    words.add("[*]")
                elif t == a:
                    words.add(name or ("<key>" if key else "<no name>"))
        words = sorted(words)
        more = " and %d more" % (len(words) - 5) if len(words) > 5 else ""
        return ", ".join(words[:5]) + more or "<nothing>"

    def groups(self, by):
        groups = collections.defaultdict(list)
        for a in sorted(self.objects):
            groups[self.group(by, a)].append(a)
        return groups

    def outermost(self, members):
        """Retained bytes of a group: of those of it that no other one of it dominates."""
        return sum(self.retained[m] for m in members
                   if not any(m in self.below[n] for n in members if n != m))

    # Cycles.

    def cycles(self):
        reach = {a: self.reach(self.edges[a], follow=self.edges) for a in self.objects}
        sets = {frozenset(b for b in reach[a] if b in self.objects and a in reach[b])
                for a in self.objects if a in reach[a]}
        return sorted((min(s), len(s), sum(self.objects[a]["size"] for a in s),
                       "garbage" if min(s) in self.garbage else "alive") for s in sets)

    def ring(self, first):
        """How many references the shortest way from an object back to it has."""
        level, seen = {first}, set()
        for length in range(1, len(self.objects) + 1):
            level = {t for a in level for t in self.edges.get(a, ()) if t not in seen}
            if first in level:
                return length
            seen |= level

    def walk(self, start, links):
        """Where one may be after these references, each written as `label.name`."""
        at = {start}
        for link in links:
            at = {t for a in at for t, (name, _) in zip(self.edges[a], self.names(a))
                  if self.label(a) + (name or "") == link and t in self.objects}
        return at

    # Trees and pictures.

    def branches(self, a, up):
        """What hangs below, or with up above, an object: (address or root's label, name of the reference)."""
        if not up:
            refs, names, record = self.edges.get(a, []), [], self.objects.get(a)
            if record:  # keys that refer to nothing are left out: the names tell them
                names = self.names(a)
                pairs = [(t, name) for t, (name, key) in zip(refs, names)
                         if not (key and t in self.objects and not self.edges[t])]
            else:
                pairs = []
            backwards = record and record["type"] in ("list", "tuple") and record["len"] == len(pairs)
            return pairs[::-1] if backwards else pairs
        found = [(r["label"], None) for r in self.roots if a in r["refs"]]
        referrers = sorted(set(self.referrers[a]))
        if a in self.objects and self.objects[a]["type"] == "dict":
            owners = [r for r in referrers if self.objects[r].get("shape") == 0 and self.edges[r][0] == a]
            referrers.sort(key=lambda r: r != (owners or [None])[0])
        return found + [(r, None) for r in referrers]

    def picture(self, start, depth, breadth, up):
        """Objects, and the arrows between them, roots and boxes that say how many more there are."""
        queue, depths, arrows = [start], {start: 0}, []
        for a in queue:
            inside = self.branches(a, up) if depths[a] < depth else []
            for b, name in inside[:breadth]:
                if b not in depths and not isinstance(b, str):
                    depths[b] = depths[a] + 1
                    queue.append(b)
                arrows.append((b, a) if up else (a, b))
            if len(inside) > breadth:
                more = "%d more %s%s" % (len(inside) - breadth, "referrer" if up else "reference",
                                         "s" * (len(inside) - breadth != 1))
                arrows.append((more, a) if up else (a, more))
        return sorted(queue), arrows

    # Waste.

    def pinned(self):
        """Buffers that only views hold, which show less than half of them: (owner, views, bytes hidden)."""
        def owner(a):
            for _ in self.objects:
                base = self.objects[a].get("base")
                if base is None or base not in self.objects or "buffer" not in self.objects[a]:
                    break
                a = base
            return a

        def held(a, views, through=True):
            record = self.objects[a]
            rest = [r for r in self.referrers[a] if r not in views and
                    (not through or self.objects[r]["type"] != "dict" or held(r, views, False))]
            return bool(rest or self.rooted[a] or (not self.immortal(a) and
                        record["rc"] > self.found[a]))

        found = []
        for a, record in self.objects.items():
            whole = record.get("buffer", record["len"] if record["type"] == "bytes" else 0)
            views = {v for v, o in self.objects.items() if "buffer" in o and v != a and owner(v) == a}
            outer = [v for v in views if held(v, views)]
            if whole < 4096 or held(a, views) or not outer:
                continue
            shown = set()
            for v in outer:
                shown.update(range(self.objects[v]["data"], self.objects[v]["data"] + self.objects[v]["buffer"]))
            if 2 * len(shown) < whole:
                found.append((a, len(outer), whole - len(shown)))
        return sorted(found)

    def waste(self):
        totals = collections.defaultdict(lambda: [0, 0])
        equal = collections.defaultdict(list)
        by_class = collections.defaultdict(list)
        room = [o for o in self.objects.values() if o["type"] in ("list", "dict", "set")]

        def add(kind, count, size):
            totals[kind][0] += count
            totals[kind][1] += size

        for a in sorted(self.objects):
            o = self.objects[a]
            if o["type"] in ("str", "bytes") and o["len"] <= len(o["value"]):
                equal[o["type"], o["value"]].append(a)
            if o["type"] == "tuple" and o["refs"] and len(o["refs"]) == o["len"]:
                equal["tuple", tuple(o["refs"])].append(a)
            if "class" in o:
                dict_at = self.edges[a][0] if o["shape"] == 0 and self.edges[a] else None
                inside = self.objects.get(dict_at, {"type": "dict", "size": 0, "len": None})
                size, slots = o.get("owned", 0), (0, 1, 1)[o["shape"]]
                if dict_at is not None:
                    if dict_at not in self.objects or inside["type"] != "dict":
                        continue
                    size, slots = size + inside["size"], inside["len"]
                if size and size + 16 > 8 * slots:
                    by_class[o["class"]].append(size + 16 - 8 * slots)
        for (kind, _), alike in equal.items():
            kind = {"str": "strings", "bytes": "bytes", "tuple": "tuples"}[kind]
            mortal = [self.objects[a]["size"] for a in alike if not self.immortal(a)]
            if len(mortal) == len(alike):
                del mortal[0]  # one stays
            add("duplicate " + kind, len(mortal), sum(mortal))
        for saved in by_class.values():
            if len(saved) >= 10:
                add("instances with a dict", len(saved), sum(saved))
        for o in room:
            if not o["len"]:
                add("empty containers", 1, o["size"])
                continue
            need = min(p["size"] for p in room if p["type"] == o["type"] and p["len"] >= o["len"])
            if o["size"] >= need + 64 and (o["size"] - need) * 4 >= o["size"]:
                add("over-allocated containers", 1, o["size"] - need)
        for _, count, size in self.pinned():
            add("buffers pinned by views", count, size)
        return {kind: tuple(total) for kind, total in totals.items() if any(total)}


def same(one, other, a):
    """Is the object at an address of one heap that of the other? As `remora help diff` has it."""
    def shell(a):
        x, y = one.objects[a], other.objects[a]
        fixed = x["type"] in ("str", "bytes", "int")
        if one.label(a) != other.label(a) or x.get("class", 0) != y.get("class", 0):
            return False
        if (fixed or x["type"] == "tuple") and (x.get("len"), x["size"]) != (y.get("len"), y["size"]):
            return False
        return all((k in x) == (k in y) for k in ("name", "value")) and \
            (not fixed or x["value"] == y["value"]) and x.get("name") == y.get("name")

    def own(model, whole, step=1):
        return {t for t in model.edges[whole][::step] if t in model.objects and t != whole and
                model.referrers[t] == [whole] and not model.immortal(t) and not model.rooted[t]}

    def some(model):
        """Of many parts 16 are looked at."""
        return own(model, a, len(model.edges[a]) // 16 + 1)

    if a not in other.objects or not shell(a):
        return False
    if one.objects[a]["type"] in ("str", "bytes", "int", "type"):
        return True
    there, back = some(one), some(other)
    common = [t for t in there & own(other, a) | back & own(one, a) if shell(t)]
    return bool(common) or not there or not back
