"""APPEND: RFC 3501 6.3.11; UIDPLUS 4315; MULTIAPPEND 3502; APPENDLIMIT 7889; LITERAL+ 7888."""
import datetime
import re

import pytest

from imapc import Lit, parse_set
from mails import simple_mail

MAIL = simple_mail(subject="appended")


def test_append_is_there_byte_for_byte(c):
    c.okay("APPEND INBOX ", Lit(MAIL))
    c.select()
    items = c.okay("FETCH 1 (BODY.PEEK[] RFC822.SIZE)").one("FETCH").items
    assert items["BODY[]"] == MAIL and items["RFC822.SIZE"] == len(MAIL)


def test_append_with_flags_and_date(c):
    c.okay(r'APPEND INBOX (\Seen \Flagged kw) "17-Jul-1996 02:44:25 -0700" ', Lit(MAIL))
    c.select()
    items = c.okay("FETCH 1 (FLAGS INTERNALDATE)").one("FETCH").items
    assert set(items["FLAGS"]) == {r"\Seen", r"\Flagged", "kw", r"\Recent"}
    assert moment(items["INTERNALDATE"].decode()) == moment("17-Jul-1996 02:44:25 -0700")


@pytest.mark.tidemark_only
@pytest.mark.parametrize("date", ["17-Jul-1996 02:44:25 -0700", "01-Jan-2024 00:00:00 +1400"])
def test_the_zone_of_the_date_is_kept(c, date):
    c.okay('APPEND INBOX "%s" ' % date, Lit(MAIL))
    c.select()
    got = c.okay("FETCH 1 INTERNALDATE").one("FETCH").items["INTERNALDATE"].decode()
    assert got.lstrip(" 0") == date.lstrip(" 0")


def test_day_of_one_digit_is_padded_with_a_blank(c):
    """date-day-fixed = (SP DIGIT) / 2DIGIT, both ways."""
    c.okay('APPEND INBOX " 2-Jan-2022 03:04:05 +0000" ', Lit(MAIL))
    c.select()
    date = c.okay("FETCH 1 INTERNALDATE").one("FETCH").items["INTERNALDATE"]
    assert re.fullmatch(rb"[ 0-3]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}", date)
    assert date[:11] in (b" 2-Jan-2022", b"02-Jan-2022")


@pytest.mark.tidemark_only
def test_node_imaps_date_without_the_blank_is_taken(c):
    """IMAP.md section 10: "2-Jan-2022 ..." of one digit without the blank."""
    c.okay('APPEND INBOX "2-Jan-2022 03:04:05 +0000" ', Lit(MAIL))


@pytest.mark.parametrize("date", ["17-Foo-1996 02:44:25 -0700", "17-Jul-1996", "yesterday", "",
                                  "17-Jul-1996 02:44:25", "17-Jul-96 02:44:25 +0000"])
