"""tracemalloc from outside: `trace start [FRAMES]`, `trace top [N]`, `trace stop`."""
# SPDX-License-Identifier: 0BSD
import tracemalloc


def top(count):
    if not tracemalloc.is_tracing():
        raise SystemExit("tracemalloc is not running: `trace start` first")
    used, peak = tracemalloc.get_traced_memory()
    print("traced now %d bytes, peak %d bytes" % (used, peak))
    # Not Snapshot.statistics(): that imports and builds far more in the process.
    lines = {}
    for trace in tracemalloc._get_traces():
        frame = trace[2][0] if isinstance(trace[2], tuple) else trace[-1][0]
        entry = lines.setdefault(tuple(frame[:2]), [0, 0])
        entry[0] += trace[1]
        entry[1] += 1
    for (path, number), (size, blocks) in sorted(lines.items(), key=lambda item: -item[1][0])[:count]:
        print("%12d bytes %8d blocks  %s:%d" % (size, blocks, path, number))


what = argv[1] if len(argv) > 1 else "top"
number = int(argv[2]) if len(argv) > 2 else None
if what == "start":
    tracemalloc.start(number or 1)
    print("tracing allocations, %d frame(s) each" % tracemalloc.get_traceback_limit())
elif what == "top":
    top(number or 20)
elif what == "stop":
    tracemalloc.stop()
    print("tracing has ended")
else:
    raise SystemExit("trace: start [FRAMES], top [N] or stop, not %r" % what)
