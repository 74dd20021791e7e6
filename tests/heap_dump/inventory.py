# SPDX-License-Identifier: GPL-3.0-or-later
"""An object of every type that the interpreter and its library have, and what is missing to that. Runs on 3.6 and later."""
import _thread
import asyncio
import builtins
import codecs
import collections
import contextlib
import ctypes
import functools
import importlib
import io
import itertools
import os
import pickle
import string
import struct
import sys
import threading
import types
import typing
import weakref

# Modules of C: each class of these must have an instance in the heap, where the module is; and so must the public
# ones of the two last, which are Python's.
MODULES = """builtins _collections _io itertools _functools _operator _contextvars _datetime _decimal array mmap _sre
    _struct _random _csv _json _pickle _queue _asyncio _thread _weakref _elementtree pyexpat _socket _ssl select zlib
    _bz2 _lzma _hashlib _md5 _sha1 _sha256 _sha2 _sha512 _sha3 _blake2 _hmac _sqlite3 _zoneinfo unicodedata _lsprof _abc
    _typing _multibytecodec _multiprocessing _symtable posix time resource pwd grp _tracemalloc string.templatelib _zstd
    _ctypes _string _uuid _interpreters _interpqueues types collections""".split()

# Without instances of their own: to be derived from, or made by the interpreter for a moment.
NONE_OF = set("""_io._IOBase _io._RawIOBase _io._BufferedIOBase _io._TextIOBase _ctypes._Pointer _ctypes.Array _ctypes.CFuncPtr
    _ctypes._SimpleCData _ctypes.Structure _ctypes.Union _thread._ExceptHookArgs _ssl.Certificate _ssl.SSLSession
    posix.waitid_result _lsprof.profiler_entry _lsprof.profiler_subentry _interpreters.CrossInterpreterBufferView
    _frozen_importlib.BuiltinImporter _frozen_importlib.FrozenImporter _ssl.Session _ctypes.PyCFuncPtr typing.Generic
    _thread.ExceptHookArgs sqlite3.Cache sqlite3.Statement test.support.interpreters.QueueError
    test.support.interpreters.QueueNotFoundError concurrent.interpreters.QueueError
    concurrent.interpreters.QueueNotFoundError""".split())
NONE_OF.update(module + ".Multibyte" + name for module in ("builtins", "_multibytecodec") for name in (
    "IncrementalDecoder", "IncrementalEncoder", "StreamReader", "StreamWriter"))


def quietly(make, *arguments, **keywords):
    """What the call makes, in a list, or nothing if this interpreter has no such thing."""
    try:
        return [make(*arguments, **keywords)]
    except (ImportError, AttributeError, SyntaxError, TypeError, ValueError, OSError, NameError, RuntimeError):
        return []


def run(text, **names):
    """What names the text, in the syntax of a later version perhaps, defines; nothing where it is wrong."""
    try:
        exec(text, names)
    except (SyntaxError, ImportError, AttributeError, TypeError):
        return {}
    return {name: value for name, value in names.items() if name != "__builtins__"}


class Sequence(object):
    def __getitem__(self, i):
        return [][i]

    def __len__(self):
        return 0


def exceptions():
    """Each of the built-in ones, with what they can hold."""
    made = []
    special = {"UnicodeDecodeError": ("utf-8", b"x", 0, 1, "r"), "UnicodeEncodeError": ("utf-8", "x", 0, 1, "r"),
               "UnicodeTranslateError": ("x", 0, 1, "r"), "BaseExceptionGroup": ("g", [KeyboardInterrupt()]),
               "ExceptionGroup": ("g", [ValueError(1), TypeError([2])])}
    for name, cls in sorted(vars(builtins).items()):
        if isinstance(cls, type) and issubclass(cls, BaseException) and cls.__name__ == name:
            arguments = ("m", ("f", 1, 2, "t")) if issubclass(cls, SyntaxError) else (name, [name])
            made.append(cls(*special.get(name, arguments)))
    try:
        try:
            raise ValueError("context")
        except ValueError:
            {}["missing"]
    except KeyError as error:
        if hasattr(error, "add_note"):
            error.add_note("a note")
        made.append(error)
    made.extend([OSError(2, "text", "file", None, "file2"), StopIteration([1]), SystemExit([1]),
                 SyntaxError("m", ("f", 1, 2, "t")), ImportError("m", name="n", path="p")])
    with contextlib.suppress(TypeError):
        made.extend([NameError("m", name="n"), AttributeError("m", name="n", obj=[1])])
    return made


