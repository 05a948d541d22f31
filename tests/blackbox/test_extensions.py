"""ENABLE 5161, ID 2971, IDLE 2177, COMPRESS 4978, UNSELECT, LITERAL+ 7888, SAVELIMIT 9738."""
import zlib

import pytest

from imapc import Lit
from mails import simple_mail


# --- ENABLE

@pytest.mark.needs("ENABLE")
def test_enable_answers_with_what_it_enabled(c):
    """RFC 5161 3.1 and 3.2."""
    r = c.okay("ENABLE CONDSTORE")
    assert [str(v).upper() for v in r.one("ENABLED").values] == ["CONDSTORE"]


@pytest.mark.needs("ENABLE")
def test_enable_ignores_what_it_does_not_know(c):
    """What imapflow sends (IMAP.md section 10)."""
    r = c.okay("ENABLE X-NONSENSE CONDSTORE FOO=BAR QRESYNC")
    assert {str(v).upper() for v in r.one("ENABLED").values} == {"CONDSTORE", "QRESYNC"}


@pytest.mark.needs("ENABLE")
def test_enable_of_nothing_known_is_ok(c):
    r = c.okay("ENABLE X-NONSENSE")
    assert [v for x in r.all("ENABLED") for v in x.values] == []


@pytest.mark.needs("ENABLE")
def test_enable_of_a_capability_that_needs_no_enabling(c):
    """RFC 5161 3.1: if the argument is not an extension that ENABLE knows, it is ignored."""
    r = c.okay("ENABLE IDLE MOVE")
    assert [v for x in r.all("ENABLED") for v in x.values] == []


@pytest.mark.tidemark_only
def test_enable_while_selected(box):
    """IMAP.md section 5: accepted also while selected; HIGHESTMODSEQ follows at once."""
    c = box(1)
    r = c.okay("ENABLE CONDSTORE")
    assert r.has("ENABLED") and "HIGHESTMODSEQ" in r.codes()


# --- ID

@pytest.mark.needs("ID")
@pytest.mark.parametrize("arg", ["NIL", "()", '("name" "test")',
                                 '("name" "test" "version" NIL "os" "x")'])
def test_id(c, arg):
    r = c.okay("ID " + arg)
    assert r.one("ID").values[0] is None or len(r.one("ID").values[0]) % 2 == 0


@pytest.mark.needs("ID")
def test_id_before_login(connect):
    assert connect().okay('ID ("name" "x")').has("ID")


@pytest.mark.tidemark_only
@pytest.mark.parametrize("arg", ['("name")', '("a" ("b"))', '("a" "b" "c")', "(a b)x"])
def test_broken_id_is_bad(c, arg):
    assert c.cmd("ID " + arg).bad


@pytest.mark.tidemark_only
def test_id_with_too_many_fields_is_refused(c):
    """RFC 2971 3.3: not more than 30 field-value pairs."""
    assert c.cmd("ID (%s)" % " ".join('"k%d" "v"' % i for i in range(200))).bad
    assert c.okay("NOOP")


# --- IDLE

def names(seen):
    return [r.name for r in seen]


@pytest.mark.needs("IDLE")
def test_idle_hears_new_mail_at_once(pair, fill):
    a, b = pair(1)
    tag = a.idle()
    fill(b, "INBOX", 1)
    seen = a.idle_until(lambda got: "EXISTS" in names(got))
    assert [r.number for r in seen if r.name == "EXISTS"][-1] == 2
    assert a.idle_done(tag).ok


@pytest.mark.needs("IDLE")
def test_idle_hears_flags_and_expunges(pair):
    a, b = pair(3)
    tag = a.idle()
    b.okay(r"STORE 2 +FLAGS (\Flagged)")
    a.idle_until(lambda got: any(r.name == "FETCH" and r.number == 2 for r in got))
    b.okay(r"STORE 1 +FLAGS (\Deleted)")
    b.okay("EXPUNGE")
    a.idle_until(lambda got: "EXPUNGE" in names(got))
    assert a.idle_done(tag).ok
    assert len(a.okay("FETCH 1:* UID").fetches()) == 2


