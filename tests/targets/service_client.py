# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: service_client.py PORT SECONDS --hb FILE - asks service.py for pages of 127.0.0.1, about 300
a second over two connections in turn, for at most SECONDS. FILE (see heart.py) has the slowest answer
in place of the gap. Says READY after the first answers; a wrong answer ends it with status 1."""
import http.client
import sys
import time

import heart

port, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
page = heart.Page(sys.argv[sys.argv.index("--hb") + 1])
connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(2)]
number = 0
while time.monotonic() < end:
    start = time.monotonic()
    connection = connections[number % 2]
    connection.request("GET", "/visitor%d/%d" % (number % 100, number))
    answer = connection.getresponse()
    text = answer.read()
    page.record(time.monotonic() - start)
    if answer.status != 200 or b"visits" not in text:
        sys.exit("wrong answer: %d %r" % (answer.status, text[:100]))
    number += 1
    if number == 10:
        sys.stdout.write("READY {}\n")
        sys.stdout.flush()
    time.sleep(0.003)