def iterators():
    big = range(1 << 70, 1 << 80)
    keyed = {"k%d" % i: [i] for i in range(3)}
    ordered = collections.OrderedDict(keyed)
    queue = collections.deque([[1], [2]])
    array_ = importlib.import_module("array").array("i", [1])
    made = [iter(x) for x in ([[1]], ([1],), keyed, keyed.values(), keyed.items(), {1}, "abc", "\xe9\u20ac", b"b",
                              bytearray(b"c"), range(5), big, ordered, ordered.values(), queue, array_,
                              memoryview(b"m"), Sequence(), struct.iter_unpack("i", b"1234"))]
    made.extend(reversed(x) for x in ([[1]], Sequence(), range(5), big, queue, ordered))
    for x in (keyed, keyed.values(), keyed.items()):
        made.extend(quietly(reversed, x))
    made.extend([iter(list, [1]), enumerate([[1]]), zip([1], [2]), map(len, [[1]]), filter(None, [[1]]),
                 enumerate([1], 1 << 70)])
    first, second = itertools.tee(iter([[1], [2]]))
    next(first)
    grouped = itertools.groupby([[1], [1], [2]])
    made.extend([first, second, grouped, next(grouped)])
    started = [itertools.accumulate([[1], [2]]), itertools.chain([[1]], [[2]]), itertools.chain.from_iterable([[[1]]]),
               itertools.combinations([[1], [2]], 1), itertools.combinations_with_replacement([[1]], 2),
               itertools.compress([[1]], [1]), itertools.count([1][0]), itertools.count(1.5), itertools.cycle([[1], [2]]),
               itertools.dropwhile(bool, [[], [1]]), itertools.filterfalse(bool, [[], []]),
               itertools.islice([[1], [2]], 1), itertools.permutations([[1], [2]]), itertools.product([[1]], [[2]]),
               itertools.repeat([1], 5), itertools.starmap(max, [([1], [2])]), itertools.takewhile(bool, [[1]]),
               itertools.zip_longest([[1]], [], fillvalue=[3])]
    for name in ("pairwise", "batched"):
        made.extend(x for kind in [getattr(itertools, name, None)] if kind
                    for x in [kind([[1], [2], [3]], *[2][:name == "batched"])])
    for x in started:
        next(x)
    return made + started


def functions():
    def full(a, *b, c: int = 3, **d) -> str:
        """doc"""
        yield a, later

    def empty():
        return later
    made = [full, full("a"), empty]
    made.extend(empty.__closure__)  # a cell without contents
    if 0:
        later = 1
    made.extend([functools.partial(full, 1, c=[2]), functools.cmp_to_key(max), functools.cmp_to_key(max)([1]),
                 functools.lru_cache(2)(len), full.__get__([1]), object().__repr__, [].__add__, str.__dict__["maketrans"],
                 dict.__dict__["fromkeys"], type.__dict__["__mro__"], type.__dict__["__dict__"], int.__add__,
                 staticmethod(full), classmethod(full), property(full, empty, full, "doc"), super(bool, True),
                 types.DynamicClassAttribute(full), types.coroutine(full)(1), full.__code__,
                 types.MethodType(full, [1])])
    for name in ("cached_property", "partialmethod", "singledispatchmethod"):
        made.extend(quietly(lambda: getattr(functools, name)(full)))
    for name in ("co_lines", "co_positions"):
        made.extend(quietly(lambda: getattr(full.__code__, name)()))
    cached = functools.lru_cache(3)(Pair)
    cached(1), cached([1][0], second="x")
    made.append(cached)
    made.extend(vars(functools.singledispatch(full)).values())
    return made


class Pair(object):
    def __init__(self, first, second=None):
        self.first, self.second = first, second


class Waits(object):
    def __await__(self):
        yield self


def coroutines():
    names = run("""
async def agen(x):
    local = [x]
    try:
        yield local
        await waits
        yield x
    finally:
        await waits
async def coro(x):
    local = [x]
    async for i in agen(local):
        await waits
async def unstarted(): pass
def delegate(x):
    local = [x]
    yield from iter(local)
""", waits=Waits())
    made = list(names.values())
    waiting, awaitable, fresh = names["coro"]([1]), names["coro"]([2]), names["unstarted"]()
    waiting.send(None)
    delegate = names["delegate"](1)
    next(delegate)
    one, two, three = names["agen"](1), names["agen"](2), names["agen"](3)
    step = one.asend(None)
    with contextlib.suppress(StopIteration):
        step.send(None)
    second = one.asend(None)
    second.send(None)
    made.extend([waiting, awaitable, awaitable.__await__(), fresh, delegate, one, two, three, step, second,
                 two.athrow(ValueError), three.aclose(), three.asend(None)])
    if hasattr(builtins, "anext"):
        made.append(anext(names["agen"](4), [5]))
        inner = anext(names["agen"](6), [7])
        made.extend(quietly(inner.__await__))
    return made


