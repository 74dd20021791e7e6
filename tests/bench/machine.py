# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that the figures are of: what it is, and how much others work on it meanwhile."""
import contextlib
import os
import re
import resource
import time

TICK = os.sysconf("SC_CLK_TCK")
QUIET = 0.15  # processors that others may keep busy before a section is called noisy


def read(path, default=""):
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return default


def parse_size(text):
    """The number that 100k or 10M stands for."""
    scale = {"k": 1000, "M": 1000000}.get(text[-1:], 1)
    return int(float(text.rstrip("kM")) * scale)


def facts():
    """What the report says of the machine."""
    model = [line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines()
             if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in read("/proc/meminfo").splitlines()
              if line.startswith("MemTotal:")]
    system = os.uname()
    return {"system": "%s %s %s" % (system.sysname, system.release, system.machine),
            "processors": len(os.sched_getaffinity(0)), "model": model[0] if model else "unknown",
            "memory_mb": memory[0] // 1024 if memory else 0, "load": list(os.getloadavg()),
            "huge_pages": read("/sys/kernel/mm/transparent_hugepage/enabled").strip()}


def busy_seconds():
    """Processor time that the machine has spent on anything: user, nice, system, interrupts, and
    what a hypervisor took away."""
    fields = [int(word) for word in read("/proc/stat").split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK  # without idle and iowait


def process_seconds(pid):
    """Processor time of a process and of its children that are gone."""
    words = read("/proc/%d/stat" % pid).rpartition(")")[2].split()
    return sum(int(word) for word in words[11:15]) / TICK if words else 0.0


def our_seconds():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def status_kb(pid):
    """The memory lines of /proc/PID/status, in kB."""
    return {line.split(":")[0]: int(line.split()[1])
            for line in read("/proc/%d/status" % pid).splitlines()
            if line.startswith(("VmHWM", "VmRSS", "RssAnon"))}


def private_dirty_mb(pid):
    found = re.search(r"^Private_Dirty: *([0-9]+) kB", read("/proc/%d/smaps_rollup" % pid), re.M)
    return int(found.group(1)) / 1024.0 if found else 0.0


class Noise:
    """How many processors others kept busy between start and now. pids: processes of ours that live
    on beyond it."""

    def __init__(self, pids=()):
        self.pids = list(pids)
        self.start, self.busy, self.ours = time.monotonic(), busy_seconds(), self._ours()

    def _ours(self):
        return our_seconds() + sum(process_seconds(pid) for pid in self.pids)

    def others(self):
        seconds = time.monotonic() - self.start
        return max(0.0, busy_seconds() - self.busy - self._ours() + self.ours) / max(seconds, 0.01)


class Cgroup:
    """A memory cgroup of its own for a target, below ours; usable tells whether one could be made."""

    def __init__(self):
        self.folder = None
        for line in read("/proc/self/cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("memory", ""):
                continue
            base = "/sys/fs/cgroup/" + controllers if controllers else "/sys/fs/cgroup"
            folder = "%s%s/remora-bench-%d" % (base, path.rstrip("/"), os.getpid())
            with contextlib.suppress(OSError):
                os.mkdir(folder)
                self.folder = folder
                if self._usage_file():
                    return
                self.remove()

    @property
    def usable(self):
        return self.folder is not None

    def _usage_file(self):
        for name in ("memory.usage_in_bytes", "memory.current"):
            if os.path.exists(os.path.join(self.folder, name)):
                return os.path.join(self.folder, name)
        return None

    def add(self, pid):
        """True if the process is in now."""
        if self.folder is None:
            return False
        try:
            with open(os.path.join(self.folder, "cgroup.procs"), "w") as file:
                file.write(str(pid))
            return True
        except OSError:
            return False

    def usage_mb(self):
        return int(read(self._usage_file(), "0")) / 1e6

    def remove(self):
        """Once it is empty; a process that was killed just now leaves it a little later."""
        end = time.monotonic() + 10
        while self.folder is not None and time.monotonic() < end:
            try:
                os.rmdir(self.folder)
                self.folder = None
            except FileNotFoundError:
                self.folder = None
            except OSError:
                time.sleep(0.05)
