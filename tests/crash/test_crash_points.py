"""kill -9 in every phase of a command: at each named point of storage/base/crash_point.c, under a
load of several clients. Each test fails if its point was not visited."""
import os
import random
import re
import signal
import time

import pytest

import book as books
from conftest import consistent, with_hooks
from server import ROOT

VISIT_LIMIT = 60.0
# Not in every batch: a cut comes once a second, a forced flush at the end, recovery at the start.
RARE = {"flush.before-write": 2, "flush.written": 2, "flush.persisted": 1, "log.truncated": 1,
        "janitor.evaluated": 1, "recovery.adopted": 4, "recovery.replayed": 8,
        "partition.chunk-applied": 10}
AT_START = ("recovery.adopted", "recovery.replayed")
AT_END = ("flush.persisted", "log.truncated")


def crash_points():
    with open(os.path.join(ROOT, "storage", "base", "crash_point.c")) as f:
        text = re.search(r"crash_point_names\[\] = \{(.*?)\};", f.read(), re.S).group(1)
    return [n for n in re.findall(r'"([a-z.-]+)"', text) if n != "test.crash"]


def died_at_its_point(server):
    """True when it killed itself there; False: it is still alive."""
    if server.running():
        return False
    assert server.wait_end() == -signal.SIGKILL, server.log_tail()
    return True


def load_until_dead(server, book, seed, point):
    load = books.Load(server, book, seed).start()
    end = time.monotonic() + VISIT_LIMIT
    if point in AT_END:
        while book.answered < 50 and server.running() and time.monotonic() < end:
            time.sleep(0.01)
        load.ending.set()  # from now on a NO or BYE is no wonder
        if server.running():
            server.signal(signal.SIGTERM)
    while server.running() and time.monotonic() < end:
        time.sleep(0.01)
    load.stop()
    assert died_at_its_point(server), "%s was never visited" % point


@pytest.mark.parametrize("point", crash_points())
def test_killed_at(make_server, point):
    if not with_hooks():
        pytest.skip("built without TIDEMARK_HOOKS")
    seed = int(os.environ.get("TIDEMARK_SEED") or random.randrange(2 ** 31))
    nth = random.Random(seed).randint(1, RARE.get(point, 30))
    print("TIDEMARK_SEED=%d TIDEMARK_CRASH_AT=%s:%d" % (seed, point, nth))
    book = books.Book()
    server = make_server(args=("--collect-after", "1"))
    hook = {"TIDEMARK_CRASH_AT": "%s:%d" % (point, nth)}
    if point in AT_START:
        kill_under_load(server, book, seed)
        server.env.update(hook)
        server.start(wait=False)
        assert server.wait_end(60) == -signal.SIGKILL, server.log_tail()
    else:
        server.env.update(hook)
        server.start(wait=False)
        server.ready.wait(60)
        if not died_at_its_point(server):
            load_until_dead(server, book, seed, point)
    del server.env["TIDEMARK_CRASH_AT"]
    server.start()
    books.check(server, book)
    assert server.stop() == 0
    consistent(server)


def kill_under_load(server, book, seed):
    server.start()
    load = books.Load(server, book, seed).start()
    end = time.monotonic() + VISIT_LIMIT
    while book.answered < 100 and time.monotonic() < end:
        time.sleep(0.01)
    server.kill()
    load.stop()