def tasks():
    loop = asyncio.new_event_loop()

    async def sleeper(future):
        await future

    async def waiter():
        await asyncio.wait([loop.create_task(sleeper(loop.create_future()))])
    futures = [loop.create_future() for _ in range(4)]
    futures[1].set_result([1])
    futures[2].set_exception(ValueError("of a future"))
    futures[2].exception()
    futures[0].add_done_callback(print)
    futures[0].add_done_callback(len)
    made = [loop.create_task(sleeper(futures[3])), loop.create_task(waiter())]
    loop.call_soon(loop.stop)
    loop.run_forever()
    made.extend([loop, asyncio.Future(loop=loop), iter(futures[0]), asyncio.Queue(), asyncio.Lock(), asyncio.Event(),
                 asyncio.gather(*futures[:1])] if sys.version_info >= (3, 10) else [loop, iter(futures[0])])
    return made + futures


def contexts():
    try:
        import contextvars
    except ImportError:
        return []
    variables = [contextvars.ContextVar("v%d" % i, default=[i]) for i in range(200)]

    def fill():
        tokens = [v.set([v]) for v in variables]
        return tokens, contextvars.copy_context()
    context = contextvars.Context()
    tokens, copied = context.run(fill)
    return [variables, context, tokens, copied, iter(copied), copied.keys(), iter(copied.keys()), copied.values(),
            iter(copied.values()), copied.items(), iter(copied.items()), contextvars.Token.MISSING]


def streams():
    folder = importlib.import_module("tempfile").mkdtemp()
    path = os.path.join(folder, "file")
    made = [open(path, "w+"), open(path, "rb"), open(path, "wb"), open(path, "r+b"), open(path, "rb", 0),
            io.StringIO("t"), io.StringIO("a\nb", newline=None), io.BytesIO(b"b"), io.BytesIO().getbuffer(), io.IncrementalNewlineDecoder(None, True),
            io.BufferedRWPair(open(path, "rb", 0), open(path, "wb", 0)), io.TextIOWrapper(io.BytesIO()),
            io.UnsupportedOperation("u")]
    made[0].extra = [1]
    entries = os.scandir(folder)
    made.extend(entries)
    made.extend([os.scandir(folder), os.stat(path), os.statvfs(path), os.times(), os.uname(), os.get_terminal_size])
    for file in made[:5]:
        file.line = [file]
    os.unlink(path)
    os.rmdir(folder)
    made.extend(quietly(lambda: os.terminal_size((1, 2))))
    made.extend(quietly(lambda: os.sched_param(1)) + quietly(lambda: os.statx("/", os.STATX_BASIC_STATS)))
    return made


def typed():
    made = [typing.List[int], typing.Optional[str], typing.Union[int, str], typing.Callable[[int], str], typing.TypeVar("T", bound=list),
            typing.Any, typing.Tuple[int, ...], typing.ClassVar[int], typing.NamedTuple("N", [("x", int)])(1),
            typing.TypeVar("U", int, str, covariant=True)]
    made.extend(quietly(lambda: list[int]))
    made.extend(quietly(lambda: iter(list[int])))
    made.extend(quietly(lambda: int | list[str]))
    made.extend(quietly(lambda: iter(tuple[int, str])))
    made.extend(quietly(lambda: collections.abc.Callable[[int], str]))
    for name in ("ParamSpec", "TypeVarTuple"):
        made.extend(quietly(lambda: getattr(typing, name)("P")))
    made.extend(quietly(lambda: made[-2].args) + quietly(lambda: made[-2].kwargs))
    made.extend(quietly(lambda: typing.ParamSpec("Q").args) + quietly(lambda: typing.ParamSpec("R").kwargs))
    made.extend(quietly(lambda: typing.NewType("Id", int)) + quietly(lambda: typing.Literal[1]))
    made.extend(quietly(lambda: typing.ForwardRef("x")) + quietly(lambda: typing.Annotated[int, []]))
    made.extend(quietly(lambda: typing.TypedDict("D", {"x": int})) + quietly(lambda: typing.NoDefault))
    made.append(run("type Alias[T: list, *Ts, **P] = dict[T, P]\ndef generic[T](x: T) -> T: return x\n"
                    "class Generic[T]: x: T\nlater = Alias[int, str, [int]]"))
    made.append(run("from string.templatelib import Template\nt = t'a{x!r:>{w}}b'\ni = iter(t)", x=[1], w=9))
    made.append(run("from annotationlib import ForwardRef\nf = ForwardRef('x')"))
    return made


