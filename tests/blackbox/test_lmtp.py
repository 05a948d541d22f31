"""LMTP: RFC 2033, RFC 5321, and PIPELINING, SIZE, CHUNKING, 8BITMIME, SMTPUTF8 (IMAP.md 8)."""
import re
import uuid

import pytest

import imapc
from imapc import Closed, quote
from lmtpc import stuff
from mails import simple_mail

MAIL = simple_mail(subject="by lmtp")


@pytest.fixture
def inbox(connect):
    """inbox(account): the mails of its INBOX, as bytes."""
    def read(account, mailbox="INBOX"):
        c = connect(account)
        c.okay("EXAMINE " + quote(mailbox))
        if c.mirror.exists == 0:
            return []
        return [i["BODY[]"] for _, i in c.okay("FETCH 1:* BODY.PEEK[]").fetches()]
    return read


def split(mail):
    head, _, body = mail.partition(b"\r\n\r\n")
    return head.decode("latin-1"), body


def headers(mail, name):
    head = re.sub(r"\r\n[ \t]+", " ", split(mail)[0])
    return [line.partition(":")[2].strip() for line in head.split("\r\n")
            if line.lower().startswith(name.lower() + ":")]


def test_greeting_and_lhlo(lmtp):
    m = lmtp()
    assert m.greeting.code == 220
    ext = m.extensions()
    assert {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"} <= set(ext)


@pytest.mark.tidemark_only
def test_all_extensions_that_are_promised(lmtp):
    ext = lmtp().extensions()
    assert {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES",
            "CHUNKING"} <= set(ext)
    assert int(ext["SIZE"]) > 1 << 20 and "BINARYMIME" not in ext


@pytest.mark.tidemark_only
def test_starttls_begins_anew(lmtp, account, inbox):
    """RFC 3207: nothing that came before, pipelined or not, counts afterwards."""
    m = lmtp()
    assert "STARTTLS" in m.extensions()
    m.okay("MAIL FROM:<before@example.org>")
    m.send_raw("STARTTLS\r\nRCPT TO:<%s>\r\n" % account.name)
    assert m.reply().code == 220
    m.sock = imapc.insecure_tls().wrap_socket(m.sock)
    assert m.cmd("RCPT TO:<%s>" % account.name).code == 503
    assert "STARTTLS" not in m.extensions()
    assert m.deliver([account.name], MAIL, sender="after@example.org")[1][0].code == 250
    mail = inbox(account)[0]
    assert headers(mail, "Return-Path") == ["<after@example.org>"]
    assert "with LMTPS" in headers(mail, "Received")[0]


@pytest.mark.parametrize("verb", ["HELO x", "EHLO x"])
def test_helo_and_ehlo_are_refused(lmtp, verb):
    """RFC 2033 4.1: HELO and EHLO MUST NOT be accepted: 500."""
    assert lmtp().cmd(verb).code in (500, 501, 502)


def test_a_mail_arrives(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    rcpt, final = m.deliver([account.name], MAIL)
    assert [r.code for r in rcpt] == [250] and [r.code for r in final] == [250]
    assert m.quit().code == 221
    got = inbox(account)
    assert len(got) == 1 and got[0].endswith(MAIL)


@pytest.mark.tidemark_only
def test_trace_headers_for_one_recipient(lmtp, account, inbox):
    """Return-Path, Delivered-To and Received are put in front, in this order."""
    m = lmtp()
    m.lhlo("client.example")
    m.deliver([account.name + "@example.net"], MAIL, sender="ann@example.org")
    mail = inbox(account)[0]
    assert mail.endswith(MAIL)
    front = mail[:-len(MAIL)].decode()
    names = [line.partition(":")[0] for line in front.split("\r\n") if line and line[0] not in " \t"]
    assert names == ["Return-Path", "Delivered-To", "Received"]
    assert headers(mail, "Return-Path") == ["<ann@example.org>"]
    assert headers(mail, "Delivered-To") == [account.name + "@example.net"]
    received = headers(mail, "Received")[0]
    assert "client.example" in received and "with LMTP" in received and "for <" in received


@pytest.mark.tidemark_only
def test_trace_headers_for_several_recipients(lmtp, new_account, inbox):
    """Only Return-Path and a Received without `for`, so that they share the body."""
    a, b = new_account(), new_account()
    m = lmtp()
    m.lhlo()
    m.deliver([a.name, b.name], MAIL)
    for account in (a, b):
        mail = inbox(account)[0]
        assert headers(mail, "Return-Path") and not headers(mail, "Delivered-To")
        assert b.name not in headers(mail, "Received")[0]


def test_null_sender(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    m.deliver([account.name], MAIL, sender="")
    assert headers(inbox(account)[0], "Return-Path") == ["<>"]


def test_one_reply_for_each_recipient_in_order(lmtp, new_account, inbox):
    accounts = [new_account() for _ in range(5)]
    m = lmtp()
    m.lhlo()
    rcpt, final = m.deliver([a.name for a in accounts], MAIL)
    assert [r.code for r in final] == [250] * 5
    assert all(len(inbox(a)) == 1 for a in accounts)


@pytest.mark.tidemark_only
def test_unknown_user_is_550(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    rcpt, final = m.deliver(["nobody-" + uuid.uuid4().hex, account.name], MAIL)
    assert [r.code for r in rcpt] == [550, 250]
    assert rcpt[0].enhanced == "5.1.1"
    assert [r.code for r in final] == [250]
    assert len(inbox(account)) == 1


@pytest.mark.tidemark_only
def test_only_unknown_users_is_no_data(lmtp):
    m = lmtp()
    m.lhlo()
    rcpt, final = m.deliver(["nobody-" + uuid.uuid4().hex], MAIL)
    assert rcpt[0].code == 550 and final[0].code in (503, 554)


@pytest.mark.tidemark_only
def test_names_know_no_case(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    rcpt, final = m.deliver([account.name.upper() + "@Example.NET"], MAIL)
    assert final[0].code == 250 and len(inbox(account)) == 1


@pytest.mark.tidemark_only
def test_plus_folder_delivers_into_the_folder_if_it_exists(lmtp, account, connect, inbox):
    c = connect(account)
    c.okay("CREATE Lists")
    c.okay("CREATE Lists/dev")
    m = lmtp()
    m.lhlo()
    for where in ("+Lists", "+Lists/dev", "+nowhere"):
        rcpt, final = m.deliver([account.name + where + "@example.net"], MAIL)
        assert final[0].code == 250, where
    assert [len(inbox(account, b)) for b in ("Lists", "Lists/dev", "INBOX")] == [1, 1, 1]
    assert c.okay('LIST "" nowhere').all("LIST") == []


@pytest.mark.parametrize("body", [
    b".\r\n", b"..\r\n", b".dot\r\n", b"a\r\n.\r\nb\r\n", b"\r\n.\r\n.\r\n", b"...\r\n.a\r\n..b\r\n",
    b"", b"\r\n\r\n\r\n", b"x" * 990 + b"\r\n"])
def test_dot_stuffing(lmtp, account, inbox, body):
    m = lmtp()
    m.lhlo()
    mail = b"Subject: dots\r\n\r\n" + body
    assert m.deliver([account.name], mail)[1][0].code == 250
    assert inbox(account)[0].endswith(mail)


@pytest.mark.tidemark_only
@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r"])
def test_only_crlf_dot_crlf_ends_the_data(lmtp, account, inbox, end):
    """SMTP smuggling: a bare LF around the dot is no end."""
    m = lmtp()
    m.lhlo()
    m.okay("MAIL FROM:<a@example.org>")
    m.okay("RCPT TO:<%s>" % account.name)
    assert m.cmd("DATA").code == 354
    m.send_raw(b"Subject: smuggled\r\n\r\nbefore" + end + b"MAIL FROM:<evil@example.org>\r\n.\r\n")
    r = m.reply()
    assert r.code in (250, 550, 554)
    assert m.cmd("NOOP").code == 250
    got = inbox(account)
    assert len(got) == (1 if r.code == 250 else 0)
    if got:
        assert b"MAIL FROM:<evil@example.org>" in got[0]


def test_eight_bit_and_long_lines_come_through(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    mail = "Subject: 8 bit\r\n\r\nStraße\r\n".encode() + b"y" * 5000 + b"\r\n"
    assert m.deliver([account.name], mail, mail_params=" BODY=8BITMIME")[1][0].code == 250
    assert inbox(account)[0].endswith(mail)


@pytest.mark.parametrize("size", [65000, 66000, 300000, 3000000])
def test_sizes(lmtp, account, inbox, size):
    m = lmtp()
    m.lhlo()
    line = b"0123456789" * 7 + b"\r\n"
    mail = b"Subject: big\r\n\r\n" + line * (size // len(line))
    assert m.deliver([account.name], mail)[1][0].code == 250
    assert inbox(account)[0].endswith(mail)


@pytest.mark.tidemark_only
def test_size_that_is_declared_too_large_is_552(lmtp, account):
    m = lmtp()
    limit = int(m.extensions()["SIZE"])
    assert m.cmd("MAIL FROM:<a@example.org> SIZE=%d" % (limit + 1)).code == 552
    assert m.okay("MAIL FROM:<a@example.org> SIZE=1000")


@pytest.mark.tidemark_only
@pytest.mark.slow
def test_size_that_was_not_declared_is_552_afterwards(lmtp, account, inbox):
    m = lmtp()
    limit = int(m.extensions()["SIZE"])
    m.okay("MAIL FROM:<a@example.org>")
    m.okay("RCPT TO:<%s>" % account.name)
    assert m.cmd("DATA").code == 354
    line = b"0123456789" * 90 + b"\r\n"
    block = line * 1000
    for _ in range(limit // len(block) + 2):
        m.send_raw(block)
    m.send_raw(b".\r\n")
    assert m.reply().code == 552
    assert inbox(account) == []
    assert m.cmd("NOOP").code == 250


def test_pipelining(lmtp, new_account, inbox):
    """RFC 2920: MAIL, RCPT.. and DATA in one write."""
    a, b = new_account(), new_account()
    m = lmtp()
    m.lhlo()
    m.send_raw("MAIL FROM:<s@example.org>\r\nRCPT TO:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n"
               % (a.name, b.name))
    assert [m.reply().code for _ in range(4)] == [250, 250, 250, 354]
    m.send_raw(stuff(MAIL) + b".\r\nMAIL FROM:<s@example.org>\r\nRSET\r\nQUIT\r\n")
    assert [m.reply().code for _ in range(5)] == [250, 250, 250, 250, 221]
    assert len(inbox(a)) == 1 and len(inbox(b)) == 1


def test_many_mails_in_one_session(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    for i in range(20):
        assert m.deliver([account.name], simple_mail(subject="n%d" % i))[1][0].code == 250
    assert len(inbox(account)) == 20


@pytest.mark.tidemark_only
def test_bdat(lmtp, account, inbox):
    """RFC 3030: chunks without dots; the last one has the replies of the recipients."""
    m = lmtp()
    m.lhlo()
    m.okay("MAIL FROM:<s@example.org>")
    m.okay("RCPT TO:<%s>" % account.name)
    mail = b"Subject: chunks\r\n\r\n.\r\nhalf a li"
    m.send_raw(b"BDAT %d\r\n" % len(mail) + mail)
    assert m.reply().code == 250
    m.send_raw(b"BDAT 6 LAST\r\nne.\r\n\r")
    assert m.reply().code == 250
    assert inbox(account)[0].endswith(mail + b"ne.\r\n\r")


@pytest.mark.tidemark_only
def test_bdat_of_nothing_as_the_last(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    m.okay("MAIL FROM:<s@example.org>")
    m.okay("RCPT TO:<%s>" % account.name)
    m.send_raw(b"BDAT %d\r\n" % len(MAIL) + MAIL + b"BDAT 0 LAST\r\n")
    assert [m.reply().code, m.reply().code] == [250, 250]
    assert inbox(account)[0].endswith(MAIL)


@pytest.mark.tidemark_only
def test_bdat_and_data_are_not_mixed(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    m.okay("MAIL FROM:<s@example.org>")
    m.okay("RCPT TO:<%s>" % account.name)
    m.send_raw(b"BDAT 3\r\nabc")
    assert m.reply().code == 250
    assert m.cmd("DATA").code == 503
    assert m.cmd("RSET").code == 250
    assert inbox(account) == []


@pytest.mark.tidemark_only
def test_bdat_without_a_recipient_is_read_away(lmtp):
    """RFC 3030 2: the data of a refused BDAT are read and thrown away."""
    m = lmtp()
    m.lhlo()
    m.send_raw(b"BDAT 10 LAST\r\n0123456789NOOP\r\n")
    assert m.reply().code in (503, 554)
    assert m.reply().code == 250


@pytest.mark.parametrize("line,codes", [
    ("RCPT TO:<x>", (503,)), ("DATA", (503, 554)), ("XYZZY", (500, 502)),
    ("MAIL FROM:x", (501, 555, 250)), ("MAIL", (501, 500)), ("MAIL FROM:<a@b> FOO=BAR", (501, 555, 250)),
    ("", (500, 502)), ("VRFY x", (252, 500, 502, 550))])
def test_wrong_commands(lmtp, line, codes):
    m = lmtp()
    m.lhlo()
    assert m.cmd(line).code in codes
    assert m.cmd("NOOP").code == 250


@pytest.mark.tidemark_only
@pytest.mark.parametrize("line", ["MAIL FROM:<a@b.example", "MAIL FROM:a@b>", "MAIL FROM:<a b@c>",
                                  "MAIL FROM:<a@b> SIZE=x", "MAIL FROM:<a@b> BODY=FOO",
                                  "MAIL FROM:<a@b> BODY=BINARYMIME"])
def test_wrong_mail_arguments(lmtp, line):
    m = lmtp()
    m.lhlo()
    assert m.cmd(line).code in (501, 504, 553, 555)
    assert m.cmd("NOOP").code == 250


@pytest.mark.tidemark_only
def test_commands_before_lhlo_are_refused(lmtp):
    m = lmtp()
    assert m.cmd("MAIL FROM:<a@example.org>").code == 503


def test_rset_forgets(lmtp, account):
    m = lmtp()
    m.lhlo()
    m.okay("MAIL FROM:<a@example.org>")
    m.okay("RCPT TO:<%s>" % account.name)
    m.okay("RSET")
    assert m.cmd("DATA").code in (503, 554)


def test_every_reply_has_an_enhanced_code(lmtp, account):
    """RFC 2034: 2xx, 4xx and 5xx replies other than greeting and LHLO."""
    m = lmtp()
    m.lhlo()
    for line in ("MAIL FROM:<a@example.org>", "RCPT TO:<%s>" % account.name, "RSET", "NOOP"):
        r = m.okay(line)
        assert r.enhanced is not None or line == "NOOP", r


@pytest.mark.tidemark_only
def test_smtputf8_address(lmtp, admin, connect):
    name = "jörg" + uuid.uuid4().hex[:8]
    admin.add(name, "pw")
    m = lmtp()
    m.lhlo()
    m.okay("MAIL FROM:<a@example.org> SMTPUTF8")
    assert m.cmd(("RCPT TO:<%s@example.net>" % name).encode()).code == 250


@pytest.mark.tidemark_only
def test_lines_that_are_too_long_are_refused(lmtp):
    m = lmtp()
    m.lhlo()
    assert m.cmd("NOOP " + "x" * 20000).code == 500
    assert m.cmd("NOOP").code == 250


@pytest.mark.tidemark_only
def test_too_many_recipients_are_452(lmtp, account):
    m = lmtp()
    m.lhlo()
    m.okay("MAIL FROM:<a@example.org>")
    m.send_raw(("RCPT TO:<%s>\r\n" % account.name) * 1100)
    codes = [m.reply().code for _ in range(1100)]
    assert codes[:1000] == [250] * 1000 and set(codes[1000:]) == {452}


@pytest.mark.tidemark_only
def test_the_same_recipient_twice_gets_two_replies(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    rcpt, final = m.deliver([account.name, account.name], MAIL)
    assert len(final) == 2 and {r.code for r in final} == {250}
    assert len(inbox(account)) in (1, 2)


def test_a_sender_that_vanishes_leaves_nothing(lmtp, account, inbox):
    m = lmtp()
    m.lhlo()
    m.okay("MAIL FROM:<a@example.org>")
    m.okay("RCPT TO:<%s>" % account.name)
    assert m.cmd("DATA").code == 354
    m.send_raw(MAIL + b"no end")
    m.close()
    assert inbox(account) == []


@pytest.mark.tidemark_only
def test_an_idling_reader_hears_of_it_at_once(lmtp, account, connect):
    c = connect(account, select="INBOX")
    tag = c.idle()
    m = lmtp()
    m.lhlo()
    m.deliver([account.name], MAIL)
    c.idle_until(lambda got: any(r.name == "EXISTS" for r in got))
    try:
        assert c.idle_done(tag).ok
    except Closed as e:
        raise AssertionError("idle ended") from e


@pytest.mark.tidemark_only
def test_delivered_mail_is_recent_and_unseen(lmtp, account, connect):
    m = lmtp()
    m.lhlo()
    m.deliver([account.name], MAIL)
    c = connect(account)
    r = c.select()
    assert r.one("RECENT").number == 1
    assert c.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"] == [r"\Recent"]
