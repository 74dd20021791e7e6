# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Pythons live: servers and programs that embed Python, containers, confined and limited
processes. Everywhere an attach works or is refused in one line, and the target is unharmed.

Not shown here, because it needs a kernel or a processor that test machines rarely have: Impossible
names it. Memory limits of cgroups are shown by unit tests (tests/unit, headroom)."""
import ast
import contextlib
import glob
import http.client
import json
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import pythons
import support

SPEC = ("bookworm:python3+gunicorn+uwsgi-plugin-python3+uvicorn+libapache2-mod-wsgi-py3+python3-gevent+"
        "python3-numpy+vim-nox+gdb+celery+libjemalloc2+libtcmalloc-minimal4+libmimalloc2.0"
        "@apps=/usr/bin/python3.11")
ENTRY = pythons.CACHE / "bookworm-apps"
PLACES = pythons.TARGETS / "places"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
# Nobody else on the machine is this user, so that a limit of his processes is the target's own.
LONELY = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")


def need_root():
    if os.getuid() != 0:
        support.skip("needs root")


_apps = {}


def apps():
    """The tree of Debian's servers, as an interpreter; tests/get-pythons fetches it if it is missing."""
    need_root()
    if not _apps:
        if not (ENTRY / "ok").exists():
            get = str(support.ROOT / "tests" / "get-pythons")
            done = subprocess.run([get, str(pythons.CACHE), SPEC], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=600)
            if done.returncode:
                support.skip("tests/get-pythons cannot fetch %s: %s" % (SPEC, done.stdout[-300:]))
        facts = dict(line.split("=", 1) for line in (ENTRY / "info").read_text().splitlines()
                     if "=" in line)
        _apps["python"] = pythons.Interpreter("apps", [ENTRY / "python"], ENTRY / "root", facts)
        _apps["facts"] = facts
        for file in PLACES.glob("*.py"):
            _apps["python"].target("places/" + file.stem)
    return _apps["python"]


def inside(*line, env=()):
    """The command that runs line in the tree, with /proc and /dev: mounts that end with it."""
    root, there = apps().root, apps().folder()[1]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
            'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec env -i PATH=/usr/bin:/usr/sbin '
            'HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=%s TMPDIR=%s %s chroot "$0" "$@"' % (
                there, there, " ".join(env)), root] + list(line)


class Program(pythons.Interpreter):
    """A program of the tree that runs a target: line is how it is started, argument what it is told."""

    def __init__(self, name, *line, argument="%s", env=()):
        tree = apps()
        super().__init__(name, inside(*line, env=env), tree.root, _apps["facts"])
        self._placed, self.argument = tree._placed, argument

    def target(self, kind):
        return self.argument % super().target(kind)


class Whole(Program):
    """One whose line says all."""

    def __init__(self, name, *line):
        super().__init__(name, *line[:-1], argument=line[-1])

    def target(self, kind):
        return self.argument


class Child(support.Target):
    """A target whose process is a descendant of the one that was started: the last one."""

    def answer(self, word, seconds=30.0):
        facts = super().answer(word, seconds)
        while word == "READY":
            children = support.read("/proc/%d/task/%d/children" % (self.pid, self.pid)).split()
            if not children:
                break
            self.pid = int(children[-1])
        self.stray.clear()
        return facts