def proxies():
    class Referent(object):
        def __call__(self):
            pass

    class Plain(object):
        pass
    referent, plain = Referent(), Plain()
    return [referent, plain, weakref.ref(referent), weakref.ref(referent, print), weakref.proxy(referent),
            weakref.proxy(plain), weakref.proxy(plain, print), weakref.WeakMethod(referent.__call__), weakref.finalize(plain, print),
            weakref.KeyedRef(plain, print, 1), weakref.WeakSet([plain]), weakref.WeakValueDictionary({1: plain}),
            weakref.WeakKeyDictionary({plain: 1}), weakref.ref(Plain)]


def views():
    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_void_p)]

    class Either(ctypes.Union):
        _fields_ = [("a", ctypes.c_int), ("b", ctypes.py_object)]
    array_ = importlib.import_module("array").array
    owner = bytearray(100)
    mapped = importlib.import_module("mmap").mmap(-1, 4096)
    holder = ctypes.py_object([1])
    point = Point(1, 2)
    made = [memoryview(x) for x in (b"b", owner, array_("d", [1]), mapped, point, (ctypes.c_int * 3)(),
                                    io.BytesIO(b"x").getbuffer(), memoryview(owner)[3:])]
    released = memoryview(b"released")
    released.release()
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(len)
    made.extend([released, owner, mapped, holder, point, Either(), Point.x, ctypes.pointer(point), ctypes.byref(point),
                 callback, ctypes.cast(callback, ctypes.c_void_p), ctypes.pythonapi, ctypes.pythonapi.Py_IncRef,
                 (Point * 2)(), ctypes.POINTER(Point)(), ctypes.c_char_p(b"kept"), Point.from_buffer(owner),
                 ctypes.CDLL(None), ctypes.ArgumentError("x")])
    made.extend(quietly(lambda: pickle.PickleBuffer(owner)))
    return made


def locks():
    local = threading.local()
    local.value = [1]
    made = [_thread.allocate_lock(), threading.RLock(), threading.Condition(), threading.Semaphore(), threading.Event(),
            threading.Barrier(2), threading.Timer(1, print), local]
    for name, kind in (("_thread", "RLock"), ("_thread", "_local"), ("_thread", "_ThreadHandle"), ("_queue", "SimpleQueue"),
                       ("queue", "Queue")):
        made.extend(quietly(lambda: getattr(importlib.import_module(name), kind)()))
    return made


def one_of(module, text):
    """What the text makes of the module m, or nothing where there is none."""
    try:
        m = importlib.import_module(module)
    except ImportError:
        return []
    return quietly(lambda: eval(text, {"m": m, "os": os, "io": io, "__name__": __name__}))


