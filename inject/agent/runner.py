# SPDX-License-Identifier: GPL-3.0-or-later
# Runs one Python payload inside the target, on the agent's thread. The agent puts these names here:
# stdout_head, stderr_head (bytes of a frame's start), descriptor (of the channel), filename,
# arguments, source (bytes), names (the payload's namespace), echo (print a lone expression's value),
# failure_source (failure.py, compiled only when it is needed: compiling holds the GIL).
# It calls begin(), execute(), end(), and reads outcome and status. Imports nothing that a Python
# does not always have loaded; must run on 3.6 to 3.15.
import sys
import posix
import _thread

OK, FAILED, EXIT, INTERRUPTED = 0, 1, 2, 3  # enum rmr_outcome
PIECE = 60000  # bytes in a frame, below RMR_FRAME_MAX

outcome, status = INTERRUPTED, 0
saved = None
holders = [0, 0]  # reference counts of the two streams while only sys and we hold them
kept = True  # somebody else holds a stream: then these globals must live on


class Stream:
    """Stands in for sys.stdout or sys.stderr while a payload runs.

    What the payload's thread writes goes to remora, everything else where it went before. Pure
    Python, and harmless when somebody keeps it.
    """

    _remora = True

    def __init__(self, original, head):
        self._original = original
        self._head = head
        self._owner = (posix.getpid(), _thread.get_ident())
        self._descriptor = descriptor
        self._get_pid = posix.getpid
        self._get_ident = _thread.get_ident
        self._write = posix.write

    def _is_ours(self):
        # The process too: a forked child has the stream, and gives the thread's ident out again.
        return self._owner == (self._get_pid(), self._get_ident())

    def write(self, text):
        if not self._is_ours():
            return len(text) if self._original is None else self._original.write(text)
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not " + type(text).__name__)
        self._send(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def _send(self, data):
        for start in range(0, len(data), 60000):
            self._write(self._descriptor, self._head + data[start:start + 60000])

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        if not self._is_ours() and self._original is not None:
            self._original.flush()

    @property
    def buffer(self):
        return Buffer(self) if self._is_ours() else self._original.buffer

    def isatty(self):
        return False if self._is_ours() or self._original is None else self._original.isatty()

    def __getattr__(self, name):
        if self._original is None:
            raise AttributeError(name)
        return getattr(self._original, name)


class Buffer:
    """`buffer` of a Stream."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, data):
        data = bytes(data)
        if self._stream._is_ours():
            self._stream._send(data)
        return len(data)

    def flush(self):
        pass


def threads_known():
    threading = sys.modules.get("threading")
    return getattr(threading, "_active", None) if threading is not None else None


def put_back(name, ours):
    """Takes our stream out of sys, from under the stream of another agent too."""
    stream = sys.__dict__.get(name)
    if stream is ours:
        setattr(sys, name, ours._original)
    while getattr(type(stream), "_remora", False):
        # The agent of a remora that was killed may leave after the next one has come.
        if stream._original is ours:
            stream._original = ours._original
        stream = stream._original


def begin():
    global saved, payload_name, payload_text, was_known
    payload_name = filename.decode("utf-8", "surrogateescape")
    payload_text = source.decode("utf-8", "replace")
    known = threads_known()
    was_known = known is not None and _thread.get_ident() in known
    if "__builtins__" not in names:
        names["__builtins__"] = __builtins__
        names["__name__"] = "__main__"
        names["__doc__"] = None
    names["__file__"] = payload_name
    names["argv"] = [payload_name] + [
        word.decode("utf-8", "surrogateescape") for word in arguments.split(b"\0")[:-1]]
    saved = (Stream(sys.__dict__.get("stdout"), stdout_head),
             Stream(sys.__dict__.get("stderr"), stderr_head))
    sys.stdout, sys.stderr = saved


def count_holders():
    return [sys.getrefcount(saved[0]), sys.getrefcount(saved[1])]


def run_source():
    if echo:
        try:
            code = compile(source, payload_name, "eval", 0, True)
        except SyntaxError:
            pass
        else:
            value = eval(code, names)
            if value is not None:
                print(repr(value))
            return
    exec(compile(source, payload_name, "exec", 0, True), names)


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
            exec(compile(failure_source, "<remora>", "exec", 0, True), globals())
            saved[1].write(format_exception(failure))
        except OSError:
            pass  # remora is gone
        finally:
            # Its traceback leads to this frame: without this cut it waits for a collection.
            failure = None


def end():
    # Also after an interrupt that struck inside execute(): then outcome is still INTERRUPTED.
    global kept
    if saved is not None:
        put_back("stdout", saved[0])
        put_back("stderr", saved[1])
        saved[0]._owner = saved[1]._owner = None
        now = count_holders()
        kept = now[0] >= holders[0] or now[1] >= holders[1]
    known = threads_known()
    ident = _thread.get_ident()
    if known is not None and not was_known and ident in known:
        # threading.current_thread() on a foreign thread leaves a dummy behind.
        if type(known[ident]).__name__ == "_DummyThread":
            del known[ident]