def free_port():
    """One that nobody has, below those that Linux gives to clients, so that none of them takes it."""
    for port in random.sample(range(20000, 32000), 100):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Server(support.Target):
    """A server of the tree that runs wsgi.py or asgi.py. It reports by answering GET /state."""

    def __init__(self, name, *line, port=None, vary=""):
        self.port = port or free_port()
        line = [word.format(port=self.port) for word in line]
        super().__init__(Whole(name, *line), support.Kind(name, vary=vary))

    def answer(self, word, seconds=30.0):
        """Only READY: the first answer, and the PID of the process that gives it."""
        support.wait_for(self.answers, "%s answers" % self.name, seconds)
        self.pid = self.report()["pid"]

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("%s ended: %s" % (self.name, self.condition()))
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("/")[0] == 200

    def request(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def get(self, path="/"):
        try:
            status, body = self.request(path)
        except (OSError, http.client.HTTPException) as error:
            raise AssertionError("%s does not answer: %r; %s" % (self.name, error, self.condition()))
        if status != 200:
            raise AssertionError("%s answers %d: %s; %s" % (self.name, status, body, self.condition()))
        return body

    def report(self):
        facts = ast.literal_eval(self.get("/state"))
        folder, fds = "/proc/%d/fd" % facts["pid"], None
        while fds != os.listdir(folder):  # until the connection is closed there too
            fds = os.listdir(folder)
            time.sleep(0.01)
        return facts

    def finish(self, test, statuses=(0,)):
        test.assertEqual(self.get("/"), "hello")
        self.process.terminate()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            test.fail("%s does not end: %s" % (self.name, self.condition()))
        test.assertIn(status, statuses, self.condition())

    def close(self):
        descendants = self.descendants(self.process.pid)
        super().close()
        for pid in descendants:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def descendants(pid):
        found = []
        for child in support.read("/proc/%d/task/%d/children" % (pid, pid)).split():
            found += [int(child)] + Server.descendants(int(child))
        return found


class Place(support.LiveTest):
    def run_in(self, target, *options, code="print(6 * 7)", out="42\n", **more):
        with support.unharmed(self, target):
            result = self.good(support.remora("run", *options, target, "-c", code, **more))
            self.assertEqual(result.out, out, repr(result))
        return result

    def dump(self, target, **more):
        """Returns the dump's lines; it is whole."""
        with support.unharmed(self, target):
            result = self.good(support.remora("dump", target, "-o", "-", **more))
        lines = result.raw.splitlines()
        self.assertIsNone(json.loads(lines[-1].decode())["partial"])
        self.assertGreater(len(lines), 3000)
        return lines

    def attach(self, target, *options, times=1, **more):
        for _ in range(times):
            self.run_in(target, *options, **more)
        return self.dump(target, **more)

    def works_or_is_refused(self, target, pattern, *line, statuses=(3, 5)):
        """Returns whether it works. A refusal is one line, in time; neither harms the target."""
        with support.unharmed(self, target):
            result = support.remora(*line)
        if result.status:
            self.assertIn(result.status, statuses, repr(result))
            self.refused(result, result.status, pattern)
        return result.status == 0


    @staticmethod
    def begin(*line):
        return subprocess.Popen(support.command(*line), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=support.environment())


class Servers(Place):
    """Python behind web servers and task queues: what a worker process is like."""

    def serve(self, name, *line, **more):
        server = Server(name, *line, **more)
        self.addCleanup(server.close)
        return server

    def attach_under_load(self, server, clients=3):
        """Attaches while requests are being answered: each of them is."""
        answers, stop = [], threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    answers.append(server.request("/"))
                except (OSError, http.client.HTTPException) as error:
                    answers.append(error)

        before = support.Snapshot(server)
        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                self.assertEqual(self.good(support.remora("run", server, "-c", "print(6 * 7)")).out, "42\n")
            self.good(support.remora("dump", server, "-o", "/dev/null"))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        wrong = [answer for answer in answers if answer != (200, "hello")]
        self.assertEqual(wrong[:5], [], "%d of %d answers" % (len(wrong), len(answers)))
        self.assertGreater(len(answers), 10)
        support.assert_unharmed(self, server, before)

    def uwsgi(self, *options):
        plugin, = glob.glob(apps().root + "/usr/lib/uwsgi/plugins/python3*_plugin.so")
        return self.serve("uwsgi " + " ".join(options), "/usr/bin/uwsgi-core",
                          "--plugin", plugin[len(apps().root):], "--http-socket", "127.0.0.1:{port}",
                          "--disable-logging", "--die-on-term", "--need-app", "--wsgi-file", apps().place(PLACES / "wsgi.py"), *options)

    def test_uwsgi_with_threads(self):
        server = self.uwsgi("--master", "--enable-threads", "--threads", "2")
        self.attach(server)
        self.attach_under_load(server)
        server.finish(self)

    def test_uwsgi_without_threads(self):
        """The GIL is given up only where a request's code gives it up."""
        server = self.uwsgi()
        server.arenas = 3
        before = support.Snapshot(server)
        for command in (("run", server, "-c", "print(1)"), ("dump", server, "-o", "/dev/null")):
            start = time.monotonic()
            result = support.remora(*command[:1], "--timeout", "1", *command[1:])
            self.assertEqual((result.status, result.out), (4, ""), repr(result))
            self.assertRegex(result.err, "(?m)^remora: .*GIL")
            self.assertLess(time.monotonic() - start, 6)
            now = server.status()
            self.assertEqual((now["TracerPid"].strip(), now["State"][0]), ("0", "S"))
            self.assertLessEqual(int(now["Threads"]), len(before.threads) + 2, "the least is left behind")
            self.assertEqual(server.get("/sleep"), "hello")  # lets the GIL go: the agent leaves
            support.assert_unharmed(self, server, before)
        # With requests under way it works.
        process = self.begin("run", "--timeout", "20", server, "-c", "print(6 * 7)")
        end = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < end:
            self.assertEqual(server.get("/sleep"), "hello")
        out, err = process.communicate(timeout=20)
        self.assertEqual((process.returncode, out), (0, b"42\n"), err)
        support.assert_unharmed(self, server, before)
        server.finish(self, (0, 30))  # 30: uwsgi's own status without a master

    def test_mod_wsgi(self):
        """Applications are in a sub-interpreter of a process of its own, of another user."""
        here, there = apps().folder()
        port = free_port()
        modules = "/usr/lib/apache2/modules/"
        wsgi, = glob.glob(apps().root + modules + "mod_wsgi*.so")
        with open(os.path.join(here, "apache.conf"), "w") as file:
            file.write("\n".join(
                ["LoadModule %s_module %smod_%s.so" % (n, modules, n) for n in ("mpm_event", "authz_core")] +
                ["LoadModule wsgi_module " + wsgi[len(apps().root):],
                 "ServerRoot " + there, "DefaultRuntimeDir " + there, "PidFile %s/apache.pid" % there,
                 "ErrorLog /dev/null", "ServerName localhost", "Listen 127.0.0.1:%d" % port, "User nobody",
                 "Group nogroup", "WSGISocketPrefix %s/wsgi" % there,
                 "WSGIDaemonProcess app threads=2 python-path=" + there, "WSGIProcessGroup app",
                 "WSGIScriptAlias / %s/wsgi.py" % there, "<Directory />", "Require all granted",
                 "</Directory>", ""]))
        server = self.serve("mod_wsgi", "/usr/sbin/apache2", "-DFOREGROUND", "-f", there + "/apache.conf",
                            port=port, vary="maps")  # each thread gets an arena at its first request
        self.assertNotEqual(server.pid, server.process.pid)
        self.assertEqual(server.status()["Uid"].split()[0], "65534")
        code = "import sys; print(hasattr(sys.modules.get('kit'), 'progress'))"
        self.run_in(server, "--interpreter", "0", code=code, out="False\n")
        self.run_in(server, "--interpreter", "1", code=code, out="True\n")
        lines = self.dump(server)
        self.assertTrue(any(b'"start_response"' in line for line in lines), "the application is in the dump")
        self.attach_under_load(server)
        server.finish(self)

    def test_gunicorn_worker(self):
        server = self.serve("gunicorn", "/usr/bin/gunicorn", "-w", "1", "-b", "127.0.0.1:{port}",
                            "--worker-tmp-dir", "/tmp", "wsgi:application")
        self.assertNotEqual(server.pid, server.process.pid)
        self.attach(server)
        self.attach_under_load(server, 1)
        server.finish(self)

    def test_uvicorn(self):
        server = self.serve("uvicorn", "/usr/bin/uvicorn", "--no-access-log", "--log-level", "critical",
                            "--port", "{port}", "asgi:application")
        self.attach_under_load(server)
        self.attach(server)
        server.finish(self, (0, -signal.SIGTERM))

    def test_celery_worker(self):
        here, there = apps().folder()
        os.mkdir(os.path.join(here, "queue"))
        line = ("/usr/bin/python3.11", "-m", "celery", "-A", "celery_task", "worker", "-c", "1",
                "-l", "critical", "--without-gossip", "--without-mingle", "--without-heartbeat")
        python = Program("celery", *line, argument="--hostname=%s@localhost",
                         env=("QUEUE=%s/queue" % there, "C_FORCE_ROOT=1"))
        with Child(python, support.Kind("places/celery_task")) as target:
            self.attach(target, times=3)
            target.process.terminate()
            self.assertEqual(target.process.wait(20), 0, target.condition())


class Programs(Place):
    """Programs that embed Python, and libraries that change how it runs."""

    def works(self, interpreter, kind="sleep", times=3, finish=True, **more):
        with support.Target(interpreter, kind, **more) as target:
            self.attach(target, times=times)
            if finish:
                target.finish(self)

    def test_vim(self):
        line = ("/usr/bin/vim.nox", "-u", "NONE", "-N", "-es", "--cmd")
        self.works(Program("vim", *line, argument="py3file %s"), finish=False)

    def test_gdb(self):
        line = ("/usr/bin/gdb", "-q", "-nx", "-batch", "-ex")
        self.works(Program("gdb", *line, argument="source %s"), finish=False)

    def test_gevent(self):
        kind = support.Kind("places/gevent_loop", busy=True, vary="state")
        self.works(Program("gevent", "/usr/bin/python3.11"), kind, 10)

    def test_numpy(self):
        kind = support.Kind("places/numpy_loop", busy=True, vary="state maps")
        libraries = "LD_LIBRARY_PATH=" + ":".join("/usr/lib/%s-linux-gnu/%s" % (platform.machine(), name)
                                                  for name in ("blas", "lapack"))
        self.works(Program("numpy", "/usr/bin/python3.11", env=(libraries,)), kind, 10)

    def test_asyncio(self):
        self.works(pythons.main(), support.Kind("places/asyncio_loop", busy=True, vary="state"), 10)

    def allocator(self, library):
        found = glob.glob(apps().root + "/usr/lib/*/" + library)
        self.assertTrue(found, library)
        preload = "import os, sys; os.environ['LD_PRELOAD'] = sys.argv[1]; os.execv(sys.argv[2], sys.argv[2:])"
        python = "/usr/bin/python3.11"
        python = Program(library, python, "-c", preload, found[0][len(apps().root):], python)
        for kind in ("malloc1", "malloc9"):
            with support.Target(python, kind) as target:
                self.assertIn(library, support.read("/proc/%d/maps" % target.pid))
                self.attach(target, times=5)
                target.finish(self)

    def test_jemalloc(self):
        self.allocator("libjemalloc.so.2")

    def test_tcmalloc(self):
        self.allocator("libtcmalloc_minimal.so.4")

    def test_mimalloc(self):
        self.allocator("libmimalloc.so.2")

    def subinterpreters(self, interpreter):
        with support.Target(interpreter, support.Kind("places/subinterpreters")) as target:
            for number in target.facts["interpreters"]:
                self.run_in(target, "--interpreter", number, code="import sys; print(sys.mark[0])",
                            out="mark of interpreter %d\n" % number)
                modules = "import sys; print(sorted(sys.modules))"
                first = support.remora("run", "--interpreter", number, target, "-c", modules)
                self.run_in(target, "--interpreter", number, code=modules, out=self.good(first).out)
            self.run_in(target, code="import sys; print(hasattr(sys, 'mark'))", out="False\n")
            with support.unharmed(self, target):
                self.refused(support.remora("run", "--interpreter", "77", target, "-c", "print(1)"), 1,
                             "no such interpreter")
            heap = b"\n".join(self.dump(target, env={}))
            for number in target.facts["interpreters"]:
                self.assertIn(b"mark of interpreter %d" % number, heap)
            target.finish(self)


for _python in pythons.supported():
    if _python.version >= (3, 8) and not _python.debug and _python.name != "bookworm-apps":
        setattr(Programs, "test_subinterpreters_%s" % _python,
                lambda self, python=_python: self.subinterpreters(python))


class Containers(Place):
    """Namespaces and chroots, with remora outside and inside."""

    def container(self, env=None):
        return self.start("sleep", interpreter=apps(), container=True, env=env)

    def test_chroot(self):
        """With /proc, and without."""
        for interpreter in (Program("chroot with /proc", "/usr/bin/python3.11"), apps()):
            with self.subTest(case=interpreter), support.Target(interpreter, "sleep") as target:
                self.attach(target)
                target.finish(self)

    def from_outside_and_inside(self, env, *namespaces):
        target = self.container(env)
        self.assertNotEqual(os.readlink("/proc/%d/ns/pid" % target.pid), os.readlink("/proc/self/ns/pid"))
        self.attach(target)
        enter = ("nsenter", "-t", str(target.pid), "--mount", "--pid", "--net", "--root", "--wd") + namespaces
        binary = apps().place(support.REMORA)
        with support.unharmed(self, target):
            result = self.good(support.remora("run", "1", "-c", "print(6 * 7)", prefix=enter, binary=binary))
            self.assertEqual(result.out, "42\n")
        with support.unharmed(self, target):
            self.good(support.remora("dump", "1", "-o", "/dev/null", prefix=enter, binary=binary))

    def test_namespaces(self):
        self.from_outside_and_inside(None)

    def test_user_namespace(self):
        self.from_outside_and_inside({"CT_USER": "1"}, "--user", "--preserve-credentials")

    def test_rootless_container(self):
        """A user's own container, made without root, and his remora outside of it."""
        need_root()
        binary = shutil.copy(support.REMORA, self.folder())
        prefix = NOBODY + ("unshare", "-Ur", "--pid", "--fork", "--kill-child", "--mount-proc")
        try:
            target = Child(pythons.main().public(), "sleep", prefix=prefix)
        except AssertionError as error:
            support.skip("users cannot make namespaces: %s" % error, impossible_in_ci=True)
        with target:
            self.assertEqual(target.status()["Uid"].split()[0], "65534")
            self.attach(target, prefix=NOBODY, binary=binary)

    def test_without_privileges(self):
        """root in name only, as in a container whose capabilities were dropped."""
        need_root()
        prefix = ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
        with self.start("threads", prefix=prefix) as target:
            self.assertEqual(target.status()["CapEff"].strip().strip("0"), "")
            self.attach(target)
            target.finish(self)

    def test_replaced_executable(self):
        """As after an upgrade of the package: the file that runs is no longer there."""
        copy = shutil.copy(os.path.realpath(pythons.main().command[0]), self.folder())
        main = pythons.main()
        info = {"version": "%d.%d.%d" % main.version, "impl": main.kind, "debug": "0", "abiflags": "-"}
        replaced = pythons.Interpreter("replaced", [copy], info=info)
        with self.start("sleep", interpreter=replaced, env={"PYTHONHOME": "/usr"}) as target:
            os.unlink(copy)
            shutil.copy("/bin/true", copy)
            target.born = support.Snapshot(target)
            self.assertIn("(deleted)", os.readlink("/proc/%d/exe" % target.pid))
            self.attach(target)
            target.finish(self)

    def test_remora_where_proc_is_missing(self):
        binary = apps().place(support.REMORA)
        with self.start("sleep") as target, support.unharmed(self, target):
            self.refused(support.remora("run", target, "-c", "print(1)", prefix=("chroot", apps().root),
                                        binary=binary), 3, "/proc")


class Confined(Place):
    """Targets under filters and limits. None may die of what remora makes it do."""

    def confined(self, *args, prefix=()):
        public = pythons.main().public() if prefix else pythons.main()
        return self.start(support.Kind("places/confined"), *args, interpreter=public, prefix=prefix)

    def filtered(self, action, *calls):
        with self.confined("seccomp", action, *calls) as target:
            self.assertEqual(target.status()["Seccomp"].strip(), "2")
            for line in (("run", target, "-c", "print(6 * 7)"), ("dump", target, "-o", "/dev/null")):
                self.works_or_is_refused(target, "seccomp|cannot make a twin: Operation not permitted", *line)
            target.finish(self)

    def every_call(self):
        """Filters that kill, for each call that the target itself can do without."""
        for interpreter in (p for p in pythons.supported() if not p.debug):
            for number in list(range(336)) + list(range(424, 463)):
                with self.subTest(case=(interpreter, number)):
                    try:
                        target = self.start(support.Kind("places/confined"), "seccomp", "kill", number,
                                            interpreter=interpreter)
                        target.report()
                    except AssertionError:
                        continue  # it needs the call itself
                    with target:
                        for line in (("run", target, "-c", "print(1)"), ("dump", target, "-o", "/dev/null")):
                            self.works_or_is_refused(target, "(?i)seccomp|twin", *line)

    def test_seccomp_that_forbids_nothing_of_ours(self):
        """The filters of containers and services must not be in the way."""
        for line in (("services",), ("seccomp", "enosys", "clone3"), ("seccomp", "kill", "ptrace")):
            with self.subTest(case=line), self.confined(*line) as target:
                self.assertEqual(target.status()["Seccomp"].strip(), "2")
                self.attach(target)
                target.finish(self)

    def test_seccomp_that_cannot_be_read(self):
        """Only root may read filters. Who is not root is refused, as the target might be killed."""
        need_root()
        binary = shutil.copy(support.REMORA, self.folder())
        with self.confined("services", prefix=NOBODY) as target:
            with support.unharmed(self, target):
                self.refused(support.remora("run", target, "-c", "print(1)", prefix=NOBODY, binary=binary), 3,
                             "seccomp")
            self.run_in(target)
            target.finish(self)

    def test_mdwe(self):
        try:
            target = self.confined("mdwe")
        except AssertionError as error:
            support.skip("no PR_SET_MDWE in this kernel: %s" % error, impossible_in_ci=True)
        self.attach(target)
        target.finish(self)

    def limited(self, target, pattern):
        for line in (("run", target, "-c", "print(6 * 7)"), ("dump", target, "-o", "/dev/null")):
            self.assertFalse(self.works_or_is_refused(target, pattern, *line), "nothing was limited")

    def test_process_limit(self):
        need_root()
        for room in (0, 2):
            with self.subTest(room=room), self.confined("nproc", room, prefix=LONELY) as target:
                self.limited(target, "(?i)thread")
                target.finish(self)

    def test_pids_max(self):
        folder = self.group("pids", "pids.max")
        with self.start("sleep") as target:
            self.write(folder + "/cgroup.procs", target.pid)
            self.write(folder + "/pids.max", 1)
            self.limited(target, "(?i)thread")
            self.write(folder + "/pids.max", "max")
            self.attach(target)
            target.finish(self)

    def test_frozen(self):
        """As by docker pause: refused in time, and nothing is left to happen at the thaw."""
        folder = self.group("freezer", "freezer.state", "cgroup.freeze")
        freeze, frozen, thawed = ("freezer.state", "FROZEN", "THAWED") if os.path.exists(
            folder + "/freezer.state") else ("cgroup.freeze", "1", "0")
        with self.start("sleep") as target:
            self.write(folder + "/cgroup.procs", target.pid)
            before = support.Snapshot(target)
            self.write(folder + "/" + freeze, frozen)
            try:
                for line in (("run", "--timeout", "1", target, "-c", "print(1)"),
                             ("dump", "--timeout", "1", target, "-o", "/dev/null")):
                    result = support.remora(*line)
                    self.assertIn(result.status, (3, 4), repr(result))
                    self.refused(result, result.status, "(?i)frozen|freez|uninterruptibl|does not stop", 6)
                    self.assertEqual(target.status()["TracerPid"].strip(), "0")
            finally:
                self.write(folder + "/" + freeze, thawed)
            support.assert_unharmed(self, target, before)
            self.attach(target)
            target.finish(self)

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(str(text))

    def group(self, controller, *files):
        """A new cgroup below our own that has one of the files."""
        need_root()
        for line in support.read("/proc/self/cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in (controller, ""):
                continue
            base = "/sys/fs/cgroup/" + controller if controllers else "/sys/fs/cgroup"
            folder = "%s%s/remora-e2e-%d" % (base, path.rstrip("/"), os.getpid())
            with contextlib.suppress(OSError):
                os.mkdir(folder)
                self.addCleanup(lambda: support.wait_for(lambda: self.removed(folder), "an empty cgroup", 10))
                if any(os.path.exists(folder + "/" + file) for file in files):
                    return folder
        support.skip("no cgroup with %s can be made here" % controller, impossible_in_ci=True)

    @staticmethod
    def removed(folder):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
            return True

    def test_little_processor_time(self):
        """A thread whose cgroup has used up its time comes back late from what it was borrowed for. A signal
        that comes meanwhile wakes it all the same."""
        folder = self.group("cpu", "cpu.cfs_quota_us", "cpu.max")
        futex = "202 "  # asm/unistd_64.h
        with self.start(support.Kind("called", "lock")) as target:
            self.write(folder + "/cgroup.procs", target.pid)
            if os.path.exists(folder + "/cpu.max"):
                self.write(folder + "/cpu.max", "1000 100000")
            else:
                self.write(folder + "/cpu.cfs_quota_us", 1000)
            with support.unharmed(self, target, 15):
                for number in range(20):
                    support.wait_for(lambda: target.status()["State"][0] == "S" and support.read(
                        "/proc/%d/syscall" % target.pid).startswith(futex), "it waits for its lock")
                    attach = subprocess.Popen(support.command("run", "--timeout", "30", target, "-c", "pass"),
                                              env=support.environment())
                    with attach:
                        time.sleep(random.uniform(0.005, 0.06))
                        os.kill(target.pid, signal.SIGHUP)
                        self.assertEqual(attach.wait(40), 0)
                    target.answer("CALLED", 5)
            target.finish(self)

    def test_address_space(self):
        for room in (1, 12):
            with self.subTest(room=room), self.confined("as", room) as target:
                self.limited(target, "(?i)thread|memory|address space")
                target.finish(self)

    def test_descriptors(self):
        for room in (0, 1, 2):
            with self.subTest(room=room), self.confined("nofile", room) as target:
                self.limited(target, "(?i)open files|descriptor")
                target.finish(self)

    def test_enough_room(self):
        """Limits that leave a little are no hindrance; by chance, glibc takes 64 MB of it for an arena of our thread."""
        for line in (("as", 120), ("nofile", 6)):
            with self.subTest(case=line), self.confined(*line) as target:
                self.attach(target)
                target.finish(self)

    def test_closed_streams(self):
        """The agent's own descriptors are then 0 to 2."""
        with self.confined("closed") as target:
            self.assertEqual([fd for fd in (0, 1, 2) if fd in target.born.fds], [])
            self.attach(target, times=3)
            target.finish(self)


CALLS = ("mmap+x", "mprotect", "madvise", "socketpair", "clone", "clone3", "sendto", "sendmsg", "recvfrom",
         "recvmsg", "ppoll", "gettid", "openat", "sched_getaffinity", "set_robust_list", "rseq", "prctl",
         "close_range", "waitid")
for _call in CALLS:
    for _action in ("kill", "errno"):
        setattr(Confined, "test_seccomp_%s_%s" % (_action, _call.replace("+", "_")),
                lambda self, action=_action, call=_call: self.filtered(action, call))
if support.LONG:
    Confined.test_seccomp_every_call = Confined.every_call


class Stops(Place):
    """A target that is stopped while remora is at work in it."""

    def test_stopped_during_a_payload(self):
        with self.start("threads") as target:
            before = support.Snapshot(target)
            process = self.begin("run", target, "-c", "import time; print(1); time.sleep(0.5); print(2)")
            self.assertEqual(process.stdout.readline(), b"1\n")
            os.kill(target.pid, signal.SIGSTOP)
            support.wait_for(lambda: target.status()["State"][0] == "T", "stopped")
            time.sleep(1)
            self.assertEqual(target.status()["State"][0], "T", "stays stopped")
            os.kill(target.pid, signal.SIGCONT)
            out, err = process.communicate(timeout=30)
            self.assertEqual((process.returncode, out), (0, b"2\n"), err)
            support.assert_unharmed(self, target, before)
            target.finish(self)

    def test_stays_stopped(self):
        """remora gives up in time, and the agent leaves once the target goes on."""
        with self.start("threads") as target:
            target.arenas = 3
            before = support.Snapshot(target)
            code = "import os, time\nprint(1)\nwhile not os.path.exists(argv[1]): time.sleep(0.02)"
            end = os.path.join(self.folder(), "end")
            process = self.begin("run", "--timeout", "1", target, "-c", code, end)
            self.assertEqual(process.stdout.readline(), b"1\n")
            os.kill(target.pid, signal.SIGSTOP)
            open(end, "w").close()
            out, err = process.communicate(timeout=15)
            self.assertEqual((process.returncode, out), (4, b""), err)
            self.assertRegex(err.decode(), "(?m)^remora: ")
            self.assertEqual(target.status()["State"][0], "T", "stays stopped")
            os.kill(target.pid, signal.SIGCONT)
            support.assert_unharmed(self, target, before, 10)
            self.run_in(target)
            target.finish(self)


class Many(Place):
    def test_many_targets(self):
        """One remora after the other on many targets, which know nothing of each other."""
        kinds = ["sleep", "busy", "accept", "malloc9", "signals", "recursion"]
        targets = [self.start(kind) for kind in kinds]
        for _ in range(3):
            for target in targets:
                self.run_in(target)
        for target in targets:
            target.finish(self)

    def test_many_targets_at_once(self):
        targets = [self.start(kind) for kind in ("sleep", "accept", "sleep", "accept")]
        before = [support.Snapshot(target) for target in targets]
        for _ in range(3):
            running = [self.begin("run", target, "-c", "print(6 * 7)") for target in targets]
            for process in running:
                out, err = process.communicate(timeout=60)
                self.assertEqual((process.returncode, out), (0, b"42\n"), err)
        for target, snapshot in zip(targets, before):
            support.assert_unharmed(self, target, snapshot)
            target.finish(self)


class Impossible(support.LiveTest):
    """What this machine cannot show: said aloud where it is so, not left out in silence."""

    def test_yama(self):
        if not os.path.exists("/proc/sys/kernel/yama/ptrace_scope"):
            support.skip("this kernel has no Yama (ptrace_scope)", impossible_in_ci=True)
        scope = support.read("/proc/sys/kernel/yama/ptrace_scope").strip()
        need_root()
        binary = shutil.copy(support.REMORA, self.folder())
        with self.start("sleep", interpreter=pythons.main().public(), prefix=NOBODY) as target:
            with support.unharmed(self, target):
                result = support.remora("run", target, "-c", "print(1)", prefix=NOBODY, binary=binary)
                if scope == "0":
                    self.good(result)
                else:
                    self.refused(result, 3, "(?i)yama|ptrace_scope")

    def test_selinux(self):
        if not os.path.exists("/sys/fs/selinux/enforce"):
            support.skip("SELinux is not active on this machine", impossible_in_ci=True)
        with self.start("sleep") as target, support.unharmed(self, target):
            support.remora("run", target, "-c", "print(1)")

    def test_apparmor(self):
        if support.read("/sys/module/apparmor/parameters/enabled").strip() != "Y":
            support.skip("AppArmor is not active on this machine", impossible_in_ci=True)
        with self.start("sleep") as target, support.unharmed(self, target):
            support.remora("run", target, "-c", "print(1)")

    def test_shadow_stack(self):
        if platform.machine() == "x86_64" and "user_shstk" not in support.read("/proc/cpuinfo"):
            support.skip("no shadow stacks (CET) on this machine", impossible_in_ci=True)
        with self.start("sleep", env={"GLIBC_TUNABLES": "glibc.cpu.hwcaps=SHSTK"}) as target:
            with support.unharmed(self, target):
                support.remora("run", target, "-c", "print(1)")


if __name__ == "__main__":
    unittest.main()
