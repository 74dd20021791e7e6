# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables: one for each section, and the one of the figures to beat."""
import math
import statistics

from machine import QUIET
from sections import spread

COLUMNS = (  # title, key, width, form
    ("cpu s", "cpu", 7, "%.3f"), ("anon", "anon_mb", 6, "%.0f"), ("twin", "twin_mb", 6, "%.1f"),
    ("grown", "grown_mb", 6, "%.1f"), ("peak+", "peak_mb", 6, "%.1f"), ("cgroup", "cgroup_mb", 6, "%.1f"),
    ("stop", "stop_ms", 6, "%.2f"), ("GIL", "gil_ms", 7, "%.1f"), ("gap", "gap_ms", 7, "%.1f"),
    ("answer", "answer_ms", 7, "%.1f"), ("MB out", "written_mb", 7, "%.1f"))


def seconds(value):
    """As 12.3 s, 45 ms or 6.1 us, in nine places."""
    if value is None:
        return "-"
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * scale >= 1 or unit == "us":
            return "%.3g %s" % (value * scale, unit)
    return "-"


def ratio(section, row):
    """How many times as long as remora's row a baseline takes: the median over the rounds, as each
    pair was measured side by side; None if there is nothing to compare."""
    own = section.row(row.versus) if row.versus else None
    if not own or row.failure or not row.runs or not own.runs:
        return None
    key = "inside" if row.values("inside") else "wall"
    pairs = [a[key] / b["wall"] for a, b in zip(row.runs, own.runs) if b.get("wall")]
    return statistics.median(pairs) if len(row.runs) > 1 else row.runs[0][key] / own.median("wall")


def lines_of(section):
    facts = section.facts
    about = ["Python %s (%s)" % (facts["version"], facts["python"]), "%.0f MB" % facts["rss_mb"]]
    if facts.get("objects"):
        about.insert(0, "{:,.0f} objects, {:,.0f} references".format(facts["objects"], facts["references"]))
    if facts.get("index_mb"):
        about.append("index %.0f MB" % facts["index_mb"])
    yield ""
    yield "%s: %s" % (section.title, ", ".join(about))
    if section.noise > QUIET:
        yield "NOISY: others kept %.2f processors busy meanwhile" % section.noise
    if section.key.startswith("attach-"):
        yield from attach_lines(section.rows[0])
        return
    used = [c for c in COLUMNS if any(row.median(c[1]) is not None for row in section.rows)]
    yield "%-34s %9s %19s %2s" % ("", "median", "min - max", "n") + "".join(
        " %*s" % (width, title) for title, _, width, _ in used) + "   ratio"
    for row in section.rows:
        if not row.runs:
            continue
        walls = row.values("inside") or row.values("wall")
        line = "%-34s %9s %9s-%9s %2d" % (row.name, seconds(statistics.median(walls)), seconds(min(walls)),
                                          seconds(max(walls)), len(walls))
        for _, key, width, form in used:
            value = row.median(key)
            line += " %*s" % (width, "-" if value is None else form % value)
        times = ratio(section, row)
        yield line + ("   %.3g x %s" % (times, row.versus) if times else "")


def attach_lines(row):
    yield "%-34s %9s %9s %9s" % ("", "median", "p99", "largest")
    for title, key, scale in (("whole command", "wall", 1e3), ("longest stop of a thread", "stop_ms", 1),
                              ("largest gap of the heart", "gap_ms", 1), ("slowest answer", "answer_ms", 1)):
        values = row.values(key)
        if values:
            yield "%-34s" % title + "".join(" %6.2f ms" % (v * scale) for v in spread(values))


def growth(sections):
    """(row name, {key: exponent}) from each size of the workload to the next: 1 is linear."""
    sized = {}
    for section in sections:
        kind, _, name = section.key.partition("-")
        if kind in ("live", "dump") and section.facts.get("objects"):
            sized.setdefault(kind, []).append(section)
    for kind, chain in sized.items():
        for few, many in zip(chain, chain[1:]):
            steps = math.log(many.facts["objects"] / few.facts["objects"])
            for row in many.rows:
                before = few.row(row.name)
                if not before or row.failure or row.name.startswith("("):
                    continue
                result = {"from": few.key, "to": many.key}
                for key in ("wall", "cpu", "anon_mb", "twin_mb"):
                    first, last = before.median(key), row.median(key)
                    if first and last:
                        result[key] = math.log(last / first) / steps
                yield row.name, result


def growth_lines(sections):
    found = {}
    for name, exponents in growth(sections):
        found.setdefault(name, []).append(exponents)
    if not found:
        return
    yield ""
    yield "growth exponents from each size to the next (1 = linear; small commands have a fixed part)"
    yield "%-34s %-20s %-20s %s" % ("", "time", "processor time", "anonymous memory")
    for name, steps in found.items():
        cell = lambda key: " ".join("%5.2f" % s[key] if key in s else "    -" for s in steps)
        yield ("%-34s %-20s %-20s %s" % (name, cell("wall"), cell("cpu"), cell("anon_mb"))).rstrip()
