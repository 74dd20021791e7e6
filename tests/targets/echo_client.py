# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample's load: usage: echo_client.py PORT CONNECTIONS MESSAGES - one connection after another,
each sends MESSAGES lines and checks that they come back. Prints how many were wrong, and the
slowest answer."""
import socket
import sys
import time


def talk(port, number, messages):
    wrong, slowest = 0, 0.0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        for n in range(messages):
            line = ("connection %d says %d %s" % (number, n, "." * (n % 50))).encode()
            start = time.monotonic()
            sock.sendall(line)
            answer = b""
            while len(answer) < len(line):
                part = sock.recv(4096)
                if not part:
                    break
                answer += part
            slowest = max(slowest, time.monotonic() - start)
            wrong += answer != line
    return wrong, slowest


def main():
    port, connections, messages = (int(a) for a in sys.argv[1:4])
    wrong, slowest = 0, 0.0
    for number in range(connections):
        bad, slow = talk(port, number, messages)
        wrong += bad
        slowest = max(slowest, slow)
    print("%d connections, %d messages, %d wrong, slowest answer %.1f ms" %
          (connections, connections * messages, wrong, slowest * 1000), flush=True)
    sys.exit(wrong != 0)


if __name__ == "__main__":
    main()