def libraries():
    made = []
    for module, text in (
            ("csv", "[m.reader([]), m.writer(io.StringIO()), m.DictReader([]), m.get_dialect('excel')]"),
            ("_csv", "[m.Dialect(), m.QUOTE_ALL, m.Error()]"),
            ("json.scanner", "[m.c_make_scanner(__import__('json').JSONDecoder())]"),
            ("json.encoder", "[m.c_make_encoder({}, str, str, None, ':', ',', False, False, True)]"),
            ("pickle", "[m.Pickler(io.BytesIO()), m.Unpickler(io.BytesIO()), m.Pickler(io.BytesIO()).memo,"
             " m.Unpickler(io.BytesIO()).memo, m.PickleError(), m.PicklingError(), m.UnpicklingError()]"),
            ("zlib", "[m.compressobj(zdict=b'z'), m.decompressobj(zdict=b'z'), m.error()]"),
            ("zlib", "[m._ZlibDecompressor()]"),
            ("bz2", "[m.BZ2Compressor(), m.BZ2Decompressor(), m.BZ2File(io.BytesIO())]"),
            ("lzma", "[m.LZMACompressor(), m.LZMADecompressor(), m.LZMAError(), m.LZMAFile(io.BytesIO())]"),
            ("_zstd", "[m.ZstdCompressor(), m.ZstdDecompressor(), m.ZstdError()]"),
            ("_zstd", "[m.ZstdDict(b'\\x37\\xa4\\x30\\xec' + bytes(200), is_raw=True)]"),
            ("hashlib", "[getattr(m, n)(b'x') for n in sorted(m.algorithms_guaranteed)]"),
            ("_hashlib", "[m.hmac_new(b'k', digestmod='sha256')]"),
            ("_hashlib", "[m.new('shake_128'), m.UnsupportedDigestmodError()]"),
            ("_md5", "[m.md5()]"), ("_sha1", "[m.sha1()]"), ("_sha256", "[m.sha256(), m.sha224()]"),
            ("_sha512", "[m.sha512(), m.sha384()]"),
            ("_sha2", "[m.sha256(), m.sha224(), m.sha512(), m.sha384()]"),
            ("_sha3", "[m.sha3_224(), m.sha3_256(), m.sha3_384(), m.sha3_512(), m.shake_128(), m.shake_256()]"),
            ("_sha3", "[getattr(m, n)() for n in dir(m) if n.startswith('keccak')]"),
            ("_blake2", "[m.blake2b(), m.blake2s()]"), ("hmac", "[m.new(b'key', digestmod='md5')]"),
            ("_hmac", "[m.new(b'key', digestmod='md5'), m.UnknownHashError()]"),
            ("ssl", "[m.create_default_context(), m.MemoryBIO(), m.SSLError(), m.SSLContext(m.PROTOCOL_TLS_CLIENT)"
             ".wrap_bio(m.MemoryBIO(), m.MemoryBIO(), server_hostname='h')]"),
            ("_ssl", "[m._SSLContext(m.PROTOCOL_TLS)]"),
            ("_ssl", "[getattr(m, n)() for n in dir(m) if n.endswith('Error')]"),
            ("select", "[m.poll(), m.epoll()]"),
            ("selectors", "[m.DefaultSelector(), m.SelectSelector(), m.PollSelector(), m.EpollSelector(),"
             " m.SelectorKey(1, 2, 3, [4])]"),
            ("socket", "list(m.socketpair()) + [__import__('_socket').socket(), m.gaierror(), m.herror(), m.timeout(), m.SocketIO(m.socket(), 'r')]"),
            ("sqlite3", "[m.connect(':memory:', isolation_level=None)]"),
            ("unicodedata", "[m.ucd_3_2_0]"), ("uuid", "[m.uuid4()]"), ("fractions", "[m.Fraction(1, 3)]"),
            ("_lsprof", "[m.Profiler()]"), ("resource", "[m.getrusage(0)]"), ("pwd", "[m.getpwuid(0)]"),
            ("grp", "[m.getgrgid(0)]"), ("time", "[m.gmtime(), m.get_clock_info('time')]"),
            ("random", "[m.Random(1), m.SystemRandom()]"), ("_random", "[m.Random(1)]"),
            ("zoneinfo", "[m.ZoneInfo('Europe/Berlin'), m.ZoneInfo.no_cache('UTC'), m.ZoneInfoNotFoundError()]"),
            ("zoneinfo", "[m.InvalidTZPathWarning()]"),
            ("_multiprocessing", "[m.SemLock(1, 1, 1, '/remora-test-%d' % __import__('os').getpid(), True)]"),
            ("symtable", "[m.symtable('def f(x):\\n y = x', 'f', 'exec')]"), ("ast", "[m.parse('a.b[c] = lambda x: (yield)')]"),
            ("struct", "[m.Struct('iid'), m.error()]"), ("operator", "[m.attrgetter('a.b', 'c'), m.itemgetter(1, [2][0]),"
                                                         " m.methodcaller('x', [1], y=[2])]"),
            ("decimal", "[m.Decimal('1.5'), m.getcontext(), m.localcontext(), m.getcontext().flags, m.getcontext().traps,"
             " m.Decimal(1).as_tuple()]"),
            ("decimal", "[c() for c in vars(m).values() if isinstance(c, type) and issubclass(c, BaseException)]"),
            ("decimal", "[m.ContextManager(m.getcontext())]"),
            ("re", "[m.compile('(?P<n>a)'), m.match('(?P<n>a)', 'a'), m.compile('a').scanner('aa'), m.error('x')]"),
            ("_sre", "[m.template('a', ['x'])]"),
            ("re", "[m._compile_template(m.compile('(a)'), 'x\\\\1y')]"),
            ("datetime", "[m.datetime.now(m.timezone.utc), m.date.today(), m.time(1, tzinfo=m.timezone(m.timedelta(hours=1), 'n')),"
             " m.timedelta(1), m.tzinfo(), m.datetime(2020, 1, 1).isocalendar()]"),
            ("xml.parsers.expat", "[m.ParserCreate(), m.error()]"),
            ("xml.etree.ElementTree", "[m.Element('a', {'b': 'c'}), m.TreeBuilder(), m.XMLParser(), m.fromstring('<a>t<b/>u</a>').iter(),"
             " m.fromstring('<a><b/></a>').itertext(), m.ElementTree(m.Element('x')), m.ParseError('e')]"),
            ("_interpreters", "[m.InterpreterError(), m.InterpreterNotFoundError(), m.NotShareableError()]"),
            ("_statistics", "[m._normal_dist_inv_cdf]"), ("_string", "[m.formatter_parser('a{b}c'), m.formatter_field_name_split('a.b[c]')]"),
            ("_abc", "[vars(__import__('abc').ABC)]"), ("os", "[m.environ, m.fspath, m.DirEntry]"),
            ("signal", "[m.sigtimedwait([m.SIGWINCH], 0)]"), ("_queue", "[m.Empty()]"),
            ("enum", "[m.Enum('Named', 'A B').A, m.Flag('Flagged', 'A B').A, m.IntFlag('IntFlagged', 'A B').A,"
             " m.IntEnum('Numbered', 'A').A, m.auto()]"),
            ("enum", "[m.StrEnum('Texts', 'A').A, m.property(len), m.member(1), m.nonmember(1), m.verify(m.UNIQUE)]"),
            ("dataclasses", "[m.make_dataclass('Data', ['x'])([1]), m.make_dataclass('Frozen', ['x'], frozen=True)(1)]"),
            ("dataclasses", "[m.make_dataclass('Slotted', ['x'], slots=True)([1])]"),
            ("multiprocessing.shared_memory", "[m.ShareableList]"), ("types", "[m.SimpleNamespace(a=[1])]"),
            ("types", "[m.new_class('New'), m.MappingProxyType({'a': [1]})]"), ("_opcode", "[m.stack_effect]")):
        made.extend(one_of(module, text))
    made.extend(database())
    made.extend(codecs.lookup(name).incrementaldecoder() for name in ("utf-8", "shift_jis", "latin-1"))
    made.extend(codecs.lookup(name).incrementalencoder() for name in ("utf-8", "shift_jis", "utf-16"))
    jis = codecs.lookup("shift_jis")
    made.extend([jis, jis.streamreader(io.BytesIO()), jis.streamwriter(io.BytesIO()), codecs.charmap_build("".join(map(chr, range(256)))),
                 string.Template("$a"), string.Formatter()])
    return made


