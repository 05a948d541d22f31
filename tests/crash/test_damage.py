"""A disk that lost or changed something: the node says so and never serves wrong data."""
import glob
import os

import pytest

import book as books
import imapc
from conftest import consistent, errors, wait_until

NOT_HELD = "the log does not hold what was acknowledged"


@pytest.fixture
def killed(make_server):
    """A server that was killed after a load, and its book. All that is in the log was answered."""
    server, book = make_server().start(), books.Book()
    load = books.Load(server, book, 7).start()
    wait_until(lambda: book.answered >= 150, limit=60)
    load.stop()
    server.kill()
    return server, book


def flip(path, where=0.5, count=1):
    """Change bytes in the middle of a file."""
    at = int(os.path.getsize(path) * where)
    with open(path, "r+b") as f:
        f.seek(at)
        old = f.read(count)
        f.seek(at)
        f.write(bytes(b ^ 0x55 for b in old))


def wal(server):
    """The newest WAL of the log that has something in it."""
    files = [p for p in glob.glob(os.path.join(server.data, "log", "*.log"))
             if os.path.getsize(p) > 0]
    return max(files, key=os.path.getmtime)


def cut_end(path):
    os.truncate(path, os.path.getsize(path) - 20)


def cut_middle(path):
    os.truncate(path, os.path.getsize(path) // 2)


def start_or_not(server):
    """Does it serve? Otherwise it has ended, in order."""
    server.start(wait=False)
    server.ready.wait(60)
    if any('msg="ready"' in line for line in server.logs):
        return True
    assert server.wait_end() > 0, server.log_tail()
    return False


def refuses(server):
    """Nobody is served from what is left of the mailboxes."""
    with imapc.Client(server.host, server.ports["imap"]) as c:
        r = c.cmd("LOGIN %s %s" % (books.USER, books.PASSWORD))
        if r.ok:
            r = c.cmd("SELECT INBOX")
        assert r.no and r.code == "UNAVAILABLE", r


@pytest.mark.parametrize("damage", [cut_end, cut_middle, flip], ids=lambda f: f.__name__)
def test_log_lost_what_was_acknowledged(killed, damage):
    server, _ = killed
    damage(wal(server))
    serves = start_or_not(server)
    assert any(NOT_HELD in line for line in errors(server)), server.log_tail()
    if serves:
        refuses(server)
        server.stop()
    serves_what_is_left(server)


def serves_what_is_left(server):
    """--accept-loss: it goes on with what is left, which is consistent."""
    server.args.append("--accept-loss")
    server.start()
    with books.connect(server) as c:
        books.places_of(c)  # every mail is whole and once
        c.okay("APPEND INBOX ", imapc.Lit(books.mail("after-s"), plus=True))
    assert server.stop() == 0
    server.args.remove("--accept-loss")
    consistent(server)
    server.start()  # and the loss is over
    with books.connect(server) as c:
        assert "after-s" in books.places_of(c)
    assert not errors(server)


def read_or_be_told(server, book):
    """All reads give what was stored, or fail. True: something failed."""
    try:
        with books.connect(server) as c:
            books.check_tokens(c, book)
    except AssertionError as e:
        # A refusal, never other bytes: what books.py itself finds wrong has other words.
        told = any(word in str(e) for word in ("UNAVAILABLE", "connection closed",
                                               "connection lost"))
        assert told, e
        return True
    return False


@pytest.mark.parametrize("kind", ["sst", "blob"])
def test_damaged_block(killed, kind):
    server, book = killed
    server.start()
    books.check(server, book)
    assert server.stop() == 0  # everything is in state/ now
    files = glob.glob(os.path.join(server.data, "state", "*." + kind))
    assert files
    for path in files:
        flip(path, 0.3, 16)
    serves = start_or_not(server)
    if serves:
        assert read_or_be_told(server, book), "nobody noticed"
    assert errors(server), server.log_tail()


@pytest.mark.parametrize("where", ["head", "slots"])
def test_damaged_marks(killed, where):
    server, book = killed
    path = os.path.join(server.data, "marks")
    with open(path, "r+b") as f:
        if where == "slots":
            f.seek(64)
        size = os.path.getsize(path)
        f.write(b"\x5a" * (64 if where == "head" else size - 64))
    serves = start_or_not(server)
    assert any("marks" in line for line in errors(server)), server.log_tail()
    assert serves == (where == "slots")
    if serves:  # log and state are whole, and it was said
        books.check(server, book)
        assert server.stop() == 0
        consistent(server)
        server.start()
        assert not errors(server)
