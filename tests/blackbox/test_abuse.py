"""What a stranger or a broken client may do to the server: everything is bounded, others notice
nothing (DESIGN.md section 11, limits.h)."""
import os
import resource
import socket
import time

import pytest

from imapc import Closed, Lit, ProtocolError
from mails import simple_mail

pytestmark = pytest.mark.tidemark_only


@pytest.fixture
def others(connect, account):
    """A well-behaved client, which must be served whatever happens beside it."""
    c = connect(account, select="INBOX")

    def check():
        start = time.monotonic()
        assert c.okay("NOOP")
        assert time.monotonic() - start < 10
    yield check
    check()


def drain(c, limit=30):
    """Read until the connection ends or nothing comes; the responses."""
    out = []
    c.timeout = limit
    try:
        while True:
            out.append(c.read_response())
    except ProtocolError:
        return out


def flood(c, data, times):
    try:
        for _ in range(times):
            c.sock.sendall(data)
    except OSError:
        pass


def memory(server):
    """Resident bytes; 0 under a sanitizer, which keeps what was freed."""
    if "asan" in os.environ.get("TIDEMARKD", "") or "tsan" in os.environ.get("TIDEMARKD", ""):
        return 0
    with open("/proc/%d/status" % server.process.pid) as f:
        for line in f:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
    return 0


def test_a_line_without_end_before_login(connect, others, server):
    before = memory(server)
    c = connect()
    flood(c, b"a" * 65536, 600)
    drain(c, 5)
    assert memory(server) - before < 64 << 20


def test_a_line_without_end_after_login(connect, account, others, server):
    before = memory(server)
    c = connect(account)
    flood(c, b"a NOOP " + b"x" * 65536, 600)
    drain(c, 5)
    assert memory(server) - before < 64 << 20


def test_a_long_line_is_bad_or_bye(connect, account, others):
    c = connect(account)
    c.send_raw(b"a1 SELECT " + b"x" * 200000 + b"\r\n")
    c.pending.append(("a1", "SELECT"))
    seen = drain(c, 3)
    assert seen and seen[0].name in ("BAD", "NO", "BYE")


def test_twenty_bad_commands_end_the_connection(connect, others):
    c = connect()
    c.send_raw(b"x XYZZY\r\n" * 100)
    c.pending = [("x", "XYZZY")] * 100
    seen = drain(c, 10)
    assert seen[-1].name == "BYE"
    assert len(seen) < 100


def test_nul_in_a_command(connect, account, others):
    c = connect(account)
    c.send_raw(b"n1 SELECT IN\0BOX\r\n")
    c.pending.append(("n1", "SELECT"))
    r = c.read_response()
    assert r.name in ("BAD", "BYE")


def test_bare_lf_and_bare_cr(connect, account, others):
    c = connect(account)
    c.send_raw(b"n1 NOOP\nn2 NOOP\r\n")
    seen = [c.read_response()]
    assert seen[0].name in ("OK", "BAD")
    c.close()


@pytest.mark.parametrize("seqs", ["1:4294967295", "4294967295:1", "1,4294967295", "*:1",
                                  "4294967295", "1:4294967295," * 500 + "1"])
def test_huge_sets(box, seqs):
    c = box(3)
    assert c.okay("UID FETCH %s FLAGS" % seqs)
    assert c.okay("UID SEARCH UID %s" % seqs)
    assert c.okay(r"UID STORE %s +FLAGS.SILENT (\Seen)" % seqs)
    r = c.cmd("FETCH %s FLAGS" % seqs)
    assert r.status in ("OK", "BAD", "NO")


def test_a_set_with_too_many_ranges(box, others):
    c = box(1)
    seqs = ",".join("%d" % (i * 2 + 1) for i in range(9000))
    r = c.cmd("UID FETCH %s FLAGS" % seqs)
    assert r.status in ("OK", "BAD", "NO")
    assert c.okay("NOOP")