@pytest.mark.tidemark_only
def test_a_fetch_heard_while_idle_has_its_uid(pair):
    """IMAP.md section 10: UID stands in every unsolicited FETCH."""
    a, b = pair(2)
    tag = a.idle()
    b.okay(r"STORE 2 +FLAGS (\Flagged)")
    seen = a.idle_until(lambda got: "FETCH" in names(got))
    assert seen[-1].items["UID"] == 2
    a.idle_done(tag)


@pytest.mark.needs("IDLE")
def test_idle_tells_first_what_happened_before(pair, fill):
    a, b = pair(1)
    fill(b, "INBOX", 1)
    tag = a.idle()
    got = a.idle_until(lambda got: "EXISTS" in names(got) or any(
        r.name == "EXISTS" for r in a.loose))
    assert got is not None
    assert a.idle_done(tag).ok


@pytest.mark.needs("IDLE")
def test_idle_without_a_mailbox(c):
    tag = c.idle()
    assert c.idle_done(tag).ok


@pytest.mark.needs("IDLE")
def test_done_in_any_case_and_at_once(connect, account):
    """A pipelined DONE ends an IDLE that has hardly begun."""
    c = connect(account, select="INBOX")
    c.send_raw(b"x1 IDLE\r\ndone\r\nx2 NOOP\r\n")
    c.pending = [("x1", "IDLE"), ("x2", "NOOP")]
    assert c.continuation() is not None
    assert c.wait("x1").ok and c.wait("x2").ok


@pytest.mark.needs("IDLE")
def test_anything_but_done_ends_idle_with_bad(box):
    c = box(1)
    tag = c.idle()
    c.send_raw(b"NOOP\r\n")
    r = c.wait(tag)
    assert r.bad
    assert c.okay("NOOP")


@pytest.mark.needs("IDLE")
def test_many_rounds_of_idle(pair):
    a, b = pair(1)
    for i in range(20):
        tag = a.idle()
        b.okay(r"STORE 1 %sFLAGS (\Flagged)" % "+-"[i % 2])
        a.idle_until(lambda got: "FETCH" in names(got))
        assert a.idle_done(tag).ok


@pytest.mark.needs("IDLE")
def test_twenty_idlers_all_hear(connect, account, fill):
    first = connect(account)
    fill(first, "INBOX", 1)
    first.select()
    idlers = [connect(account, select="INBOX") for _ in range(8)]
    tags = [x.idle() for x in idlers]
    first.okay(r"STORE 1 +FLAGS (\Flagged)")
    for x, tag in zip(idlers, tags):
        x.idle_until(lambda got: "FETCH" in names(got))
        assert x.idle_done(tag).ok


# --- COMPRESS

@pytest.fixture
def squeezed(connect, account, fill):
    c = connect(account)
    fill(c, "INBOX", 5)
    if "COMPRESS=DEFLATE" not in c.capabilities():
        pytest.skip("no COMPRESS")
    c.compress()
    return c


def test_compress_carries_everything(squeezed):
    c = squeezed
    c.select()
    assert len(c.okay("FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])").fetches()) == 5
    big = simple_mail(body="all work and no play\r\n" * 20000)
    c.okay("APPEND INBOX ", Lit(big))
    assert c.okay("FETCH 6 BODY.PEEK[]").one("FETCH").items["BODY[]"] == big


def test_compress_twice_is_refused(squeezed):
    """RFC 4978 3: NO [COMPRESSIONACTIVE]."""
    r = squeezed.cmd("COMPRESS DEFLATE")
    assert not r.ok and r.code in ("COMPRESSIONACTIVE", None)


