"""10,000 connections at once: all are greeted, and the server stays responsive."""
import resource
import selectors
import socket
import time

import pytest

import book
from conftest import wait_until
from imapc import Lit

CROWD = 10000
SPARE = 500       # descriptors for everything else
AT_ONCE = 200     # connects under way
ANSWER_LIMIT = 10.0


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CROWD + SPARE:
        pytest.skip("the hard limit of open files is %d, %d are needed" % (hard, CROWD + SPARE))
    resource.setrlimit(resource.RLIMIT_NOFILE, (CROWD + SPARE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_crowd(server):
    """CROWD connections, each greeted."""
    selector, socks, waiting = selectors.DefaultSelector(), [], 0
    end = time.monotonic() + 120
    while len(socks) < CROWD or waiting:
        assert time.monotonic() < end, "%d connected, %d wait" % (len(socks), waiting)
        while len(socks) < CROWD and waiting < AT_ONCE:
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((server.host, server.ports["imap"]))
            selector.register(s, selectors.EVENT_READ)
            socks.append(s)
            waiting += 1
        for key, _ in selector.select(1.0):
            greeting = key.fileobj.recv(4096)
            assert greeting.startswith(b"* OK"), greeting
            selector.unregister(key.fileobj)
            waiting -= 1
    return socks


def test_crowd(make_server, many_files):
    server = make_server().start()
    socks = open_crowd(server)
    try:
        began = time.monotonic()
        with book.connect(server, "INBOX") as c:
            c.okay("APPEND INBOX ", Lit(book.mail("crowd-s"), plus=True))
            c.okay("UID FETCH 1 (FLAGS BODY.PEEK[])")
            c.okay("UID STORE 1 +FLAGS (\\Seen)")
        assert time.monotonic() - began < ANSWER_LIMIT
        assert server.admin.metrics()["tidemark_connections"] >= CROWD
        for s in socks[:: CROWD // 20]:  # those who waited are served, too
            s.setblocking(True)
            s.settimeout(30)
            s.sendall(b"a NOOP\r\n")
            assert s.recv(4096).startswith(b"a OK")
    finally:
        for s in socks:
            s.close()
    wait_until(lambda: server.admin.metrics()["tidemark_connections"] < 10)
    assert server.stop() == 0