def database():
    try:
        import sqlite3
    except ImportError:
        return []
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.create_function("f", 1, len)
    connection.create_aggregate("g", 1, Pair)
    connection.execute("create table t(a, b)")
    connection.execute("insert into t values('x', zeroblob(10))")
    cursor = connection.execute("select a, b from t where a = ?", ["x"])
    made = [connection, cursor, cursor.fetchone(), connection.cursor()]
    made.extend(quietly(lambda: connection.blobopen("t", "b", 1)))
    made.extend(cls() for cls in vars(sqlite3).values() if isinstance(cls, type) and issubclass(cls, Exception))
    made.extend(quietly(lambda: sqlite3.PrepareProtocol()))
    return made


def others():
    """Types that no module names."""
    made = [type(sys.flags)] if 0 else [sys.flags, sys.version_info, sys.float_info, sys.int_info, sys.hash_info, sys.thread_info, Ellipsis,
                                        NotImplemented, None, {}.keys(), {1: [2]}.values(), {1: [2]}.items(),
                                        collections.OrderedDict(a=[1]).keys(), collections.OrderedDict(a=[1]).values(),
                                        collections.OrderedDict(a=[1]).items(), collections.namedtuple("Pt", "x y")([1], 2),
                                        collections.ChainMap({1: [2]}), collections.UserDict(a=[1]), collections.UserList([[1]]),
                                        collections.UserString("u"), collections.Counter("aab"),
                                        collections.defaultdict(list, {1: [2]}), types.ModuleType("made"),
                                        complex(1, 2), range(5), range(1 << 70, 1 << 80, 3), bytearray(b"b"), frozenset([1]), slice([1], [2], [3]), object()]
    made.extend(quietly(lambda: sys.asyncgen_hooks) + quietly(sys.get_asyncgen_hooks))
    made.extend(quietly(lambda: frozendict(a=[1])) + quietly(lambda: sentinel("S")))
    try:
        raise ValueError
    except ValueError as error:
        made.extend([error.__traceback__, error.__traceback__.tb_frame])
        made.extend(quietly(lambda: error.__traceback__.tb_frame.f_locals))
    return made


