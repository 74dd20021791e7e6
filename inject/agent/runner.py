# SPDX-License-Identifier: GPL-3.0-or-later
# Runs one Python payload inside the target, on the agent's thread. The agent puts these names here:
# stdout, stderr (bytes of a frame's start), fd (of the channel), path (the payload's, bytes), args
# (bytes), source (bytes), ns (the payload's namespace), interactive (print a lone expression's
# value), and sources that are compiled only when they are needed, as compiling holds the GIL:
# exc_details (failure.py), displayhook (echo.py), thread_info (threads.py).
# It calls start(), _exec(), pause() if an interrupt was sent, end(), and reads result and code.
# Imports nothing that a Python does not always have loaded; must run on 3.6 to 3.15.
#
# Why the names are what they are: Python interns every name in a source that it compiles, and each
# constant that looks like one. A name that the program does not have takes a slot of a table, for
# good, and a full table is built anew, in whichever malloc arena this thread has: attach after
# attach the program would grow. So each name here is one that every Python has from its start
# (tests/e2e/test_interned.py has the say), or of one letter, and no function stands in another,
# since that makes a name like start.<locals>.end. The file name is one of Python's own too. Other
# words are written as bytes. No code here has 20 names or constants, either: 3.11 and 3.12 keep up
# to 2,000 tuples of that length for later and never use them.
import sys
import posix
import _thread

module_type = type(sys)
key = "a stream of remora"  # in a stream's __dict__; no name, so that it is not interned
owner = posix.getpid(), _thread.get_ident()
try:
    inode = posix.fstat(fd).st_ino
except OSError:
    inode = None  # a seccomp filter may forbid it

result, code = 3, 0  # enum rmr_outcome: 0 OK, 1 FAILED, 2 EXIT, 3 INTERRUPTED; the exit status
proxy = None  # our two streams
base = None  # their reference counts while only sys and we hold them
locked = True  # somebody else holds a stream: then these globals must live on

# What stands in for sys.stdout or sys.stderr while a payload runs: what the payload's thread writes
# goes to remora, everything else where it went before. It is a module object with functions bound
# to its state: a class of our own would be a reference cycle, which waits for a collection. Pure
# Python, and harmless when somebody keeps it: for another thread, which may be in the midst of such
# a function when these globals go, each of them gets along with its state and Python's own names.
# state: [what it stands in for, owner until the payload has ended, getpid, get_ident, head]. The
# process belongs to the owner: a forked child has the stream, and gives the thread's ident out again.


def send(state, data, fstat=posix.fstat, write=posix.write):
    if inode is not None and fstat(fd).st_ino != inode:
        raise OSError("the program has closed remora's channel")
    for start in range(0, len(data), 60000):  # below RMR_FRAME_MAX
        write(fd, state[4] + data[start:start + 60000])


def write(state, text):
    if state[1] != (state[2](), state[3]()):
        return len(text) if state[0] is None else state[0].write(text)
    if not isinstance(text, str):
        raise TypeError("write() argument must be str, not " + type(text).__name__)
    send(state, text.encode("utf-8", "backslashreplace"))
    return len(text)


def writelines(state, lines):
    if state[1] != (state[2](), state[3]()):
        return None if state[0] is None else state[0].writelines(lines)
    for line in lines:
        write(state, line)


def flush(state):
    if state[1] != (state[2](), state[3]()) and state[0] is not None:
        state[0].flush()


def isatty(state):
    return state[1] != (state[2](), state[3]()) and state[0] is not None and state[0].isatty()


def fileno(state):
    return state[0].fileno()


def output(state, data):
    if state[1] != (state[2](), state[3]()):
        return state[0].buffer.write(data)
    data = bytes(data)
    send(state, data)
    return len(data)


def get(state, name):
    return getattr(state[0], name)


