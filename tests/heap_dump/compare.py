# SPDX-License-Identifier: GPL-3.0-or-later
"""compare.py DRIVER READER FILE [in-place]: dumps a varied heap of this interpreter and compares every object
with Python's own answer. Prints differences, ends with 0 if there are none."""
import array
import collections
import ctypes
import gc
import json
import os
import sys
import time
import types

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import inventory
import varied
import walker

# A class whose __sizeof__ is written in Python: it is not called, here or by the walker.
PYTHON = type(varied.Sizer.__sizeof__)


def is_python_sized(cls):
    for base in cls.__mro__:
        method = base.__dict__.get("__sizeof__")
        if method is not None:
            return type(method) is PYTHON
    return False



def closure(roots):
    """Every object that gc.get_referents leads to, once."""
    seen, todo, found = set(map(id, roots)), list(roots), []
    while todo:
        o = todo.pop()
        found.append(o)
        for child in gc.get_referents(o):
            if id(child) not in seen:
                seen.add(id(child))
                todo.append(child)
    return found


class Facts(object):
    """What Python says of each object, in flat arrays, so that the facts are no objects."""

    def __init__(self):
        self.size = array.array("q")
        self.len = array.array("q")
        self.rc = array.array("Q")
        self.address = array.array("Q")
        self.starts = array.array("Q", [0])
        self.refs = array.array("Q")

    def collect(self, objects):
        python_sized = {}
        getsizeof, getrefcount, get_referents = sys.getsizeof, sys.getrefcount, gc.get_referents
        for o in objects:
            self.address.append(id(o))
            self.rc.append(getrefcount(o))
            try:
                cls = type(o)
                if cls not in python_sized:
                    python_sized[cls] = is_python_sized(cls)
                self.size.append(-1 if python_sized[cls] else getsizeof(o))
            except Exception:
                self.size.append(-1)
            n = length(o)
            self.len.append(-1 if n is None else n)
            for child in get_referents(o):
                self.refs.append(id(child))
                child = None  # or the next object would have one more reference
            self.starts.append(len(self.refs))


def length(o):
    for cls in (str, bytes, bytearray, tuple, list, dict, set, frozenset):
        if isinstance(o, cls):
            return cls.__len__(o)
    return None


def value(o):
    """What the dump should hold: a JSON value, or KeyError for none."""
    cls = type(o)
    if cls is float:
        return repr(o) if o != o or o in (float("inf"), float("-inf")) else o
    if cls is int:
        if o.bit_length() > 360:
            raise KeyError
        return o
    if cls is str:
        return o[:100]
    if cls is bytes:
        return o[:100].decode("latin-1")
    if o is None or cls is bool:
        return o
    raise KeyError


def described(o):
    """What the dump should hold of its name and place."""
    cls = type(o)
    if cls is types.CodeType:
        return {"name": o.co_name, "file": o.co_filename, "line": o.co_firstlineno}
    if cls is types.FrameType and o.f_lineno is not None:
        return {"name": o.f_code.co_name, "file": o.f_code.co_filename, "line": o.f_lineno}
    if cls in (types.FunctionType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType):
        return {"name": o.__name__}
    return {}


class Comparison(object):
    def __init__(self):
        self.count = {}
        self.sample = {}

    def differs(self, what, o, expected, got):
        key = (what, type(o).__module__ + "." + type(o).__name__)
        self.count[key] = self.count.get(key, 0) + 1
        self.sample.setdefault(key, (hex(id(o)), str(expected)[:150], str(got)[:150]))


def load(path):
    objects, shapes, roots, ends = {}, {}, [], []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            o = json.loads(line)
            if "address" in o:
                assert o["address"] not in objects, "twice: %r" % o
                objects[o["address"]] = o
            elif "shape" in o:
                shapes[o["shape"]] = o["names"]
            elif "root" in o:
                roots.append(o)
            elif "end" in o:
                ends.append(o)
    assert len(ends) == 1 and ends[0]["objects"] == len(objects), ends
    assert ends[0]["partial"] is None, ends
    return objects, shapes, roots, ends[0]