def test_a_broken_date_is_bad(c, date):
    assert c.cmd('APPEND INBOX "%s" ' % date, Lit(MAIL, plus=True)).bad
    assert c.okay("STATUS INBOX (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]


@pytest.mark.parametrize("date", ["31-Dec-1969 23:59:59 +0000", " 1-Jan-1970 00:00:00 +0000",
                                  "28-Feb-2038 12:00:00 +1400", "29-Feb-2024 12:00:00 -1200"])
@pytest.mark.tidemark_only
def test_far_dates(c, date):
    c.okay('APPEND INBOX "%s" ' % date, Lit(MAIL))
    c.select()
    got = c.okay("FETCH 1 INTERNALDATE").one("FETCH").items["INTERNALDATE"].decode()
    assert moment(got) == moment(date)


def moment(text):
    return datetime.datetime.strptime(text.strip(), "%d-%b-%Y %H:%M:%S %z")


def test_no_date_means_now(c):
    c.okay("APPEND INBOX ", Lit(MAIL))
    c.select()
    text = c.okay("FETCH 1 INTERNALDATE").one("FETCH").items["INTERNALDATE"].decode()
    age = datetime.datetime.now(datetime.timezone.utc) - moment(text)
    assert abs(age.total_seconds()) < 300


@pytest.mark.needs("UIDPLUS")
def test_appenduid(c):
    """RFC 4315 3: APPENDUID with the UIDVALIDITY and the UID given."""
    validity = c.okay("STATUS INBOX (UIDVALIDITY)").one("STATUS").values[1][1]
    for uid in (1, 2):
        r = c.okay("APPEND INBOX ", Lit(MAIL))
        assert r.code == "APPENDUID" and r.code_args == [validity, uid]


def test_to_a_missing_mailbox_is_trycreate_and_takes_no_literal(c):
    """IMAP.md section 8: NO at the literal's length, instead of "+"."""
    r = c.cmd("APPEND nowhere ", Lit(MAIL))
    assert r.no and r.code == "TRYCREATE"
    assert c.okay("NOOP")


def test_to_a_missing_mailbox_with_literal_plus_reads_the_literal_away(c):
    r = c.cmd("APPEND nowhere ", Lit(MAIL, plus=True))
    assert r.no and r.code == "TRYCREATE"
    assert c.okay("NOOP").ok


def test_append_to_the_selected_mailbox_announces_it(box):
    """6.3.11: ... the server SHOULD send EXISTS immediately; IMAP.md: before the tag."""
    c = box(1)
    r = c.okay("APPEND INBOX ", Lit(MAIL))
    assert r.one("EXISTS").number == 2


def test_append_elsewhere_says_nothing_of_the_selected(box):
    c = box(1)
    c.okay("CREATE other")
    assert not c.okay("APPEND other ", Lit(MAIL)).has("EXISTS")


def test_appended_is_recent(c):
    c.okay("APPEND INBOX ", Lit(MAIL))
    assert c.select().one("RECENT").number == 1


@pytest.mark.parametrize("flags", [r"(\Foo)", r"(\Recent)", "((a))", "(a", r"(\*)"])
def test_broken_flags_are_bad(c, flags):
    assert c.cmd("APPEND INBOX %s " % flags, Lit(MAIL, plus=True)).bad
    assert c.okay("NOOP")


def test_empty_flag_list(c):
    assert c.okay("APPEND INBOX () ", Lit(MAIL))


def test_append_of_nothing_is_refused(c):
    """RFC 3502 3: a literal of 0 octets (after MULTIAPPEND) stands for giving up: NO or BAD."""
    assert not c.cmd("APPEND INBOX ", Lit(b"", plus=True)).ok
    assert c.okay("STATUS INBOX (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]


@pytest.mark.tidemark_only
def test_nul_in_a_message_is_refused(c):
    """RFC 3501 9: CHAR8 is %x01-ff: a literal with NUL is no literal without BINARY."""
    r = c.cmd("APPEND INBOX ", Lit(b"Subject: x\r\n\r\na\0b\r\n", plus=True))
    assert not r.ok
    assert c.okay("STATUS INBOX (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]


@pytest.mark.parametrize("mail", [
    b"x", b"\r\n", b"Subject: only a header", b"Subject: x\r\n", b"no header at all\r\n",
    b"\r\nbody only\r\n", b"Subject: x\r\n\r\n" + bytes(range(1, 256)) * 4,
    b"Subject: x\r\n\r\nbare\nLF and bare\rCR\r\n", b"a" * 70000,
    b"X: " + b"y" * 5000 + b"\r\n\r\n" + b"z" * 100000])
@pytest.mark.tidemark_only
def test_any_bytes_come_back_as_they_went(c, mail):
    """Dovecot normalises line ends; Tidemark keeps every octet."""
    c.okay("APPEND INBOX ", Lit(mail))
    c.select()
    items = c.okay("FETCH 1 (BODY.PEEK[] RFC822.SIZE)").one("FETCH").items
    assert items["BODY[]"] == mail and items["RFC822.SIZE"] == len(mail)


@pytest.mark.parametrize("size", [1000, 65535, 65536, 65537, 131072, 131073, 1 << 20, 5 << 20])
def test_sizes_around_the_bounds_of_storage(c, size):
    body = (b"0123456789abcdef" * 4 + b"\r\n") * (size // 66 + 1)
    mail = (b"Subject: size\r\n\r\n" + body)[:size - 2] + b"\r\n"
    c.okay("APPEND INBOX ", Lit(mail))
    c.select()
    items = c.okay("FETCH 1 (BODY.PEEK[] RFC822.SIZE BODY.PEEK[]<%d.100>)"
                   % (size // 2)).one("FETCH").items
    assert items["BODY[]"] == mail and items["RFC822.SIZE"] == size
    assert items["BODY[]<%d>" % (size // 2)] == mail[size // 2:size // 2 + 100]


# --- MULTIAPPEND

@pytest.mark.needs("MULTIAPPEND")
def test_multiappend(c):
    mails = [simple_mail(subject="m%d" % i) for i in range(5)]
    parts = ["APPEND INBOX"]
    for i, m in enumerate(mails):
        parts += [r" (\Flagged) " if i % 2 else " ", Lit(m, plus=True)]
    r = c.okay(*parts)
    assert r.code == "APPENDUID"
    assert parse_set(r.code_args[1]) == [1, 2, 3, 4, 5]
    c.select()
    got = c.okay("FETCH 1:* (FLAGS BODY.PEEK[])").fetches()
    assert [i["BODY[]"] for _, i in got] == mails
    assert [r"\Flagged" in i["FLAGS"] for _, i in got] == [False, True, False, True, False]


@pytest.mark.needs("MULTIAPPEND")
def test_multiappend_with_synchronising_literals(c):
    r = c.okay("APPEND INBOX ", Lit(MAIL), " ", Lit(MAIL), r" (\Seen) ", Lit(MAIL))
    assert parse_set(r.code_args[1]) == [1, 2, 3]


@pytest.mark.needs("MULTIAPPEND")
def test_multiappend_is_all_or_nothing(c):
    """RFC 3502 1: if any of the messages fails, none is appended."""
    r = c.cmd("APPEND INBOX ", Lit(MAIL, plus=True), ' "broken date" ', Lit(MAIL, plus=True))
    assert not r.ok
    assert c.okay("STATUS INBOX (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]


@pytest.mark.needs("MULTIAPPEND")
def test_multiappend_broken_off_by_an_empty_literal(c):
    """RFC 3502 3: the client can cancel with a literal of zero."""
    r = c.cmd("APPEND INBOX ", Lit(MAIL, plus=True), " ", Lit(b"", plus=True))
    assert not r.ok
    assert c.okay("STATUS INBOX (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]


@pytest.mark.tidemark_only
def test_multiappend_beyond_savelimit(c):
    """RFC 9738: more than SAVELIMIT messages at once: NO [MESSAGELIMIT 1000]."""
    parts = ["APPEND INBOX"]
    for _ in range(1001):
        parts += [" ", Lit(b"Subject: x\r\n\r\n", plus=True)]
    r = c.cmd(*parts)
    assert r.no and r.code == "MESSAGELIMIT" and r.code_args[0] == 1000
    assert c.okay("STATUS INBOX (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]


@pytest.mark.tidemark_only
def test_multiappend_of_savelimit(c):
    """RFC 9738: SAVELIMIT=1000 promises that 1,000 messages go in at once."""
    parts = ["APPEND INBOX"]
    for _ in range(1000):
        parts += [" ", Lit(simple_mail(), plus=True)]
    r = c.okay(*parts)
    assert parse_set(r.code_args[1]) == list(range(1, 1001))


# --- APPENDLIMIT

def limit_of(c):
    for x in c.capabilities():
        if x.startswith("APPENDLIMIT="):
            return int(x.partition("=")[2])
    return None


@pytest.mark.tidemark_only
def test_appendlimit_is_advertised_and_in_status(c):
    """RFC 7889 2 and 3."""
    limit = limit_of(c)
    values = c.okay("STATUS INBOX (APPENDLIMIT)").one("STATUS").values[1]
    assert values[0] == "APPENDLIMIT" and values[1] == (limit or values[1]) and values[1] > 0


@pytest.mark.tidemark_only
def test_over_the_limit_is_toobig_before_the_literal(c):
    """RFC 7889 4: ... the server MUST reject with TOOBIG; a synchronising literal is not asked."""
    limit = limit_of(c) or c.okay("STATUS INBOX (APPENDLIMIT)").one("STATUS").values[1][1]
    tag = c.send("APPEND INBOX {%d}" % (limit + 1))
    r = c.wait(tag)
    assert r.no and r.code == "TOOBIG"
    assert c.okay("NOOP")


@pytest.mark.tidemark_only
def test_far_over_the_limit_with_literal_plus_is_bye(c):
    """IMAP.md section 8: beyond MESSAGE_MAX_BYTES nothing is read away: BYE [TOOBIG]."""
    c.send_raw(b"a APPEND INBOX {99999999999+}\r\n")
    c.pending.append(("a", "APPEND"))
    said = c.expect_closed()
    assert [(r.name, r.code) for r in said] == [("NO", "TOOBIG"), ("BYE", "TOOBIG")]


# --- literals

def test_no_plus_for_a_command_that_is_already_wrong(c):
    """6.3.11 and IMAP.md 8: no "+" for a command that is already rejected."""
    assert not c.cmd(r"APPEND INBOX (\Nonsense) ", Lit(MAIL)).ok
    assert c.okay("NOOP")


@pytest.mark.tidemark_only
def test_literal_minus_sized_and_plus_in_one_command(c):
    c.okay("CREATE ", Lit("lit"), "")
    assert c.cmd("RENAME ", Lit("lit", plus=True), " ", Lit("lot")).ok


def test_pipelined_appends_with_literal_plus(c):
    tags = [c.send("APPEND INBOX ", Lit(simple_mail(subject="p%d" % i), plus=True))
            for i in range(30)]
    for t in tags:
        assert c.wait(t).ok
    c.select()
    got = [i["ENVELOPE"][1] for _, i in c.okay("FETCH 1:* ENVELOPE").fetches()]
    assert got == [b"p%d" % i for i in range(30)]


def test_a_client_that_vanishes_inside_a_literal_leaves_nothing(connect, account):
    a = connect(account)
    a.send_raw(b"a APPEND INBOX {100000+}\r\n" + MAIL)
    a.close()
    b = connect(account)
    assert b.okay("STATUS INBOX (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]


def test_append_while_another_session_looks(pair):
    a, b = pair(0)
    b.okay("APPEND INBOX ", Lit(MAIL))
    r = a.okay("NOOP")
    assert r.one("EXISTS").number == 1
