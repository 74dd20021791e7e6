# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/e2e/TORTURE.md from the results of torture.py."""
import collections
import math
import os
import pathlib
import time

FILE = pathlib.Path(__file__).resolve().parent / "TORTURE.md"
HEAD = """# What the torture suite has shown

Written by `python3 tests/e2e/torture.py`, which README.md describes; do not edit it by hand.

**Harm** counts shares of work (about 100 attaches to one target) after which anything was not as before or went
wrong: the proof is `harm()` in `support.py`, from outside after each attach, from inside too after every twentieth and at
the end, when the target must also end well. **Refused** counts attaches that remora gave up in a documented way.
**Stop** is the longest that an attach stopped any thread, unwinding included, in milliseconds: median, 99th percentile,
worst. They were taken with several targets at a time, many of them busy, beside other work on %(cores)d processors:
an upper bound, and the worst are pauses of the scheduler. `python3 tests/e2e/stops.py` measures stops by themselves.

%(attaches)s attaches and %(kills)s kills from %(first)s to %(last)s; harm: **%(harm)d**.
%(left)s"""


def quantile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, math.ceil(part * len(values)) - 1)] if values else float("nan")


def stops(values):
    return "%.2f / %.2f / %.1f" % (quantile(values, 0.5), quantile(values, 0.99), max(values)) if values else "-"


def cells(lines, what):
    """(kind, python): all shares of it in one."""
    found = {}
    for line in lines:
        if line["what"] != what:
            continue
        cell = found.setdefault((line["kind"], line["python"]),
                                {"attaches": 0, "harm": 0, "refused": 0, "stops": [], "sizes": []})
        cell["attaches"] += line["attaches"]
        cell["harm"] += bool(line["harm"])
        cell["refused"] += sum(line["refusals"].values())
        cell["stops"] += line["stops"]
        cell["sizes"] = line.get("sizes") or cell["sizes"]
    return found


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"] +
                     ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def day(seconds):
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def missing(left):
    """What is not done yet, in words: left is (what, kind, interpreter, attaches)."""
    if not left:
        return ""
    counts = {}
    for what, kind, python, count in left:
        per_kind = counts.setdefault((what, kind), {})
        per_kind[python] = per_kind.get(python, 0) + count
    return "\nNot done yet (run it again to go on):\n\n" + table(("what", "kind", "left, by interpreter"), [
        (what, kind, ", ".join("%s %d" % item for item in per_kind.items()))
        for (what, kind), per_kind in counts.items()])


def write(lines, left):
    attached, killed, grown = (cells(lines, what) for what in ("attach", "kill", "growth"))
    everything = [line for line in lines]
    times = [line["time"] for line in everything] or [time.time()]
    count = {what: sum(line["attaches"] for line in lines if line["what"] == what)
             for what in ("attach", "kill", "growth")}
    text = [HEAD % {
        "left": missing(left), "cores": os.cpu_count(), "attaches": format(count["attach"] + count["growth"], ","),
        "kills": format(count["kill"], ","), "first": day(min(times)), "last": day(max(times)),
        "harm": sum(bool(line["harm"]) for line in everything)}]
    kinds = list(dict.fromkeys(kind for kind, _ in attached))
    names = list(dict.fromkeys(python for _, python in attached))
    text.append("## By kind\n\n" + table(
        ("kind", "interpreters", "attaches", "harm", "refused", "stop"),
        [(kind, sum(k == kind for k, _ in attached)) + tuple(
            sum(cell[what] for (k, _), cell in attached.items() if k == kind)
            for what in ("attaches", "harm", "refused")) +
         (stops([ms for (k, _), cell in attached.items() if k == kind for ms in cell["stops"]]),)
         for kind in kinds]))
    reasons = {}
    for line in everything:
        for reason, number in line["refusals"].items():
            key = (line["kind"], reason)
            reasons[key] = reasons.get(key, 0) + number
    if reasons:
        of_reason = collections.defaultdict(list)
        for kind, reason in reasons:
            of_reason[reason].append(kind)
        text.append("Refusals (status: message):\n\n" + table(
            ("kinds", "times", "status: message"),
            [(", ".join(kinds) if len(kinds) < 4 else "%d kinds" % len(kinds), sum(reasons[k, reason] for k in kinds),
              "`%s`" % reason.replace("|", "\\|")) for reason, kinds in sorted(of_reason.items())]))
    harmed = ["- %s %s on %s: %s" % (line["what"], line["kind"], line["python"], line["harm"][0].strip()[:500])
              for line in everything if line["harm"]]
    if harmed:
        text.append("## Harm\n\n" + "\n".join(harmed) + "\n")
    text.append("## remora killed\n\nBy SIGKILL, SIGINT, SIGTERM and SIGSEGV in turn, at a random moment of a `run`, a payload, a "
                "dump and a dump in place. Not of `calls_c`, C code that sees each EINTR: a kill while its thread is held may leave "
                "it one (README, Safety), as 2 of 90 have.\n\n" + table(
                    ("kind", "interpreter", "kills", "harm"),
                    [(kind, python, cell["attaches"], cell["harm"]) for (kind, python), cell in killed.items()]))
    text.append("## Growth\n\nVmRSS and VmData of the target in kB, and the blocks that Python has allocated, after 400 attaches "
                "and after 2,000.\n\n" + table(
                    ("kind", "interpreter", "VmRSS", "VmData", "blocks"),
                    [(kind, python) + tuple("%d, %d" % pair for pair in zip(*cell["sizes"]))
                     for (kind, python), cell in grown.items() if len(cell["sizes"]) == 2]))
    text.append("## Each cell\n\nAttaches / harm / refused, and the stops.\n")
    for name in names:
        text.append("### %s\n\n%s" % (name, table(
            ("kind", "attaches", "harm", "refused", "stop"),
            [(kind, cell["attaches"], cell["harm"], cell["refused"], stops(cell["stops"]))
             for (kind, python), cell in attached.items() if python == name])))
    FILE.write_text("\n".join(text))