def stream(name, head):
    origin = sys.__dict__.get(name)
    state = [origin, owner, posix.getpid, _thread.get_ident, head]
    raw, text = module_type("stream"), module_type("stream")
    new = {"flush": flush.__get__(state), "fileno": fileno.__get__(state)}
    raw.__dict__.update(new, write=output.__get__(state))
    text.__dict__.update(new, write=write.__get__(state), writelines=writelines.__get__(state),
                         isatty=isatty.__get__(state), buffer=raw, closed=False,
                         encoding=getattr(origin, "encoding", None) or "utf-8",
                         errors=getattr(origin, "errors", None) or "backslashreplace",
                         __getattr__=get.__get__(state))  # from 3.7 on
    text.__dict__[key] = state
    return text


def reset(name, old):
    """Takes our stream out of sys, from under the stream of another agent too."""
    new = sys.__dict__.get(name)
    if new is old:
        setattr(sys, name, old.__dict__[key][0])
    while type(new) is module_type and key in new.__dict__:
        # The agent of a remora that was killed may leave after the next one has come.
        state = new.__dict__[key]
        if state[0] is old:
            state[0] = old.__dict__[key][0]
        new = state[0]


def lookup():
    """threading, if it is loaded, and whether it takes this thread for one of its own."""
    module = sys.modules.get(b"threading".decode())
    return module, owner[1] in getattr(module, b"_active".decode(), ())


def start():
    global filename, proxy, base, old
    filename = path.decode("utf-8", "surrogateescape")
    old = lookup()
    if "__builtins__" not in ns:
        ns.update(__builtins__=__builtins__, __name__=b"__main__".decode(), __doc__=None)
    ns["__file__"] = filename
    ns["argv"] = [filename]
    for data in args.split(b"\0")[:-1]:
        ns["argv"].append(data.decode("utf-8", "surrogateescape"))
    proxy = stream("stdout", stdout), stream("stderr", stderr)
    sys.stdout, sys.stderr = proxy
    base = count()


def count():
    return [sys.getrefcount(proxy[0]), sys.getrefcount(proxy[1])]


def load(source):
    """Runs the text of another file of ours in these globals."""
    exec(compile(source, "<unknown>", "exec", 0, True), globals())


def tell(exc):
    try:
        load(exc_details)
        text = message(exc)
    except Exception:  # an audit hook may refuse even this
        text = "%s: %s\n" % (type(exc).__name__, exc)
    try:
        proxy[1].write(text)
    except OSError:
        pass  # remora is gone


def _exec():
    global result, code
    try:
        if interactive:
            load(displayhook)
        else:
            exec(compile(source, filename, "exec", 0, True), ns)
        result, code = 0, 0
    except SystemExit as e:
        n = e.code
        if n is None:
            n = 0
        elif not isinstance(n, int):
            proxy[1].write(str(n) + "\n")
            n = 1
        result, code = 2, n & 0xff
    except KeyboardInterrupt as e:
        result = 3
        tell(e)
    except BaseException as e:
        result, code = 1, 1
        tell(e)
    if posix.getpid() != owner[0]:
        # A child that the payload has forked: the agent, which would go on, is not in it.
        for stream in proxy:
            try:
                stream.__dict__[key][0].flush()
            except Exception:
                pass
        posix._exit(code if result != 3 else 130)


def pause():
    """Where an interrupt strikes that came too late for the payload."""
    for _ in range(1000):
        pass


def end():
    # Also after an interrupt that struck inside _exec(): then result is still INTERRUPTED.
    global locked, new
    # Before the count, as threads have their stderr: those of the payload, and threading's notes.
    globals().update(ns=None, source=None, args=None)
    try:
        new = lookup()
        if new != old:
            load(thread_info)
    finally:
        reset("stdout", proxy[0])
        reset("stderr", proxy[1])
        proxy[0].__dict__[key][1] = proxy[1].__dict__[key][1] = None
        n = count()
        locked = n[0] >= base[0] or n[1] >= base[1]
