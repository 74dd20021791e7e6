# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a dump as cli/heap/FORMAT.md describes it, strictly: anything else is a ValueError."""
import json

OBJECT_KEYS = {"address", "type", "size", "rc", "class", "name", "module", "len", "value", "file", "line",
               "trace", "owned", "buffer", "data", "base", "shape", "weak", "flags", "refs", "hidden", "keys"}
NEEDED_KEYS = {"address", "type", "size", "rc", "class", "refs"}


def unique(pairs):
    keys = [k for k, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError("a key twice: %s" % keys)
    return dict(pairs)


def no_constant(name):
    raise ValueError("%s is no JSON" % name)


class Heap:
    """objects: address -> object; header, trailer, roots."""

    def __init__(self, path):
        self.objects, self.roots, self.shapes, self.traces, self.trailer = {}, [], {}, {}, None
        with open(str(path), "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    self.line(number, line)
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError("line %d: %r: %.300r" % (number, error, line))
        if self.trailer is None:
            raise ValueError("no trailer")
        self.check_counts()

    def line(self, number, line):
        if not line.endswith(b"\n"):
            raise ValueError("cut off")
        item = json.loads(line.decode("utf-8", "strict"), object_pairs_hook=unique,
                          parse_constant=no_constant)
        if self.trailer is not None:
            raise ValueError("something behind the trailer")
        if number == 1:
            if item["remora"] != 1:
                raise ValueError("unknown version")
            self.header = item
        elif "address" in item:
            self.object(item)
        elif "root" in item:
            if len(item.get("names", [])) not in (0, len(item["refs"])):
                raise ValueError("names and refs of a root differ in number")
            if not item["label"]:
                raise ValueError("a root without label")
            self.roots.append(item)
        elif "shape" in item:
            if item["shape"] in self.shapes:
                raise ValueError("a shape twice")
            if any(name == "" or name == "." for name in item["names"]):
                raise ValueError("an empty name")
            self.shapes[item["shape"]] = item["names"]
        elif "trace" in item:
            if item["trace"] in self.traces:
                raise ValueError("a trace twice")
            for file, line in item["frames"]:
                if not isinstance(file, str) or not isinstance(line, int):
                    raise ValueError("a frame of a trace")
            self.traces[item["trace"]] = item["frames"]
        elif item.get("end"):
            self.trailer = item
        else:
            raise ValueError("of no kind")

    def object(self, item):
        if set(item) - OBJECT_KEYS or NEEDED_KEYS - set(item):
            raise ValueError("keys")
        if item.get("trace", 0) and item["trace"] not in self.traces:
            raise ValueError("a trace that did not come before")
        if item["address"] in self.objects:
            raise ValueError("an address twice")
        count = len(item["refs"]) + len(item.get("hidden", []))
        if "shape" in item and len(self.shapes[item["shape"]]) > count:
            raise ValueError("more names than references")
        if len(item.get("keys", [])) > len(item["refs"]):
            raise ValueError("more keys than values")
        if ("buffer" in item) != ("data" in item) or ("base" in item and "buffer" not in item):
            raise ValueError("buffer, data and base belong together")
        if item.get("base") == item["address"] or item.get("owned") == 0:
            raise ValueError("what goes without saying")
        if item["size"] <= 0 and item["type"] not in ("object",):
            raise ValueError("size")
        self.objects[item["address"]] = item

    def check_counts(self):
        objects = self.objects.values()
        found = {"objects": len(objects), "bytes": sum(o["size"] for o in objects),
                 "roots": len(self.roots), "shapes": len(self.shapes),
                 "references": sum(len(o["refs"]) + len(o.get("hidden", [])) + len(o.get("keys", []))
                                   for o in objects)}
        for key, value in found.items():
            if self.trailer[key] != value:
                raise ValueError("trailer says %s %s, there are %s" % (key, self.trailer[key], value))
        if self.trailer["id"] != self.header["id"]:
            raise ValueError("the trailer is another dump's")

    def named(self, kind, name):
        """The objects of that type and name."""
        return [o for o in self.objects.values() if o["type"] == kind and o.get("name") == name]

    def edges(self, item):
        return item["refs"] + item.get("hidden", []) + item.get("keys", [])
