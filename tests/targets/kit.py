# SPDX-License-Identifier: GPL-3.0-or-later
"""What every target has in common.

A target says READY once it is in the state that its name promises, and answers SIGUSR1 with a STATE
line: what only the inside of the process knows. Both are one line on descriptor 1, a word and a
Python literal. SIGTERM ends it with status 0. Nothing else may ever appear on descriptor 1.

Main threads that only wait sleep ten seconds at a time: a signal that comes between Python's look for
signals and its call of nanosleep is seen only after it.

Imports as little as it can, so that a module that remora drags in is seen. Runs on 3.6 and later.
"""
import _signal
import gc
import os
import signal
import sys

progress = {"ticks": 0, "bad": []}
sigchld = {"seen": 0, "childless": False}


def say(word, facts):
    line = ("%s %r\n" % (word, facts)).encode("ascii", "backslashreplace")
    while line:
        line = line[os.write(1, line):]


def tick():
    """One more unit of work done, and its result checked."""
    progress["ticks"] += 1


def check(good, *what):
    if not good and len(progress["bad"]) < 20:
        progress["bad"].append(what)


def state():
    threading = sys.modules.get("threading")
    facts = {
        "ticks": progress["ticks"],
        "bad": [repr(b) for b in progress["bad"]],
        "modules": sorted(sys.modules),
        "path": list(sys.path),
        "streams": [id(sys.stdin), id(sys.stdout), id(sys.stderr), id(sys.displayhook),
                    id(sys.excepthook), id(sys.__stdout__)],
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_debug(), len(gc.callbacks),
               gc.get_freeze_count() if hasattr(gc, "get_freeze_count") else 0],
        "collector": [gc.get_count(), [g["collections"] for g in gc.get_stats()], len(gc.get_objects()),
                      sys.getallocatedblocks()],
        "handlers": [(n, h if h is None or isinstance(h, int) else id(h)) for n, h in
                     ((n, _signal.getsignal(n)) for n in range(1, signal.NSIG))],
        "hooks": [len(sys.meta_path), len(sys.path_hooks), id(sys.__dict__.get("unraisablehook"))],
        "trace": [sys.gettrace() is None, sys.getprofile() is None],
        "switch_interval": sys.getswitchinterval(),
        "recursion_limit": sys.getrecursionlimit(),
        "main": sorted(sys.modules["__main__"].__dict__),
        "threading": sorted(t.name for t in threading.enumerate()) if threading else [],
        "thread_states": len(sys._current_frames()),
        "cwd": os.getcwd(),
        "umask": umask(),
    }
    warnings = sys.modules.get("warnings")
    if warnings:
        facts["warnings"] = [len(warnings.filters), len(getattr(warnings, "onceregistry", ()))]
    exits = sys.modules.get("atexit")
    if exits:
        facts["atexit"] = exits._ncallbacks()
    if sigchld["childless"]:
        facts["sigchld"] = sigchld["seen"]
        try:
            facts["child"] = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            facts["child"] = None
    return facts


def umask():
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


def on_report(signum, frame):
    say("STATE", state())


def on_term(signum, frame):
    # Daemon threads make the interpreter's own shutdown unsafe before 3.12; without any it runs,
    # and is a last check of the heap.
    if "threading" in sys.modules and len(sys._current_frames()) > 1:
        os._exit(0)
    sys.exit(0)


def on_sigchld(signum, frame):
    sigchld["seen"] += 1


def ready(childless=True, **facts):
    """Installs the handlers and says READY. childless: the target itself never has children, so
    that any SIGCHLD and any child that can be waited for is somebody else's."""
    signal.signal(signal.SIGUSR1, on_report)
    signal.signal(signal.SIGTERM, on_term)
    sigchld["childless"] = childless
    if childless:
        signal.signal(signal.SIGCHLD, on_sigchld)
    facts["pid"] = os.getpid()
    say("READY", facts)


def start_thread(function, *args):
    import threading
    thread = threading.Thread(target=function, args=args)
    thread.daemon = True
    thread.start()
    return thread


def small_stacks():
    """The smallest that this interpreter allows: 64 KB, some debug builds want 100."""
    import threading
    try:
        threading.stack_size(64 * 1024)
    except ValueError:
        threading.stack_size(128 * 1024)


def is_ending(thread):
    """Whether the system still has a thread that was joined. Some targets have no /proc."""
    if not hasattr(thread, "native_id"):  # before 3.8
        return len(os.listdir("/proc/self/task")) > 1
    try:
        os.kill(thread.native_id, 0)
    except ProcessLookupError:
        return False
    return True


def have_had_a_thread():
    """From now on the C library takes its locks; what that thread left, a small stack, serves nobody."""
    import threading
    small_stacks()
    thread = start_thread(int)
    thread.join()
    # Before 3.13 join() returns while the thread still ends, and a snapshot could see it.
    while is_ending(thread):
        os.sched_yield()
    threading.stack_size(0)
