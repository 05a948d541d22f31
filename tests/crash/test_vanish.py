"""A client that vanishes in the middle of a literal: nothing of it remains."""
import pytest

import book
from conftest import bodies, consistent, wait_until

MB = 1024 * 1024


def entries(server):
    return server.admin.metrics()["tidemark_log_entries_total"]


def settled(server):
    """Nobody is connected, and what was under way is in the rows."""
    m = server.admin.metrics()
    return m["tidemark_connections"] <= 1 and m["tidemark_log_queue"] == 0 and (
        m["tidemark_flush_pending_bytes"] == 0)


@pytest.mark.parametrize("size,sent", [(2000, 1000), (20 * MB, 9 * MB)], ids=["small", "20 MB"])
def test_nothing_remains(make_server, size, sent):
    server = make_server(args=("--collect-after", "1")).start()
    before = entries(server)
    with book.connect(server) as c:
        c.send_raw(b"x APPEND INBOX {%d+}\r\n" % size)
        c.send_raw(b"Subject: never\r\n\r\n" + b"x" * sent)
        if size > MB:
            wait_until(lambda: entries(server) > before)  # chunks have gone ahead
    wait_until(lambda: settled(server))
    for _ in range(10):
        now = entries(server)
        if size > MB:
            wait_until(lambda: entries(server) > now)  # the collector's record
        assert server.stop() == 0
        if bodies(server) == book.CLAIMS:
            break
        server.start()
    consistent(server)
    assert bodies(server) == book.CLAIMS
    server.start()
    with book.connect(server) as c:
        assert book.status(c, "INBOX")[1:] == (1, 1)