def compare(objects, facts, dump, skip):
    result = Comparison()
    for i, o in enumerate(objects):
        if id(o) in skip:
            continue
        d = dump.get(id(o))
        if d is None:
            result.differs("missing", o, "in the dump", None)
            continue
        refs = list(facts.refs[facts.starts[i]:facts.starts[i + 1]])
        if refs != d["refs"]:
            result.differs("refs", o, refs[:8], d["refs"][:8])
        if d["type"] != type(o).__name__:
            result.differs("type", o, type(o).__name__, d["type"])
        if d["class"] != id(type(o)):
            result.differs("class", o, id(type(o)), d["class"])
        if facts.size[i] >= 0 and facts.size[i] != d["size"]:
            result.differs("size", o, facts.size[i], d["size"])
        if facts.size[i] >= 0 and "approximate" in d.get("flags", ()):
            result.differs("approximate", o, facts.size[i], d["size"])
        if is_python_sized(type(o)) and "approximate" not in d.get("flags", ()):
            result.differs("not approximate", o, "flagged", d["size"])
        if facts.len[i] >= 0 and d.get("len") != facts.len[i]:
            result.differs("len", o, facts.len[i], d.get("len"))
        for key, expected in described(o).items():
            if d.get(key) != expected:
                result.differs(key, o, expected, d.get(key))
        try:
            expected = value(o)
            if d.get("value", KeyError) != expected and expected == expected:
                result.differs("value", o, repr(expected), repr(d.get("value")))
        except KeyError:
            if "value" in d:
                result.differs("value", o, "none", d["value"])
        tracked = gc.is_tracked(o)
        if tracked == ("untracked" in d.get("flags", ())) and tracked:
            result.differs("tracked", o, tracked, d.get("flags"))
    # The harness's own list, loop variable and argument hold each object, too.
    extra = {}
    for i, o in enumerate(objects):
        if id(o) in dump:
            n = facts.rc[i] - dump[id(o)]["rc"]
            extra[n] = extra.get(n, 0) + 1
    base = max(extra, key=extra.get)
    for i, o in enumerate(objects):
        d = dump.get(id(o))
        if d and id(o) not in skip and not isinstance(o, (type, str, int)) and \
                "immortal" not in d.get("flags", ()) and d["rc"] != facts.rc[i] - base and \
                d["rc"] < 10000:
            result.differs("rc", o, facts.rc[i] - base, d["rc"])
    return result


def check_refs(dump, result):
    """Every class is described, every edge leads to an object of the dump."""
    for d in dump.values():
        if d["class"] not in dump:
            result.differs("class is absent", d, d["type"], d["class"])
        for key in ("refs", "hidden", "keys"):
            for child in d.get(key, ()):
                if child not in dump:
                    result.differs("reference to no object", d, d["type"], key)


MISSING = object()


def resolve(o, name):
    """The object that a reference of this name leads to."""
    if name.startswith("["):
        return o[int(name[1:-1])]
    attribute = name[1:]
    if attribute == "__dict__":
        return object.__getattribute__(o, "__dict__")
    for cls in type(o).__mro__:
        slot = cls.__dict__.get(attribute)
        if type(slot).__name__ == "member_descriptor":
            try:
                return slot.__get__(o)
            except AttributeError:
                pass
    return object.__getattribute__(o, attribute)


def check_names(objects, dump, shapes, skip, result):
    """Names of references: those that are given are right, those of instances are there."""
    mutable = {varied.Plain, varied.Slots, varied.NoSlots, varied.WeakSlots, varied.Concrete,
               varied.Error}
    for o in objects:
        d = dump.get(id(o))
        if d is None:
            continue
        if isinstance(o, type) or id(o) in skip:
            continue
        if type(o) is dict and "keys" in d:
            edges = list(zip(d["keys"], d["refs"]))
            if sorted(edges) != sorted((id(k), id(v)) for k, v in o.items()) and len(edges) == d["len"] and \
                    len(edges) == len(o):
                result.differs("keys", o, list(o)[:4], edges[:4])
        if type(o).__module__ != "varied" and type(o).__name__[:4] != "Sub_" and \
                type(o).__name__ not in ("function", "method", "Named", "Thread", "property"):
            continue
        names = shapes[d["shape"]] if "shape" in d else []
        edges = d["refs"] + d.get("hidden", [])
        for name, edge in zip(names, edges):
            if name is None or name[0] not in ".[":
                continue
            try:
                got = resolve(o, name)
            except AttributeError:
                got = MISSING
            if id(got) != edge and name not in (".__notes__", ".__type_params__", ".__annotations__",
                                                ".__annotate__", ".__builtins__"):
                result.differs("name", o, name, repr(got)[:50] + " " + str(dump.get(edge))[:80])
        # Not isinstance(), which changes an abstract class.
        if mutable & set(type(o).__mro__) and (len(names) < len(edges) or None in names):
            result.differs("no name", o, names, edges)


