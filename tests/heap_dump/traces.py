# SPDX-License-Identifier: GPL-3.0-or-later
"""traces.py DRIVER READER FILE: with tracemalloc on, compares the trace of every object in the dump with
tracemalloc's own answer; with it off again, and before it is on, there is none."""
import gc
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare
import faults
import varied
import walker

try:
    import _tracemalloc
    import tracemalloc
except ImportError:
    sys.exit("this interpreter has no tracemalloc")


MANAGED_DICT = 1 << 4


def deep(depth, made):
    if depth:
        return deep(depth - 1, made)
    made.append([object(), {"key": made}, "text %d" % len(made), 10 ** 30 + len(made)])
    return made


def dump(w, path, objects):
    """The dump's traces, by address, and the truth, taken in one stopped moment."""
    fd, process = w.start(path)
    arguments = w.arguments(fd)
    call = w.lib.rmr_test_dump
    get = _tracemalloc._get_object_traceback
    once, truth = {}, []
    for o in objects:
        trace = get(o)
        truth.append(once.setdefault(trace, trace))
    trace = o = None
    status = call(*arguments)
    out = process.communicate()[0].decode()
    assert status == 0 and process.returncode == 0, (status, process.returncode, out)
    traces, of, end = {}, {}, None
    for o in faults.lines(path):
        if "address" in o:
            of[o["address"]] = o.get("trace")
        elif "trace" in o:
            assert o["trace"] not in traces
            traces[o["trace"]] = tuple(map(tuple, o["frames"]))
        elif "end" in o:
            end = o
    return traces, of, end, truth


def check_on(w, path, frames):
    tracemalloc.start(frames)
    made = []
    for i in range(300):
        deep(i % 12, made)
    varied.instances()
    gc.collect()
    objects = compare.closure(gc.get_objects() + [sys.modules])
    traces, of, end, truth = dump(w, path, objects)
    traced = wrong = 0
    for o, expected in zip(objects, truth):
        if id(o) not in of:
            continue
        got = traces.get(of[id(o)])
        traced += expected is not None
        # 3.11 itself forgets that the attributes' words lie in front of such objects, too.
        forgotten = sys.version_info[:2] == (3, 11) and type(o).__flags__ & MANAGED_DICT
        if got != expected and not (forgotten and expected is None):
            wrong += 1
            if wrong < 5:
                print(type(o), hex(id(o)), "expected", expected, "got", got)
    assert not wrong, wrong
    assert traced > 2000, traced
    assert end["traces"] == len(traces) and end["traced"] >= traced, end
    assert max(map(len, traces.values())) <= frames
    if frames > 1:
        assert max(map(len, traces.values())) == frames
    # Each trace is written once.
    assert len(set(traces.values())) == len(traces)
    # What stays alive has a trace of this file.
    here = [t for t in traces.values() if t[0][0] == deep.__code__.co_filename]
    # (Some objects come from lists of free ones, whose memory was not allocated anew.)
    assert here and sum(traces.get(of[id(o)]) in here for o in made) > 100
    tracemalloc.stop()
    return traced, len(traces)


def check_off(w, path):
    traces, of, end, _ = dump(w, path, [])
    assert not traces and not any(of.values()) and "traces" not in end, end


def main():
    driver, reader, path = sys.argv[1:4]
    w = walker.Walker(driver, reader)
    check_off(w, path)
    one = check_on(w, path, 1)
    many = check_on(w, path, 7)
    check_off(w, path)
    print("%s: traces as tracemalloc has them: %d objects, %d traces of 1 frame; %d, %d of up to 7" % (
        (sys.version.split()[0],) + one + many))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
