"""FETCH: every data item and form of RFC 3501 6.4.5 and 7.4.2."""
import re

import pytest

from imapc import Lit
from mails import crlf, simple_mail

MULTI = crlf(b"""From: "Smith, \\"J\\"" <j@example.org>
To: a@example.net, Group: b@example.net, c@example.net;, Empty:;
Cc: =?utf-8?Q?J=C3=B6rg?= <joerg@example.net>
Subject: parts
Date: Tue, 1 Apr 1997 10:00:00 +0200
Message-ID: <multi@example.org>
In-Reply-To: <earlier@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: text/plain; charset=UTF-8; format=flowed
Content-Language: en, de
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==

one
two
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain

plain
--inner
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable
Content-ID: <html@example.org>
Content-Description: the html

<p>=3D</p>
--inner--
--outer
Content-Type: message/rfc822

From: inner@example.org
Subject: inside
Content-Type: multipart/mixed; boundary=deep

--deep
Content-Type: application/octet-stream; name="a.bin"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="a.bin"
Content-Location: http://example.org/a

AAAA
--deep

just text
--deep--
--outer--
epilogue
""")


@pytest.fixture
def multi(c):
    c.okay("APPEND INBOX ", Lit(MULTI))
    c.select()
    return c


def item(c, what, seq=1):
    return c.okay("FETCH %d %s" % (seq, what)).one("FETCH").items


def body(c, section):
    items = item(c, "BODY.PEEK[%s]" % section)
    return items["BODY[%s]" % section.upper()]


def test_flags_uid_size_date(box):
    c = box(1)
    got = item(c, "(FLAGS UID RFC822.SIZE INTERNALDATE)")
    assert got["UID"] == 1 and got["FLAGS"] == [r"\Recent"]
    assert re.fullmatch(rb"[ 0-3]\d-\w{3}-\d{4} \d\d:\d\d:\d\d [-+]\d{4}", got["INTERNALDATE"])