def edges(d, dump, shapes, kind):
    """The names of an object's references, as FORMAT.md has the rules, with what they lead to."""
    refs = d["refs"]
    names = list(shapes[d["shape"]]) if "shape" in d else []
    names += [None] * (len(refs) - len(names))
    keys, n = d.get("keys", []), d.get("len", 0)
    for i, key in enumerate(keys):
        names[len(refs) - len(keys) + i] = "[%r]" % (dump[key].get("value"),)
    first = len(refs) - n
    if kind in (list, tuple) and n and first >= 0:
        for i in range(n):
            names[first + i] = "[%d]" % (n - 1 - i)
    elif kind is collections.deque and n and first >= 0:
        for i in range(n):
            names[first + i] = "[%d]" % i
    elif kind is dict and not keys and n and len(refs) >= 2 * n:
        for i in range(len(refs) - 2 * n, len(refs), 2):
            names[i] = "[%r]" % (dump[refs[i + 1]].get("value"),)
    return list(zip(names, refs + d.get("hidden", [])))


def check_named(wanted, dump, shapes, result):
    """The references that a person asks for by name are there, one of each kind."""
    for what, owner, name, target in wanted:
        kinds = [kind for kind in (list, tuple, dict, collections.deque) if isinstance(owner, kind)]
        told = edges(dump[id(owner)], dump, shapes, kinds[0] if kinds else None)
        dicts = [child for step, child in told if step == ".__dict__"]
        if dicts and name[0] == "." and name != ".__dict__":
            told = told + [(step, child) for step, child in edges(dump[dicts[0]], dump, shapes, dict)]
            told = told + [("." + step[2:-2], child) for step, child in told if step and step[:2] == "['"]
        if (name, id(target)) not in told:
            result.differs("not named", owner, (what, name), [step for step, _ in told])


class Held(object):
    """What the data of a library holds."""

    def __init__(self, lib):
        self.words = (ctypes.c_void_p * 4).in_dll(lib, "rmr_test_data")
        self.counted, self.borrowed = ["counted by C"], ["not counted"]
        for i, o in enumerate((self.counted, self.borrowed)):
            self.words[i] = id(o)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.counted))
        # Nothing but C leads to the one, and nothing at all to the other, which is gone.
        text = "only C has it, %d" % os.getpid()
        alone, gone = (text, text[:-1]), (text[:-2], text[:-3])
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(alone))
        self.words[2], self.words[3] = id(alone), id(gone)
        self.text = text[:13]
        del alone, gone, text
        with open("/proc/self/maps") as maps:
            starts = [line.split("-")[0] for line in maps if line.rstrip().endswith("walker_driver.so")]
        self.name = "[+0x%x]" % (ctypes.addressof(self.words) - int(starts[0], 16))

    def check_alone(self, dump, names, result):
        """Debug builds have another allocator, which nothing is known of."""
        alone, gone = dump.get(self.words[2]), dump.get(self.words[3])
        if hasattr(sys, "gettotalrefcount"):
            return
        if not alone or alone["type"] != "tuple" or not dump[alone["refs"][0]]["value"].startswith(self.text) or \
                self.words[2] not in names:
            result.differs("only C's", self, hex(self.words[2]), alone)
        if gone and gone["type"] == "tuple" and str(dump[gone["refs"][0]].get("value")).startswith(self.text):
            result.differs("freed", self, hex(self.words[3]), gone)

    def check(self, dump, roots, result):
        """Told is the word that explains a reference, and not the one that does not."""
        names = {}
        for root in roots:
            if root["label"] == "<data of rmr_walker_driver.so>":
                names.update(zip(root["refs"], root["names"]))
        if names.get(id(self.counted)) != self.name or id(self.borrowed) in names:
            result.differs("data", self, self.name, names)
        self.check_alone(dump, names, result)


def check_roots(roots, dump, result):
    labels = [r["label"] for r in roots]
    wanted = ["sys.modules", "sys.__dict__", "builtins.__dict__", "<thread MainThread>",
              "<thread sleeper-0>"]
    if sys.version_info >= (3, 13) and not hasattr(sys, "gettotalrefcount"):
        # Its constants, which nothing else leads to; blocks of a debug build are not taken for objects.
        wanted.append("<state of _datetime>")
    for label in wanted:
        if label not in labels:
            result.differs("no root", label, label, labels)
    local = []
    for root in roots:
        if len(root["names"]) != len(root["refs"]):
            result.differs("root", root, root["names"], root["refs"])
        if root["root"] == "frame" and root["function"] == "sleep_in":
            if root["line"] != varied.sleep_in.__code__.co_firstlineno + 2:
                result.differs("line", root, "", root["line"])
            if ".local_of_thread" in root["names"]:
                local.append(root["refs"][root["names"].index(".local_of_thread")])
            local.extend(root["refs"][:1] if dump[root["refs"][0]]["type"] == "frame" else [])
    if len(set(local)) != 3:
        result.differs("locals", roots, 3, local)


