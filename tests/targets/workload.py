# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: workload.py N [--hb FILE] [--meanwhile collect|change] - a heap of about N objects, the same on every
run, then idle; or it collects garbage again and again, or changes a thousand objects each millisecond.

READY tells how many objects were made, and the address of one in their midst. FILE: see heart.py.
"""
import gc
import random
import sys
import time

import heart
import kit


class Order:
    def __init__(self, number, customer, price, lines):
        self.number = number
        self.customer = customer
        self.price = price
        self.lines = lines
        self.previous = None


class Line:
    __slots__ = ("article", "amount", "order")

    def __init__(self, article, amount, order):
        self.article = article
        self.amount = amount
        self.order = order


class Shop:
    def __init__(self):
        self.orders = []
        self.by_customer = {}
        self.log = []
        self.blobs = []


def build(wanted):
    """Returns a Shop and the number of objects that were made for it."""
    rand = random.Random(20).random
    shop, made, number, last = Shop(), 8, 0, None
    while made < wanted:
        base = 1000000 + number * 8
        customer = "customer-%08d" % number
        order = Order(base, customer, rand() * 100, [])
        made += 5 + (sys.version_info < (3, 11))
        for n in range(3):
            order.lines.append(Line(("article", base + n, "x%d" % base), base + 4 + n, order))
            made += 5
        if number % 1000:
            order.previous = last
        shop.log.append({"at": rand(), "who": customer, "text": "\u00e9v\u00e9nement %d" % number,
                         "tags": ["t%d" % base, (base, rand())]})
        made += 8
        if number % 16 == 0:
            order.lines.append(order.lines)
            shop.log[-1]["set"] = frozenset((base, customer))
            made += 1
        if number % 2048 == 0:
            shop.blobs.append(bytes(65536))
            made += 1
        shop.orders.append(order)
        shop.by_customer[customer] = order
        last = order
        number += 1
    return shop, made


gc.disable()
SHOP, MADE = build(int(float(sys.argv[1])))
gc.enable()
gc.collect()
heart.start()
kit.ready(objects=MADE, address=id(SHOP.orders[len(SHOP.orders) // 2]))
meanwhile = sys.argv[sys.argv.index("--meanwhile") + 1] if "--meanwhile" in sys.argv else None
step = 0
while True:
    if meanwhile == "collect":
        gc.collect()
        time.sleep(0.01)
    elif meanwhile == "change":
        for order in range(step, step + 1000):
            SHOP.orders[order * 7919 % len(SHOP.orders)].price = 1.5 + step
        step += 1000
        time.sleep(0.001)
    else:
        time.sleep(10)
