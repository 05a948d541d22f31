"""A full disk: changes are refused with certainty, reads go on, and it recovers by itself."""
import os
import subprocess
import tempfile
import threading

import pytest

import book as books
import imapc
from conftest import consistent, wait_until
from imapc import Lit

SIZE = 200 * 1024 * 1024  # RocksDB resumes when there is room for a write buffer of 64 MiB
LEFT = 1024 * 1024
RESUME_LIMIT = 60.0  # RocksDB looks every 5 s


@pytest.fixture
def small_disk():
    where = tempfile.mkdtemp(prefix="tidemark-disk-")
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % SIZE, "none", where],
                       stderr=subprocess.PIPE, text=True)
    if r.returncode != 0:
        os.rmdir(where)
        pytest.skip("a small tmpfs cannot be mounted here: " + r.stderr.strip())
    yield where
    subprocess.run(["umount", "-l", where], check=True)
    os.rmdir(where)


def fill(where):
    """A file that leaves LEFT bytes."""
    path = os.path.join(where, "ballast")
    with open(path, "wb") as f:
        st = os.statvfs(where)
        os.posix_fallocate(f.fileno(), 0, st.f_bavail * st.f_frsize - LEFT)
    return path


def is_full(server):
    return server.admin.metrics()["tidemark_log_full"] == 1


def append_all(server, book, load):
    """One client that appends until the disk is full, and waits for the answer of its last one."""
    with books.connect(server) as c:
        c.timeout = 120.0
        c.sock.settimeout(120.0)
        n = 0
        while not load.ending.is_set():
            n += 1
            load.append_one(c, "INBOX", load.token("fill", n, big=True))


def test_full_and_back(make_server, small_disk):
    server = make_server(parent=small_disk).start()
    book = books.Book()
    load = books.Load(server, book, 1)
    with books.connect(server, "INBOX") as c:
        load.append_one(c, "INBOX", "first-s")
        ballast = fill(small_disk)
        appending = threading.Thread(target=load.guard,
                                     args=(lambda *_: append_all(server, book, load), "fill", None))
        appending.start()
        wait_until(lambda: is_full(server))
        refused_and_readable(server, c)
        os.remove(ballast)
        wait_until(lambda: not is_full(server), limit=RESUME_LIMIT)
        load.ending.set()
        appending.join(120)
        assert not appending.is_alive()
        wait_until(lambda: load.append_one(c, "INBOX", "last-s") is not None)
    assert server.running()
    books.check(server, book)
    assert server.stop() == 0
    server.start()
    books.check(server, book)
    assert server.stop() == 0
    consistent(server)


def refused_and_readable(server, c):
    for command in ("UID STORE 1 +FLAGS (\\Seen)", "CREATE full", "UID COPY 1 out",
                    ("APPEND INBOX ", Lit(b"Subject: x\r\n\r\n", plus=True))):
        r = c.cmd(*((command,) if isinstance(command, str) else command))
        assert r.no and r.code == "UNAVAILABLE", (command, r)
    assert b"first-s" in c.okay("UID FETCH 1 (FLAGS BODY.PEEK[])").by_uid()[1]["BODY[]"]
    assert 1 in c.okay("UID SEARCH SUBJECT first").search()
    with books.connect(server, "claims") as other:
        assert other.mirror.exists == books.CLAIMS
    assert server.admin.request("GET", "/readyz")[0] == 503
    assert imapc.Client(server.host, server.ports["imap"]).close() is None