@pytest.mark.parametrize("count", [500, 5000])
def test_deep_lists(box, count):
    c = box(1)
    for text in ("SEARCH " + "(" * count, "FETCH 1 " + "(" * count, "STORE 1 FLAGS " + "(" * count,
                 "SEARCH " + "OR " * count + "ALL ALL", "ID " + "(" * count):
        assert c.cmd(text).bad
    assert c.okay("NOOP")


def test_too_many_fetch_items(box):
    c = box(1)
    r = c.cmd("FETCH 1 (%s)" % " ".join("BODY.PEEK[HEADER.FIELDS (X%d)]" % i for i in range(1500)))
    assert r.status in ("OK", "BAD", "NO")
    assert c.okay("NOOP")


def test_literals_that_promise_much(connect, account, others, server):
    before = memory(server)
    for _ in range(50):
        c = connect(account)
        c.send_raw(b"a APPEND INBOX {60000000+}\r\n" + b"x" * 1000)
    assert memory(server) - before < 512 << 20  # of 3 GB; ASan holds back what is freed


def test_a_literal_larger_than_the_limit_is_not_asked_for(connect, account):
    c = connect(account)
    assert not c.wait(c.send("APPEND INBOX {9999999999}")).ok
    assert c.okay("NOOP")


def test_a_literal_in_a_command_that_takes_none(connect):
    c = connect()
    tag = c.send("NOOP {5}")
    assert c.wait(tag).bad
    assert c.okay("NOOP")


def test_many_literals_in_one_command(connect, account):
    c = connect(account)
    parts = ["LIST \"\" ("]
    for i in range(300):
        parts += [Lit("x%d" % i, plus=True), " "]
    r = c.cmd(*parts[:-1], ")")
    assert r.status in ("OK", "BAD", "NO")
    assert c.okay("NOOP")


def test_one_byte_at_a_time(connect, account):
    c = connect()
    line = b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (
        len(account.name), account.name.encode(), len(account.password), account.password.encode())
    for i in range(len(line)):
        c.sock.sendall(line[i:i + 1])
    c.pending.append(("a", "LOGIN"))
    assert c.wait("a").ok


def test_a_client_that_never_reads(connect, account, fill, others, server):
    """Slow reader: its answers pause, memory stays bounded, others are served."""
    c = connect(account)
    fill(c, "INBOX", mails=[simple_mail(body="x" * 500000 + "\r\n")])
    c.select()
    before = memory(server)
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.sock.settimeout(5)
    try:
        for i in range(2000):
            c.sock.sendall(b"f%d FETCH 1 BODY.PEEK[]\r\n" % i)
    except OSError:
        pass
    others()
    assert memory(server) - before < 100 << 20


def test_a_slow_reader_gets_everything_in_the_end(connect, account, fill):
    c = connect(account)
    big = simple_mail(body="0123456789" * 300000 + "\r\n")
    fill(c, "INBOX", mails=[big])
    c.select()
    tags = [c.send("FETCH 1 BODY.PEEK[]") for _ in range(4)]
    for t in tags:
        assert c.wait(t).one("FETCH").items["BODY[]"] == big


def test_random_bytes_before_login(connect, others, seed):
    import random
    rng = random.Random(seed)
    for _ in range(20):
        c = connect()
        flood(c, rng.randbytes(3000), 3)
        c.close()