def test_unknown_algorithm_is_refused(c):
    if "COMPRESS=DEFLATE" not in c.capabilities():
        pytest.skip("no COMPRESS")
    assert not c.cmd("COMPRESS LZ4").ok
    assert c.okay("NOOP")


@pytest.mark.tidemark_only
def test_compress_before_login(connect, account):
    """RFC 4978 says nothing against it; it is refused here, for a stranger gets no window."""
    c = connect()
    r = c.cmd("COMPRESS DEFLATE")
    assert r.status in ("OK", "NO", "BAD")


def test_compressed_bytes_in_small_pieces(squeezed):
    c = squeezed
    data = b"z1 NOOP\r\nz2 CAPABILITY\r\n"
    out = c.deflate.compress(data) + c.deflate.flush(zlib.Z_SYNC_FLUSH)
    for i in range(len(out)):
        c.sock.sendall(out[i:i + 1])
    c.pending = [("z1", "NOOP"), ("z2", "CAPABILITY")]
    assert c.wait("z1").ok and c.wait("z2").ok


@pytest.mark.tidemark_only
def test_rubbish_instead_of_deflate_ends_the_connection(squeezed, connect, account):
    c = squeezed
    c.sock.sendall(b"\xff" * 1000)
    c.expect_closed()
    assert connect(account).okay("NOOP")


@pytest.mark.tidemark_only
def test_a_bomb_of_zeros_is_no_bomb(squeezed, connect, account):
    """A megabyte that inflates to a gigabyte is one line that is too long, and no more."""
    c = squeezed
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = b"x" * (1 << 20)
    try:
        for _ in range(256):
            c.sock.sendall(bomb.compress(block))
        c.sock.sendall(bomb.flush(zlib.Z_SYNC_FLUSH))
    except OSError:
        pass
    c.expect_closed()
    assert connect(account).okay("NOOP")


# --- LITERAL+

def test_literal_plus_everywhere(c):
    c.okay("CREATE ", Lit("lit", plus=True))
    c.okay("RENAME ", Lit("lit", plus=True), " ", Lit("lot", plus=True))
    c.okay("SUBSCRIBE ", Lit("lot", plus=True))
    assert c.okay("LIST ", Lit("", plus=True), " ", Lit("lo*", plus=True)).one("LIST")
    c.okay("SELECT ", Lit("lot", plus=True))


@pytest.mark.tidemark_only
@pytest.mark.parametrize("text", [b"{5+", b"{+}", b"{5-}x", b"{5++}", b"{99999999999999999999}",
                                  b"{4294967296}", b"{5}x", b"{ 5}", b"{5 }", b"{0x5}"])
def test_malformed_literals_are_bad(c, text):
    c.send_raw(b"m1 SELECT " + text + b"\r\n")
    c.pending.append(("m1", "SELECT"))
    assert not c.wait("m1").ok
    assert c.okay("NOOP")


@pytest.mark.tidemark_only
def test_a_huge_argument_literal_is_refused_without_plus(c):
    tag = c.send("SELECT {10000000}")
    assert not c.wait(tag).ok
    assert c.okay("NOOP")


# --- SAVELIMIT

@pytest.mark.tidemark_only
@pytest.mark.slow
def test_copy_beyond_savelimit(connect, account):
    """RFC 9738: COPY of more than 1,000 messages: NO [MESSAGELIMIT 1000 uid], nothing copied."""
    c = connect(account)
    for _ in range(2):
        parts = ["APPEND INBOX"]
        for i in range(600):
            parts += [" ", Lit(b"Subject: x\r\n\r\nx", plus=True)]
        c.okay(*parts)
    c.okay("CREATE t")
    c.select()
    r = c.cmd("COPY 1:* t")
    assert r.no and r.code == "MESSAGELIMIT" and r.code_args[0] == 1000
    assert c.okay("STATUS t (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]
    assert c.okay("COPY 1:1000 t")
    assert c.okay("STATUS t (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 1000]
