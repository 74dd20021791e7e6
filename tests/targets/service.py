# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: service.py N [--hb FILE] - a Flask service on a port of 127.0.0.1 with a catalogue of N
articles, a session for each visitor, and a page made from a template. READY tells the port.

Serves until it is killed; service_client.py is its load."""
import logging
import sys

import flask
import werkzeug.serving

import heart
import kit

PAGE = """<title>{{ title }}</title>{% for a in articles %}<p>{{ a.name }}: {{ a.price }} {{ a.words|join(' ') }}</p>
{% endfor %}<p>{{ visits }} visits</p>"""

app = flask.Flask("shop")
catalogue = [{"name": "article %d" % n, "price": n * 1.25, "words": ["w%d" % n, "colour %d" % (n % 7)]}
             for n in range(int(float(sys.argv[1])))]
sessions = {}


@app.route("/<visitor>/<int:start>")
def page(visitor, start):
    session = sessions.setdefault(visitor, {"seen": [], "visits": 0})
    session["visits"] += 1
    session["seen"] = (session["seen"] + [start])[-50:]
    shown = [catalogue[(start + n) % len(catalogue)] for n in range(10)]
    return flask.render_template_string(PAGE, title=visitor, articles=shown, visits=session["visits"])


logging.getLogger("werkzeug").setLevel(logging.ERROR)
werkzeug.serving.WSGIRequestHandler.protocol_version = "HTTP/1.1"
server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
heart.start()
kit.ready(objects=len(catalogue), port=server.port, address=id(sessions))
server.serve_forever()