def test_random_commands_made_of_right_words(connect, account, others, seed):
    """Words of the grammar in random order: an answer for each line, or BYE; never silence."""
    import random
    rng = random.Random(seed)
    words = ("FETCH STORE SEARCH UID COPY MOVE APPEND SELECT LIST STATUS 1 * 1:* INBOX ( ) FLAGS "
             r"BODY[ ] BODY[] <0.5> (\Seen) +FLAGS MODSEQ UNCHANGEDSINCE CHANGEDSINCE VANISHED 0 "
             "NOT OR ALL CHARSET UTF-8 RETURN (MIN) (SAVE) $ \"\" \"x\" {0+} ENABLE QRESYNC "
             "99999999999999999999 -1 , :").split()
    c = connect(account, select="INBOX")
    c.mirror.untagged = lambda *_: None
    for i in range(400):
        line = " ".join(rng.choice(words) for _ in range(rng.randrange(1, 8)))
        line = line.replace("{0+}", "{0+}\r\n")
        c.send_raw("w%d %s\r\n" % (i, line))
        try:
            while True:
                r = c.read_response()
                if r.kind == "w%d" % i or (r.kind == "*" and r.name in ("BAD", "BYE")):
                    break
                if r.kind == "+":
                    c.send_raw(b"*\r\nDONE\r\n")
        except Closed:
            c = connect(account, select="INBOX")
            c.mirror.untagged = lambda *_: None


def test_connections_that_come_and_go(server, others):
    for _ in range(300):
        s = socket.create_connection((server.host, server.ports["imap"]))
        s.close()


def test_reset_connections(server, others):
    import struct
    for _ in range(100):
        s = socket.create_connection((server.host, server.ports["imap"]))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.sendall(b"a LOGIN x y\r\nb NOOP\r\n")
        s.close()


@pytest.mark.parametrize("count", [1000, pytest.param(10000, marks=pytest.mark.slow)])
def test_many_connections_at_once(server, connect, account, others, count):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < count + 200:
        pytest.skip("only %d file descriptors" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    socks = []
    try:
        for _ in range(count):
            socks.append(socket.create_connection((server.host, server.ports["imap"]), 60))
        for s in socks:
            s.settimeout(60)
            assert s.recv(1000).startswith(b"* OK")
        assert connect(account).okay("NOOP")
    finally:
        for s in socks:
            s.close()


@pytest.mark.slow
def test_file_descriptors_do_not_leak(server, connect, account):
    def count():
        return len(os.listdir("/proc/%d/fd" % server.process.pid))
    connect(account).logout()
    before = count()
    for _ in range(100):
        c = connect(account, select="INBOX")
        c.logout()
        c = connect()
        c.close()
    end = time.monotonic() + 20
    while count() > before + 5:
        assert time.monotonic() < end, "%d, then %d file descriptors" % (before, count())
        time.sleep(0.1)


def test_mail_with_deep_mime(c):
    mail = b""
    for i in range(500):
        mail += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i)
    c.okay("APPEND INBOX ", Lit(mail))
    c.select()
    assert c.okay("FETCH 1 (BODYSTRUCTURE ENVELOPE RFC822.SIZE)").one("FETCH")
    assert c.okay("FETCH 1 BODY.PEEK[%s]" % ".".join(["1"] * 400))


def test_mail_with_very_many_parts(c):
    mail = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 20000
    c.okay("APPEND INBOX ", Lit(mail))
    c.select()
    assert c.okay("FETCH 1 (BODYSTRUCTURE RFC822.SIZE)").one("FETCH")
    assert c.okay("FETCH 1 BODY.PEEK[]").one("FETCH").items["BODY[]"] == mail


def test_mail_with_a_huge_header(c):
    mail = b"".join(b"X-H%d: %s\r\n" % (i, b"v" * 70) for i in range(20000)) + b"\r\nbody\r\n"
    c.okay("APPEND INBOX ", Lit(mail))
    c.select()
    assert c.okay("FETCH 1 BODY.PEEK[HEADER]").one("FETCH").items["BODY[HEADER]"] == mail[:-6]
    assert c.okay("FETCH 1 ENVELOPE")


def test_envelope_with_very_many_addresses(c):
    mail = b"To: " + b",\r\n ".join(b"u%d@example.org" % i for i in range(20000)) + b"\r\n\r\n"
    c.okay("APPEND INBOX ", Lit(mail))
    c.select()
    assert c.okay("FETCH 1 ENVELOPE").one("FETCH")
