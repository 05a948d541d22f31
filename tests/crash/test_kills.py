"""kill -9 at any moment, again and again, on the same data."""
import os
import random
import time

import book as books
from conftest import consistent, long_run


def test_killed_again_and_again(make_server):
    seed = int(os.environ.get("TIDEMARK_SEED") or random.randrange(2 ** 31))
    print("TIDEMARK_SEED=%d" % seed)
    rng = random.Random(seed)
    book = books.Book()
    server = make_server()
    for run in range(50 if long_run() else 10):
        server.start()
        if run > 0:
            books.check(server, book)
        before = book.answered
        wanted = before + rng.randint(20, 300)
        load = books.Load(server, book, rng.random(), run).start()
        end = time.monotonic() + rng.uniform(0.5, 3.0)
        while book.answered < wanted and time.monotonic() < end:
            time.sleep(0.005)
        server.kill()
        load.stop()
    server.start()
    books.check(server, book)
    assert book.answered > 0
    assert server.stop() == 0
    consistent(server)