def build():
    made = []
    for part in (exceptions, iterators, functions, coroutines, tasks, contexts, streams, typed, proxies, views, locks, libraries,
                 others):
        made.append((part.__name__, part()))
    return made


# Types that are in no module's namespace, or not in that of all versions, by the first that has them.
HIDDEN = (
    ((3, 6), """list_iterator list_reverseiterator tuple_iterator dict_keys dict_values dict_items dict_keyiterator
        dict_valueiterator dict_itemiterator set_iterator str_iterator bytes_iterator bytearray_iterator range_iterator
        longrange_iterator callable_iterator iterator arrayiterator odict_iterator odict_keys odict_values odict_items
        _deque_iterator _deque_reverse_iterator coroutine_wrapper async_generator async_generator_asend
        async_generator_athrow generator coroutine cell frame traceback code module mappingproxy method method-wrapper
        wrapper_descriptor method_descriptor classmethod_descriptor getset_descriptor member_descriptor
        builtin_function_or_method weakref|ReferenceType KeyedRef weakproxy|ProxyType weakcallableproxy|CallableProxyType
        managedbuffer PyCapsule CField CArgObject PyCFuncPtrType PyCPointerType lock RLock|_RLock _local
        Task Future FutureIter|FutureIterator KeyWrapper _lru_list_elem _lru_cache_wrapper _tee _tee_dataobject _grouper
        fieldnameiterator formatteriterator EncodingMap unpack_iterator PicklerMemoProxy UnpicklerMemoProxy
        SRE_Scanner|sre_scanner Element XMLParser TreeBuilder xmlparser Scanner Encoder ScandirIterator DirEntry TypeVar
        stat_result struct_time flags ellipsis NotImplementedType NoneType super"""),
    ((3, 7), "hamt Context ContextVar Token keys|hamt_keys values items"),
    ((3, 8), "dict_reversekeyiterator dict_reverseitemiterator dict_reversevalueiterator PickleBuffer cached_property"),
    ((3, 9), "GenericAlias"),
    ((3, 10), "anext_awaitable line_iterator ParamSpec ParamSpecArgs ParamSpecKwargs UnionType|Union pairwise"),
    ((3, 11), "positions_iterator TypeVarTuple ExceptionGroup generic_alias_iterator|ga_iterator"),
    ((3, 12), "TypeAliasType batched"),
    ((3, 13), "FrameLocalsProxy _ThreadHandle"),
    ((3, 14), "Template Interpolation"),
    ((3, 15), "frozendict sentinel"),
)


def missing(objects):
    """Classes of which the heap should have an instance and has none."""
    exact = set(map(type, objects))
    names = {cls.__name__ for cls in exact}
    lacking = set()
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        for key, cls in list(vars(module).items()):
            if isinstance(cls, type) and cls not in exact and not (
                    name in ("types", "collections") and (key[0] == "_" or cls.__module__ == "collections.abc")):
                lacking.add("%s.%s" % (cls.__module__, cls.__name__))
    for first, expected in HIDDEN:
        if sys.version_info >= first:
            lacking.update(name for name in expected.split() if not names & set(name.split("|")))
    if not os.path.isdir("/dev/shm"):
        lacking.discard("_multiprocessing.SemLock")
    return sorted(lacking - NONE_OF)


class Slotted(object):
    __slots__ = ("one", "two")


class Mixed(Slotted):
    def __init__(self):
        self.one, self.three = [1], [3]


class Holder(object):
    """What named() asks for."""

    def __init__(self):
        self.plain, self.materialised, self.changed = Pair([1], [2]), Pair([1], [2]), Pair([1], [2])
        vars(self.materialised)
        for i in range(40):
            setattr(self.changed, "more%d" % i, [i])
        self.mixed = Mixed()
        self.keyed = {"k": [1], 5: [2], None: [3], ("t", 1): [4]}
        self.listed, self.paired = [[1], [2], [3]], ([1], [2])
        self.sub = type("SubList", (list,), {})([[1], [2]])
        self.subdict = type("SubDict", (dict,), {})({"k": [1]})
        self.queue, self.subqueue = collections.deque([[1], [2], [3]]), type("SubDeque", (collections.deque,), {})([[1], [2]])
        self.subqueue.attribute = [3]
        self.ordered, self.default = collections.OrderedDict(k=[1]), collections.defaultdict(list, {"k": [1]})
        self.default_of = [1]
        self.function = self.closure(self.default_of)
        self.generator = self.generate([1])
        next(self.generator)
        self.callback = lambda reference: None
        self.weak = weakref.ref(self.plain, self.callback)
        self.waits = Waits()
        self.coroutine = run("async def wait(x, waits):\n    local = x\n    await waits")["wait"]([1], self.waits)
        self.coroutine.send(None)
        self.cls = type("Class", (), {"attribute": [1]})
        self.bound = self.generate.__get__([1])
        self.property = property(self.callback)
        try:
            raise KeyError([1])
        except KeyError as error:
            self.error = error
        self.local = threading.local()
        self.local.value = [1]
        etree = importlib.import_module("xml.etree.ElementTree")
        self.element = etree.fromstring("<a k='v'><b/>tail of b</a>")
        self.frozen = quietly(lambda: frozendict(k=[1]))  # of 3.15

    @staticmethod
    def closure(default, other=None):
        def inner(a=default):
            return other, a
        return inner

    @staticmethod
    def generate(argument):
        local = [argument]
        yield local