def explained(dump, roots):
    """What the trailer should say of completeness, and of which types references are missing."""
    found = {}
    tables = {address for root in roots if root["root"] == "interned" for address in root["refs"]}
    for d in [d for address, d in dump.items() if address not in tables] + roots:
        for key in ("refs", "hidden", "keys"):
            for child in d.get(key, ()):
                found[child] = found.get(child, 0) + 1
    told = dict.fromkeys(("counted", "found", "held_by_c", "exceeded", "excess"), 0)
    missing, over = {}, {}
    for address, d in dump.items():
        if "immortal" in d.get("flags", ()) or d["rc"] >= 1 << 29:
            continue
        n = found.get(address, 0)
        told["counted"] += d["rc"]
        told["found"] += min(n, d["rc"])
        told["held_by_c"] += n < d["rc"]
        told["exceeded"] += n > d["rc"]
        told["excess"] += max(n - d["rc"], 0)
        if n > d["rc"]:
            over[d["type"]] = over.get(d["type"], 0) + 1
        if n < d["rc"]:
            missing[d["type"]] = missing.get(d["type"], 0) + d["rc"] - n
    worst = sorted(missing.items(), key=lambda item: -item[1])[:12]
    return told, over, worst


def check_completeness(told, end, over, result):
    """The trailer says it, nearly all counted references are there, and none twice."""
    trailer = {key: end.get(key) for key in told}
    if trailer != told:
        result.differs("trailer", end, told, trailer)
    share = told["found"] / told["counted"]
    if share < 0.99:
        result.differs("incomplete", share, "99 %", share)
    # What the interpreter counts otherwise: static types, up to 3.11 keys that dicts share.
    # 3.14 and later borrow references from the stack.
    for name in ("dict", "list", "tuple", "function", "cell", "set"):
        if over.get(name, 0) > 20 and sys.version_info < (3, 14):
            result.differs("found twice", over, name, over[name])
    if over.get("str", 0) > 20 and sys.version_info >= (3, 12):
        result.differs("held by the table of interned strings", over, "str", over["str"])


def main():
    driver, reader, path = sys.argv[1:4]
    w = walker.Walker(driver, reader)
    varied.build()
    held = Held(w.lib)
    wanted = inventory.named(inventory.holder)
    fd, process = w.start(path)
    arguments = w.arguments(fd, in_place=sys.argv[4:] == ["in-place"])
    call = w.lib.rmr_test_dump
    facts = Facts()
    gc.collect()
    gc.disable()
    objects = closure(gc.get_objects() + [sys.modules])
    # The tools of this comparison change while it runs.
    skip = set(map(id, [objects, facts, wanted, facts.__dict__, sys._getframe(), facts.size, facts.rc, facts.len,
                        facts.address, facts.starts, facts.refs, varied.KEEP, locals(),
                        process.__dict__]))
    skip.update(id(o) for o in objects if type(o) is type(sys._getframe()) and
                o.f_code in (main.__code__, Facts.collect.__code__, closure.__code__))
    lacking = inventory.missing(objects)
    facts.collect(objects)
    status = call(*arguments)
    out = process.communicate()[0].decode()
    if status or process.returncode:
        print("status %d, reader %d: %s" % (status, process.returncode, out))
        return 1
    dump, shapes, roots, end = load(path)
    result = compare(objects, facts, dump, skip)
    if lacking:
        result.differs("no instance", lacking, "one of each type", lacking)
    check_refs(dump, result)
    check_names(objects, dump, shapes, skip, result)
    check_named(wanted, dump, shapes, result)
    check_roots(roots, dump, result)
    held.check(dump, roots, result)
    told, over, worst = explained(dump, roots)
    check_completeness(told, end, over, result)
    bad = 0
    for key, n in sorted(result.count.items(), key=lambda item: -item[1]):
        print("%6d %-10s %-40s %s" % ((n,) + key + (result.sample[key],)))
        # What this function itself uses has other counts by now.
        bad += n if key[0] != "rc" or n > 10 else 0
    print("%s: %d objects compared of %d, %d in the dump, pause %d us, %s explained %.4f, over %s" % (
        sys.version.split()[0], len(objects) - len(skip), len(objects), len(dump),
        w.lib.rmr_test_pause(), "%.3f s" % (end["walk_ms"] / 1e3), told["found"] / told["counted"], sorted(over.items(), key=lambda item: -item[1])[:6]))
    print("   unexplained: %s; %s numpy and pandas" % (worst, "with" if "pandas" in sys.modules else "without"))
    return 1 if bad else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