@pytest.mark.parametrize("macro,names", [
    ("ALL", {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"}),
    ("FAST", {"FLAGS", "INTERNALDATE", "RFC822.SIZE"}),
    ("FULL", {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"})])
def test_macros(box, macro, names):
    assert names <= set(item(box(1), macro)) <= names | {"UID"}


def test_macros_do_not_go_into_lists(box):
    """6.4.5: a macro must be used by itself, and not in conjunction with other items."""
    c = box(1)
    assert c.cmd("FETCH 1 (ALL)").bad
    assert c.cmd("FETCH 1 (FLAGS FAST)").bad


def test_uid_fetch_has_uid_without_being_asked(box):
    c = box(2)
    assert c.okay("UID FETCH 2 FLAGS").one("FETCH").items["UID"] == 2


def test_uid_fetch_of_nothing_is_ok(box):
    assert box(1).okay("UID FETCH 77 FLAGS").fetches() == []


def test_fetch_beyond_the_end_is_an_error(box):
    c = box(2)
    assert not c.cmd("FETCH 3 FLAGS").ok
    assert not c.cmd("FETCH 1:5 FLAGS").ok


@pytest.mark.parametrize("seqs,wanted", [
    ("1", [1]), ("2:4", [2, 3, 4]), ("4:2", [2, 3, 4]), ("*", [6]), ("5:*", [5, 6]),
    ("*:5", [5, 6]), ("1,3,5", [1, 3, 5]), ("1:2,5:*", [1, 2, 5, 6]), ("3,1:4,2", [1, 2, 3, 4])])
def test_sets(box, seqs, wanted):
    got = [n for n, _ in box(6).okay("FETCH %s UID" % seqs).fetches()]
    assert sorted(got) == wanted and len(set(got)) == len(got)


@pytest.mark.parametrize("uids,wanted", [
    ("1:*", [1, 3, 5]), ("2", []), ("2:4", [3]), ("*", [5]), ("9:*", [5]), ("*:9", [5]),
    ("4294967295", []), ("1:4294967295", [1, 3, 5]), ("5,4,3,2,1", [1, 3, 5])])
def test_uid_sets(box, uids, wanted):
    c = box(5)
    c.okay(r"STORE 2,4 +FLAGS.SILENT (\Deleted)")
    c.okay("EXPUNGE")
    assert sorted(c.okay("UID FETCH %s FLAGS" % uids).by_uid()) == wanted


# --- ENVELOPE

def test_envelope(multi):
    e = item(multi, "ENVELOPE")["ENVELOPE"]
    assert e[0] == b"Tue, 1 Apr 1997 10:00:00 +0200"
    assert e[1] == b"parts"
    j = [[b'Smith, "J"', None, b"j", b"example.org"]]
    assert e[2] == j
    assert e[3] == j and e[4] == j  # sender and reply-to default to from
    assert e[5] == [[None, None, b"a", b"example.net"],
                    [None, None, b"Group", None], [None, None, b"b", b"example.net"],
                    [None, None, b"c", b"example.net"], [None, None, None, None],
                    [None, None, b"Empty", None], [None, None, None, None]]
    assert e[6] == [[b"=?utf-8?Q?J=C3=B6rg?=", None, b"joerg", b"example.net"]]
    assert e[7] is None
    assert e[8] == b"<earlier@example.org>" and e[9] == b"<multi@example.org>"


def test_envelope_of_no_header_at_all(c):
    c.okay("APPEND INBOX ", Lit(b"\r\nbody\r\n"))
    c.select()
    assert item(c, "ENVELOPE")["ENVELOPE"] == [None] * 10


def test_envelope_unfolds_and_takes_eight_bit_as_a_literal(c):
    mail = b"Subject: one\r\n\ttwo\r\nTo: J\xc3\xb6rg <j@example.org>\r\n\r\n"
    c.okay("APPEND INBOX ", Lit(mail))
    c.select()
    e = item(c, "ENVELOPE")["ENVELOPE"]
    assert e[1] in (b"one\ttwo", b"one two")
    assert e[5][0][2:] == [b"j", b"example.org"]


def test_a_missing_and_an_empty_header_differ(c):
    """7.4.2: absent fields are NIL; a present but empty Subject is the empty string."""
    c.okay("APPEND INBOX ", Lit(b"Subject: \r\nFrom: a@b.example\r\n\r\n"))
    c.okay("APPEND INBOX ", Lit(b"From: a@b.example\r\n\r\n"))
    c.select()
    assert item(c, "ENVELOPE", 1)["ENVELOPE"][1] == b""
    assert item(c, "ENVELOPE", 2)["ENVELOPE"][1] is None


# --- BODY and BODYSTRUCTURE

def test_bodystructure(multi):
    s = item(multi, "BODYSTRUCTURE")["BODYSTRUCTURE"]
    plain, alternative, message = s[:3]
    assert s[3].lower() == b"mixed" and s[4] == [b"boundary", b"outer"]
    assert [plain[0].lower(), plain[1].lower()] == [b"text", b"plain"]
    assert plain[2] == [b"charset", b"UTF-8", b"format", b"flowed"]
    assert plain[5].lower() == b"7bit" and plain[6] == len(b"one\r\ntwo") and plain[7] in (1, 2)
    assert plain[8] == b"Q2hlY2sgSW50ZWdyaXR5IQ==" and plain[10] == [b"en", b"de"]
    html = alternative[1]
    assert html[3] == b"<html@example.org>" and html[4] == b"the html"
    assert html[5].lower() == b"quoted-printable"
    assert [message[0].lower(), message[1].lower()] == [b"message", b"rfc822"]
    assert message[7][1] == b"inside"
    deep = message[8]
    assert deep[0][2] == [b"name", b"a.bin"]
    assert deep[0][8] == [b"attachment", [b"filename", b"a.bin"]]
    assert deep[0][10] == b"http://example.org/a"
    assert [deep[1][0].lower(), deep[1][1].lower()] == [b"text", b"plain"]


def test_body_is_bodystructure_without_extension_data(multi):
    """7.4.2: the non-extensible form of BODYSTRUCTURE."""
    b = item(multi, "BODY")["BODY"]
    assert b[3].lower() == b"mixed" and len(b) == 4
    assert len(b[0]) == 8 and len(b[2]) == 10


def test_default_types(c):
    """RFC 2045 5.2: text/plain us-ascii; RFC 2046 5.1.5: message/rfc822 in a digest."""
    mail = crlf(b"Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: in a digest\n\nhi"
                b"\n--x--\n")
    c.okay("APPEND INBOX ", Lit(b"Subject: plain\r\n\r\nbody\r\n"))
    c.okay("APPEND INBOX ", Lit(mail))
    c.select()
    s = item(c, "BODYSTRUCTURE", 1)["BODYSTRUCTURE"]
    assert [s[0].lower(), s[1].lower()] == [b"text", b"plain"]
    assert [x.lower() for x in s[2]] == [b"charset", b"us-ascii"]
    d = item(c, "BODYSTRUCTURE", 2)["BODYSTRUCTURE"]
    assert [d[0][0].lower(), d[0][1].lower()] == [b"message", b"rfc822"]


# --- BODY[section]

def test_whole_header_and_text(multi):
    head, _, rest = MULTI.partition(b"\r\n\r\n")
    assert body(multi, "") == MULTI
    assert body(multi, "HEADER") == head + b"\r\n\r\n"
    assert body(multi, "TEXT") == rest


def test_parts(multi):
    assert body(multi, "1") == b"one\r\ntwo"
    assert body(multi, "2.1") == b"plain"
    assert body(multi, "2.2") == b"<p>=3D</p>"
    assert body(multi, "3").startswith(b"From: inner@example.org\r\n")
    assert body(multi, "3.1") == b"AAAA"
    assert body(multi, "3.2") == b"just text"
    assert body(multi, "2").startswith(b"--inner\r\n")


def test_mime_headers_of_parts(multi):
    assert body(multi, "2.1.MIME") == b"Content-Type: text/plain\r\n\r\n"
    assert body(multi, "3.2.MIME") == b"\r\n"
    assert body(multi, "3.MIME") == b"Content-Type: message/rfc822\r\n\r\n"


def test_header_and_text_of_an_inner_message(multi):
    assert body(multi, "3.HEADER").startswith(b"From: inner@example.org\r\nSubject: inside\r\n")
    assert body(multi, "3.HEADER").endswith(b"\r\n\r\n")
    assert body(multi, "3.TEXT").startswith(b"--deep\r\n")
    assert body(multi, "3.HEADER") + body(multi, "3.TEXT") == body(multi, "3")
    assert body(multi, "3.HEADER.FIELDS (Subject)") == b"Subject: inside\r\n\r\n"
    assert b"Subject" not in body(multi, "3.HEADER.FIELDS.NOT (SUBJECT)")


@pytest.mark.parametrize("section", ["4", "1.1.1", "2.3", "3.3", "9.9.9", "1.2", "2.1.5"])
def test_parts_that_are_not_there_are_empty_or_nil(multi, section):
    got = body(multi, section)
    assert got in (None, b"")


def test_part_one_of_a_message_that_is_no_multipart(box):
    c = box(mails=[simple_mail(body="the text\r\n")])
    assert body(c, "1") == b"the text\r\n"
    assert body(c, "TEXT") == b"the text\r\n"


def test_header_fields(multi):
    assert body(multi, "HEADER.FIELDS (Subject)") == b"Subject: parts\r\n\r\n"
    got = body(multi, "HEADER.FIELDS (subject FROM x-none)")
    assert got == b'From: "Smith, \\"J\\"" <j@example.org>\r\nSubject: parts\r\n\r\n'
    assert body(multi, "HEADER.FIELDS (X-None)") == b"\r\n"


def test_header_fields_not(multi):
    got = body(multi, "HEADER.FIELDS.NOT (From To Cc Date Message-ID In-Reply-To MIME-Version "
                      "Content-Type)")
    assert got == b"Subject: parts\r\n\r\n"


def test_header_fields_keep_folding_and_repeats(c):
    mail = b"X-A: 1\r\n  folded\r\nX-B: 2\r\nx-a: 3\r\n\r\nbody"
    c.okay("APPEND INBOX ", Lit(mail))
    c.select()
    assert body(c, "HEADER.FIELDS (X-A)") == b"X-A: 1\r\n  folded\r\nx-a: 3\r\n\r\n"


def test_header_field_names_as_strings(multi):
    r = multi.okay('FETCH 1 BODY.PEEK[HEADER.FIELDS ("Subject" ', Lit("From", plus=True), ")]")
    items = r.one("FETCH").items
    assert list(items.values())[-1].startswith(b"From:")


def test_old_names(multi):
    """RFC822, RFC822.HEADER, RFC822.TEXT are BODY[], BODY.PEEK[HEADER], BODY[TEXT]."""
    head, _, rest = MULTI.partition(b"\r\n\r\n")
    got = item(multi, "(RFC822.HEADER)")
    assert got["RFC822.HEADER"] == head + b"\r\n\r\n"
    assert r"\Seen" not in item(multi, "FLAGS")["FLAGS"]
    assert item(multi, "RFC822.TEXT")["RFC822.TEXT"] == rest
    assert item(multi, "RFC822")["RFC822"] == MULTI


@pytest.mark.parametrize("start,length", [(0, 10), (5, 1), (0, 100000), (10, 100000), (100000, 5),
                                          (1, 4294967295), (4294967295, 1)])
def test_partial(multi, start, length):
    got = item(multi, "BODY.PEEK[]<%d.%d>" % (start, length))
    assert got["BODY[]<%d>" % start] == MULTI[start:start + length]


def test_partial_of_sections(multi):
    got = item(multi, "(BODY.PEEK[HEADER]<3.7> BODY.PEEK[2.2]<1.3> BODY.PEEK[3.TEXT]<2.4> "
                      "BODY.PEEK[HEADER.FIELDS (Subject)]<2.5>)")
    assert got["BODY[HEADER]<3>"] == MULTI[3:10]
    assert got["BODY[2.2]<1>"] == b"p>="
    assert got["BODY[3.TEXT]<2>"] == b"deep"
    assert got["BODY[HEADER.FIELDS (SUBJECT)]<2>"] == b"bject"


def test_a_mail_in_pieces_is_the_mail(multi):
    out = b""
    while True:
        piece = item(multi, "BODY.PEEK[]<%d.97>" % len(out))["BODY[]<%d>" % len(out)]
        out += piece
        if len(piece) < 97:
            break
    assert out == MULTI


# --- \Seen

@pytest.mark.parametrize("what", ["BODY[]", "BODY[TEXT]", "BODY[1]", "BODY[HEADER]", "RFC822",
                                  "RFC822.TEXT", "BODY[]<0.5>", "BODY[HEADER.FIELDS (Subject)]"])
def test_body_sets_seen_and_says_so(box, what):
    """6.4.5: if that causes the flags to change, they SHOULD be included in the response."""
    c = box(1)
    r = c.okay("FETCH 1 " + what)
    told = [i["FLAGS"] for _, i in r.fetches() if "FLAGS" in i]
    assert told and r"\Seen" in told[-1]
    assert r"\Seen" in item(c, "FLAGS")["FLAGS"]


@pytest.mark.parametrize("what", ["BODY.PEEK[]", "RFC822.HEADER", "ENVELOPE", "BODYSTRUCTURE",
                                  "BODY", "RFC822.SIZE", "BODY.PEEK[1]"])
def test_peeking_sets_nothing(box, what):
    c = box(1)
    c.okay("FETCH 1 " + what)
    assert r"\Seen" not in item(c, "FLAGS")["FLAGS"]


def test_flags_after_the_implicit_seen_are_the_new_ones(box):
    c = box(1)
    r = c.okay("FETCH 1 (FLAGS BODY[])")
    merged = [i["FLAGS"] for _, i in r.fetches() if "FLAGS" in i][-1]
    assert r"\Seen" in merged


def test_seen_already_is_not_told_again(box):
    c = box(1)
    c.okay(r"STORE 1 +FLAGS.SILENT (\Seen)")
    r = c.okay("FETCH 1 BODY[]")
    assert [i for _, i in r.fetches() if "FLAGS" in i] == []


# --- forms

def test_items_in_any_case_and_twice(box):
    c = box(1)
    got = item(c, "(fLaGs Uid)")
    assert set(got) == {"FLAGS", "UID"}
    r = c.cmd("FETCH 1 (UID UID)")
    assert r.status in ("OK", "BAD")


def test_many_messages_many_items(box):
    c = box(50)
    got = c.okay("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE "
                 "BODY.PEEK[HEADER.FIELDS (Subject)] BODY.PEEK[TEXT]<0.3>)").fetches()
    assert [n for n, _ in got] == list(range(1, 51))
    assert all(i["BODY[TEXT]<0>"] == b"Hel" for _, i in got)


def test_two_sections_in_one_fetch(multi):
    got = item(multi, "(BODY.PEEK[1] BODY.PEEK[2.1] BODY.PEEK[HEADER.FIELDS (To)])")
    assert got["BODY[1]"] == b"one\r\ntwo" and got["BODY[2.1]"] == b"plain"


def test_large_mail_comes_whole_while_another_client_works(connect, account, new_account):
    a = connect(account)
    big = simple_mail(body="".join("line %06d\r\n" % i for i in range(400000)))
    a.okay("APPEND INBOX ", Lit(big))
    a.select()
    tag = a.send("FETCH 1 BODY.PEEK[]")
    b = connect(new_account())
    assert b.okay("NOOP")
    assert a.wait(tag).one("FETCH").items["BODY[]"] == big


# --- OBJECTID, SAVEDATE

@pytest.mark.tidemark_only
def test_emailid_stays_with_a_copy(box):
    """RFC 8474 5: the same content through COPY and MOVE has the same EMAILID and THREADID."""
    c = box(2)
    c.okay("CREATE there")
    ids = [i["EMAILID"][0] for _, i in c.okay("FETCH 1:2 EMAILID").fetches()]
    threads = [i["THREADID"][0] for _, i in c.okay("FETCH 1:2 THREADID").fetches()]
    assert ids[0] != ids[1]
    c.okay("COPY 1 there")
    c.okay("MOVE 2 there")
    c.select("there")
    got = c.okay("FETCH 1:2 (EMAILID THREADID)").fetches()
    assert [i["EMAILID"][0] for _, i in got] == ids
    assert [i["THREADID"][0] for _, i in got] == threads


@pytest.mark.tidemark_only
def test_threadid_follows_references(c):
    """RFC 8474 5.2: messages of one conversation share it."""
    a = b"Message-ID: <a@x>\r\nSubject: hi\r\n\r\n"
    b = b"Message-ID: <b@x>\r\nIn-Reply-To: <a@x>\r\nSubject: Re: hi\r\n\r\n"
    d = b"Message-ID: <d@x>\r\nReferences: <a@x> <b@x>\r\nSubject: Re: hi\r\n\r\n"
    other = b"Message-ID: <other@x>\r\nSubject: hi\r\n\r\n"
    for m in (a, b, d, other):
        c.okay("APPEND INBOX ", Lit(m))
    c.select()
    ids = [i["THREADID"][0] for _, i in c.okay("FETCH 1:* THREADID").fetches()]
    assert ids[0] == ids[1] == ids[2] != ids[3]


@pytest.mark.tidemark_only
def test_search_by_emailid_and_threadid(box):
    c = box(3)
    i = c.okay("FETCH 2 (EMAILID THREADID)").one("FETCH").items
    assert c.okay("SEARCH EMAILID %s" % i["EMAILID"][0]).search() == [2]
    assert c.okay("SEARCH THREADID %s" % i["THREADID"][0]).search() == [2]
    assert c.okay("SEARCH EMAILID Mnone").search() == []


@pytest.mark.tidemark_only
def test_savedate(box):
    """RFC 8514 4.1: when the message came into this mailbox, also by COPY; not the internal date."""
    c = box(0)
    c.okay('APPEND INBOX "17-Jul-1996 02:44:25 -0700" ', Lit(simple_mail()))
    got = item(c, "(SAVEDATE INTERNALDATE)")
    assert got["SAVEDATE"] is not None and b"1996" not in got["SAVEDATE"]
    assert c.okay("SEARCH SAVEDSINCE 1-Jan-2020").search() == [1]
    assert c.okay("SEARCH SAVEDBEFORE 1-Jan-2020").search() == []
    assert c.okay("SEARCH SAVEDATESUPPORTED").search() == [1]
