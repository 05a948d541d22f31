"""The disk fails at a named point (FAULT_POINT): the node answers honestly or stops with a clear
message, and after a restart on a good disk everything that was answered OK is there."""
import os
import random
import re
import time

import pytest

import book as books
from conftest import consistent, errors, wait_until, with_hooks
from server import ROOT

LOAD_LIMIT = 20.0
UNTIL_DEAD = 10 ** 9
# Read errors at the start keep the node from starting; later ones only fail what reads.
CASES = [("log.write", "EIO:1"), ("log.write", "ENOSPC:3"), ("marks.write", "EIO:1"),
         ("marks.write", "ENOSPC:3"), ("marks.sync", "EIO:1"), ("state.write", "EIO:1"),
         ("state.write", "ENOSPC:3"), ("state.flush", "EIO:1"), ("state.read", "EIO:1"),
         ("state.read", "EIO:0"), ("log.read", "EIO:1")]
NTH = {"state.read": (100, 300), "marks.sync": (1, 2)}  # the latter comes once a second
STOPS = ("log.write", "marks.write", "marks.sync")


def test_every_point_has_a_case():
    with open(os.path.join(ROOT, "storage", "base", "crash_point.c")) as f:
        text = re.search(r"fault_point_names\[\] = \{(.*?)\};", f.read(), re.S).group(1)
    assert {n for n in re.findall(r'"([a-z.-]+)"', text)} - {"test.fault"} == {n for n, _ in CASES}


@pytest.mark.parametrize("point,how", CASES)
def test_fault(make_server, point, how):
    if not with_hooks():
        pytest.skip("built without TIDEMARK_HOOKS")
    seed = int(os.environ.get("TIDEMARK_SEED") or random.randrange(2 ** 31))
    nth = random.Random(seed).randint(*NTH.get(point, (1, 8)))
    print("TIDEMARK_SEED=%d TIDEMARK_FAULT_AT=%s:%d:%s" % (seed, point, nth, how))
    server, book = make_server(), books.Book()
    server.env["TIDEMARK_FAULT_AT"] = "%s:%d:%s" % (point, nth, how)
    server.start(wait=False)
    server.ready.wait(60)
    fatal = point in STOPS and "EIO" in how
    if server.running():
        under_load(server, book, seed, UNTIL_DEAD if fatal else 200)
    if fatal:
        wait_until(lambda: not server.running())
    if server.running():
        server.stop()
    else:
        assert server.wait_end() >= 0, server.log_tail()  # no signal
    if fatal or point == "log.read":
        assert errors(server), server.log_tail()
    del server.env["TIDEMARK_FAULT_AT"]
    server.start()
    books.check(server, book, may_refuse=True)
    assert server.stop() == 0
    consistent(server)


def under_load(server, book, seed, answers):
    load = books.Load(server, book, seed).start()
    end = time.monotonic() + LOAD_LIMIT
    while (book.answered < answers and server.running() and time.monotonic() < end
           and any(t.is_alive() for t in load.threads)):
        time.sleep(0.01)
    load.stop()
