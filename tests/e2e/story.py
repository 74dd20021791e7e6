# SPDX-License-Identifier: GPL-3.0-or-later
"""The story that tests/demo tells: an echo server that leaks, under load, and what remora sees."""
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap

import pythons
import support


def run(*args):
    """Shows a command as a person would type it, runs it, shows what it says."""
    print("$ remora " + " ".join(short(a) for a in args), flush=True)
    result = support.remora(*args)
    text = result.out.rstrip() + ("\n" + result.err.rstrip() if result.err.strip() else "")
    print(textwrap.indent(text.strip("\n"), "    ") + "\n", flush=True)
    if result.status != 0:
        sys.exit("remora ended with status %d" % result.status)
    return result


def short(argument):
    text = str(argument)
    return '"%s"' % text if re.search(r"[\s();]", text) else text


def ask(*args):
    """The same for programs: JSON, nothing shown."""
    result = support.remora(*args, "--format", "json", "--limit", "0")
    if result.status != 0:
        sys.exit("remora ended with status %d: %s" % (result.status, result.err))
    return json.loads(result.out)


def types(dump):
    return {row["type"]: row for row in ask("summary", dump)["types"]}


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", support.read("/proc/%d/status" % pid)).group(1))


def load(port, connections, messages):
    return subprocess.Popen([sys.executable, str(pythons.TARGETS / "echo_client.py"), str(port),
                             str(connections), str(messages)], stdout=subprocess.PIPE)


def finish(client):
    out, _ = client.communicate(timeout=300)
    print("# the client: %s\n" % out.decode().strip(), flush=True)
    if client.returncode != 0:
        sys.exit("an answer of the server was wrong")


def tell(server, port):
    pid, before, after = server.pid, "before.jsonl", "after.jsonl"
    print("# tests/targets/echo_server.py is running as process %d. A client loads it a little.\n" % pid)
    finish(load(port, 50, 20))
    run("run", pid, "-c", "import sys; print(sys.version.split()[0], 'with', len(sys.modules), 'modules')")
    run("dump", pid, "-o", before)
    run("summary", "--limit", "8", before)
    small = resident_kb(pid)

    print("# 500 more connections. In the midst of them the heap is dumped again: what does the client feel?\n")
    client = load(port, 500, 40)
    support.wait_for(lambda: resident_kb(pid) > small + 20000 or client.poll() is not None, "load", 120)
    run("dump", pid, "-o", "midst.jsonl")
    finish(client)
    run("dump", pid, "-o", after)
    run("summary", "--limit", "8", after)

    old, new = types(before), types(after)
    growth = sorted(((row["bytes"] - old.get(name, {"bytes": 0})["bytes"], name)
                     for name, row in new.items()), reverse=True)
    print("# What grew between the two?\n")
    run("diff", "--limit", "6", before, after)
    largest = growth[0][1]
    python_kb = sum(grown for grown, _ in growth) // 1024
    print("# The type that grew most is %s. Why is the newest large one of them alive?\n" % largest)
    rows = ask("objects", after, "--type", largest, "--sort", "address")
    address = held(after, rows)
    run("why", after, hex(address))
    print("# And what keeps the connections, all of them closed long ago?\n")
    connection = ask("objects", after, "--type", "Connection")[-1]["address"]
    run("why", "--brief", "--paths", "2", after, hex(connection))
    run("referrers", "--limit", "5", after, hex(connection))
    print("# The process grew by %d kB, its Python objects by %d kB. The rest is memory of a native library that\n"
          "# no object shows: here zlib's, held through the Compress objects:\n" % (
              resident_kb(pid) - small, python_kb))
    run("objects", "--type", "Compress", "--limit", "3", after)
    print("# The same by one command, in prose:\n")
    run("leaks", before, after)
    if server.poll() is not None:
        sys.exit("the server did not survive")
    print("# The server is still running, as it was before: nothing was restarted, nothing is left in it.")


def held(dump, rows):
    """The address of an object that belongs to the server's own data."""
    for row in rows[::max(1, len(rows) // 50)]:
        path = support.remora("why", "--brief", dump, row["address"]).out
        if "SESSIONS" in path or "entries" in path or "hub" in path:
            return row["address"]
    return rows[0]["address"]


def main():
    server = subprocess.Popen([sys.executable, "tests/targets/echo_server.py"], cwd=str(support.ROOT),
                              stdout=subprocess.PIPE)
    try:
        port = int(server.stdout.readline().decode().rsplit(":", 1)[1])
        with tempfile.TemporaryDirectory(prefix="remora-demo-") as folder:
            os.chdir(folder)
            tell(server, port)
            os.chdir("/")
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


if __name__ == "__main__":
    main()
