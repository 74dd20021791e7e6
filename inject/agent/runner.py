# SPDX-License-Identifier: GPL-3.0-or-later
# Runs one Python payload inside the target, on the agent's thread. The agent puts these names here:
# stdout_head, stderr_head (bytes of a frame's start), descriptor (of the channel), filename,
# arguments, source (bytes), names (the payload's namespace), echo (print a lone expression's value),
# failure_source (failure.py, compiled only when it is needed: compiling holds the GIL).
# It calls begin(), execute(), meet_interrupt() if one was sent, end(), and reads outcome and status.
# Imports nothing that a Python does not always have loaded; must run on 3.6 to 3.15.
import sys
import posix
import _thread

OK, FAILED, EXIT, INTERRUPTED = 0, 1, 2, 3  # enum rmr_outcome
PIECE = 60000  # bytes in a frame, below RMR_FRAME_MAX
Module = type(sys)
try:
    inode = posix.fstat(descriptor).st_ino
except OSError:
    inode = None  # a seccomp filter may forbid it

outcome, status = INTERRUPTED, 0
saved = None
holders = [0, 0]  # reference counts of the two streams while only sys and we hold them
kept = True  # somebody else holds a stream: then these globals must live on


def make_stream(original, head, _get_pid=posix.getpid, _get_ident=_thread.get_ident,
                _write=posix.write, _fstat=posix.fstat):
    """Stands in for sys.stdout or sys.stderr while a payload runs.

    What the payload's thread writes goes to remora, everything else where it went before. It is a
    module object with functions: a class of our own would be a reference cycle, which waits for a
    collection. Pure Python, and harmless when somebody keeps it.
    """
    # The process too: a forked child has the stream, and gives the thread's ident out again.
    state = [original, (_get_pid(), _get_ident())]

    def is_ours():
        return state[1] == (_get_pid(), _get_ident())

    def send(data):
        if inode is not None and _fstat(descriptor).st_ino != inode:
            raise OSError("the program has closed remora's channel")
        for start in range(0, len(data), PIECE):
            _write(descriptor, head + data[start:start + PIECE])

    def write(text):
        if not is_ours():
            return len(text) if state[0] is None else state[0].write(text)
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not " + type(text).__name__)
        send(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def writelines(lines):
        for line in lines:
            write(line)

    def flush():
        if not is_ours() and state[0] is not None:
            state[0].flush()

    def isatty():
        return False if is_ours() or state[0] is None else state[0].isatty()

    def fileno():
        return state[0].fileno()

    def write_bytes(data):
        if not is_ours():
            return state[0].buffer.write(data)
        data = bytes(data)
        send(data)
        return len(data)

    def other(name):
        return getattr(state[0], name)

    buffer, stream = Module("remora"), Module("remora")
    buffer.__dict__.update(write=write_bytes, flush=flush, fileno=fileno)
    stream.__dict__.update(remora_state=state, write=write, writelines=writelines, flush=flush,
                           isatty=isatty, fileno=fileno, buffer=buffer, closed=False,
                           encoding=getattr(original, "encoding", None) or "utf-8",
                           errors=getattr(original, "errors", None) or "backslashreplace",
                           __getattr__=other)  # from 3.7 on
    return stream


def threads_known():
    threading = sys.modules.get("threading")
    return getattr(threading, "_active", None) if threading is not None else None


def put_back(name, ours):
    """Takes our stream out of sys, from under the stream of another agent too."""
    stream = sys.__dict__.get(name)
    if stream is ours:
        setattr(sys, name, ours.remora_state[0])
    while type(stream) is Module and "remora_state" in stream.__dict__:
        # The agent of a remora that was killed may leave after the next one has come.
        if stream.remora_state[0] is ours:
            stream.remora_state[0] = ours.remora_state[0]
        stream = stream.remora_state[0]


def repair_threading():
    """Up to 3.12 the thread that imports threading first is taken for the main thread for good."""
    threading = sys.modules.get("threading")
    main = getattr(threading, "_main_thread", None)
    ident = _thread.get_ident()
    if had_threading or main is None or main.ident != ident:
        return
    # The oldest thread that runs Python is the last of them.
    idents = [other for other in sys._current_frames() if other != ident]
    if not idents:
        return
    with threading._active_limbo_lock:
        threading._active.pop(ident, None)
        threading._active[idents[-1]] = main
        main._ident = idents[-1]
        if hasattr(main, "_native_id"):
            main._native_id = posix.getpid()
        if hasattr(main, "_tstate_lock"):
            locks = getattr(threading, "_shutdown_locks", set())
            known = main._tstate_lock in locks
            locks.discard(main._tstate_lock)
            main._tstate_lock = _thread.allocate_lock()
            main._tstate_lock.acquire()
            if known:
                locks.add(main._tstate_lock)


def begin():
    global saved, payload_name, payload_text, was_known, had_threading, pid
    pid = posix.getpid()
    payload_name = filename.decode("utf-8", "surrogateescape")
    payload_text = source.decode("utf-8", "replace")
    had_threading = "threading" in sys.modules
    known = threads_known()
    was_known = known is not None and _thread.get_ident() in known
    if "__builtins__" not in names:
        names["__builtins__"] = __builtins__
        names["__name__"] = "__main__"
        names["__doc__"] = None
    names["__file__"] = payload_name
    names["argv"] = [payload_name] + [
        word.decode("utf-8", "surrogateescape") for word in arguments.split(b"\0")[:-1]]
    saved = (make_stream(sys.__dict__.get("stdout"), stdout_head),
             make_stream(sys.__dict__.get("stderr"), stderr_head))
    sys.stdout, sys.stderr = saved


def count_holders():
    return [sys.getrefcount(saved[0]), sys.getrefcount(saved[1])]


def compiled(text, mode):
    try:
        return compile(text, payload_name, mode, 0, True)
    except SyntaxError:
        return None


def statements_and_value():
    """The code of `import gc; gc.get_count()`, parted before the expression that ends it."""
    at = len(source)
    while at >= 0:
        at = source.rfind(b";", 0, at)
        before = compiled(source[:max(at, 0)], "exec")
        value = compiled(source[at + 1:].strip(), "eval")
        if before and value:
            return before, value
    return None


def run_source():
    parts = echo and statements_and_value()
    if not parts:
        exec(compile(source, payload_name, "exec", 0, True), names)
        return
    exec(parts[0], names)
    value = eval(parts[1], names)
    if value is not None:
        print(repr(value))


def describe(failure):
    try:
        exec(compile(failure_source, "<remora>", "exec", 0, True), globals())
        return format_exception(failure)
    except Exception:  # an audit hook may refuse even this
        return "%s: %s\n" % (type(failure).__name__, failure)


def end_child():
    """A child that the payload has forked ends here: the agent, which would go on, is not in it."""
    for stream in saved:
        try:
            stream.remora_state[0].flush()
        except Exception:
            pass
    posix._exit(status if outcome != INTERRUPTED else 130)


def execute():
    global outcome, status
    failure = None
    holders[:] = count_holders()
    try:
        run_source()
        outcome, status = OK, 0
    except SystemExit as exception:
        code = exception.code
        if code is None:
            code = 0
        elif not isinstance(code, int):
            saved[1].write(str(code) + "\n")
            code = 1
        outcome, status = EXIT, code & 0xff
    except KeyboardInterrupt as exception:
        outcome, failure = INTERRUPTED, exception
    except BaseException as exception:
        outcome, status, failure = FAILED, 1, exception
    if failure is not None:
        try:
            saved[1].write(describe(failure))
        except OSError:
            pass  # remora is gone
        finally:
            # Its traceback leads to this frame: without this cut it waits for a collection.
            failure = None
    if posix.getpid() != pid:
        end_child()


def meet_interrupt():
    """Where an interrupt strikes that came too late for the payload."""
    for _ in range(1000):
        pass


def end():
    # Also after an interrupt that struck inside execute(): then outcome is still INTERRUPTED.
    global kept
    if saved is not None:
        put_back("stdout", saved[0])
        put_back("stderr", saved[1])
        saved[0].remora_state[1] = saved[1].remora_state[1] = None
        now = count_holders()
        kept = now[0] >= holders[0] or now[1] >= holders[1]
        # What a kept stream holds on to must not be the payload's.
        globals().update(names=None, source=None, arguments=None, payload_text=None)
    repair_threading()
    known = threads_known()
    ident = _thread.get_ident()
    if known is not None and not was_known and ident in known:
        # threading.current_thread() on a foreign thread leaves a dummy behind.
        if type(known[ident]).__name__ == "_DummyThread":
            del known[ident]