holder = Holder()


def named(h):
    """(owner, name, what it leads to) of each kind of named reference."""
    cell = h.function.__closure__[0]
    frame = getattr(h.generator, "gi_frame")
    found = [
        ("attribute", h.plain, ".first", h.plain.first),
        ("attribute of a materialised dict", h.materialised, ".second", h.materialised.second),
        ("attribute of many", vars(h.changed), "['more39']", h.changed.more39),
        ("slot", h.mixed, ".one", h.mixed.one), ("attribute beside slots", h.mixed, ".three", h.mixed.three),
        ("class", h.plain, ".__class__", Pair),
        ("str key", h.keyed, "['k']", h.keyed["k"]), ("int key", h.keyed, "[5]", h.keyed[5]),
        ("None key", h.keyed, "[None]", h.keyed[None]),
        ("index", h.listed, "[2]", h.listed[2]), ("tuple index", h.paired, "[1]", h.paired[1]),
        ("index of a subclass", h.sub, "[1]", h.sub[1]), ("key of a subclass", h.subdict, "['k']", h.subdict["k"]),
        ("deque index", h.queue, "[1]", h.queue[1]), ("index of a deque's subclass", h.subqueue, "[1]", h.subqueue[1]),
        ("attribute of a deque's subclass", vars(h.subqueue), "['attribute']", h.subqueue.attribute),
        ("OrderedDict key", h.ordered, "['k']", h.ordered["k"]), ("defaultdict key", h.default, "['k']", h.default["k"]),
        ("default_factory", h.default, ".default_factory", list),
        ("closure", h.function, ".__closure__", h.function.__closure__), ("cell index", h.function.__closure__, "[0]", cell),
        ("code", h.function, ".__code__", h.function.__code__), ("globals", h.function, ".__globals__", globals()),
        ("defaults", h.function, ".__defaults__", h.function.__defaults__),
        ("module global", sys.modules[__name__], ".__dict__", globals()), ("module global's name", globals(), "['MODULES']", MODULES),
        ("weakref callback", h.weak, ".__callback__", h.callback),
        ("type's __dict__", h.cls, ".__dict__", importlib.import_module("gc").get_referents(h.cls.__dict__)[0]),
        ("name in a type's __dict__", importlib.import_module("gc").get_referents(h.cls.__dict__)[0], "['attribute']", h.cls.attribute),
        ("bound self", h.bound, ".__self__", h.bound.__self__), ("fget", h.property, ".fget", h.callback),
        ("exception args", h.error, ".args", h.error.args), ("traceback", h.error, ".__traceback__", h.error.__traceback__),
        ("frame of a traceback", h.error.__traceback__, ".tb_frame", h.error.__traceback__.tb_frame),
        ("Element tag", h.element, ".tag", h.element.tag), ("Element child", h.element, "[0]", h.element[0]),
        ("Element tail", h.element[0], ".tail", h.element[0].tail), ("Element attrib", h.element, ".attrib", h.element.attrib)]
    if sys.version_info >= (3, 11):
        found.extend([("generator local", h.generator, "<local local>", frame.f_locals["local"]),
                      ("coroutine local", h.coroutine, "<local local>", h.coroutine.cr_frame.f_locals["local"])])
    else:
        found.extend([("generator local", frame, ".local", frame.f_locals["local"]),
                      ("coroutine local", h.coroutine.cr_frame, ".local", h.coroutine.cr_frame.f_locals["local"])])
    if h.frozen:
        found.append(("frozendict key", h.frozen[0], "['k']", h.frozen[0]["k"]))
    return found
