"""SEARCH: RFC 3501 6.4.4 (every key, CHARSET), ESEARCH 4731, SEARCHRES 5182, WITHIN 5032."""
import datetime

import pytest

from imapc import Lit, parse_set
from mails import crlf, load, simple_mail


@pytest.fixture
def six(c):
    """Six mails that differ in what the keys look at."""
    def put(flags, date, mail):
        c.okay('APPEND INBOX (%s) "%s" ' % (flags, date), Lit(mail))
    put(r"\Seen", " 1-Feb-1994 12:00:00 +0000", simple_mail(
        subject="first apple", body="red fruit\r\n", date="Tue, 1 Feb 1994 12:00:00 +0000"))
    put(r"\Answered kw", " 2-Feb-1994 12:00:00 +0000", simple_mail(
        subject="Second", body="Yellow BANANA\r\n", sender="Fred <fred@b.example>",
        date="Wed, 2 Feb 1994 12:00:00 +0000"))
    put(r"\Flagged", " 3-Feb-1994 12:00:00 +0000", simple_mail(
        subject="third", to="carol@c.example", extra="Cc: dave@d.example\r\nX-Odd: v1\r\n",
        date="Sat, 1 Jan 2000 00:00:00 +0000"))
    put(r"\Deleted \Seen", " 4-Feb-1994 12:00:00 +0000", simple_mail(
        subject="fourth", extra="Bcc: eve@e.example\r\n", body="x" * 3000 + "\r\n"))
    put(r"\Draft", " 5-Feb-1994 12:00:00 +0000", simple_mail(subject="fifth", extra="X-Odd: \r\n"))
    put("", " 6-Feb-1994 23:59:59 +0000", simple_mail(subject="sixth apple"))
    c.select()
    return c


@pytest.mark.parametrize("key,wanted", [
    ("ALL", [1, 2, 3, 4, 5, 6]),
    ("ANSWERED", [2]), ("UNANSWERED", [1, 3, 4, 5, 6]),
    ("FLAGGED", [3]), ("UNFLAGGED", [1, 2, 4, 5, 6]),
    ("DELETED", [4]), ("UNDELETED", [1, 2, 3, 5, 6]),
    ("SEEN", [1, 4]), ("UNSEEN", [2, 3, 5, 6]),
    ("DRAFT", [5]), ("UNDRAFT", [1, 2, 3, 4, 6]),
    ("KEYWORD kw", [2]), ("UNKEYWORD kw", [1, 3, 4, 5, 6]), ("KEYWORD none", []),
    ("RECENT", [1, 2, 3, 4, 5, 6]), ("NEW", [2, 3, 5, 6]), ("OLD", []),
    ("1", [1]), ("2:4", [2, 3, 4]), ("*", [6]), ("5:*", [5, 6]), ("1,6", [1, 6]),
    ("UID 2:3", [2, 3]), ("UID *", [6]), ("UID 7:*", [6]), ("UID 100", []),
    ("BEFORE 3-Feb-1994", [1, 2]), ("ON 3-Feb-1994", [3]), ("SINCE 5-Feb-1994", [5, 6]),
    ("BEFORE 03-Feb-1994", [1, 2]), ('ON "3-Feb-1994"', [3]),
    ("ON 6-Feb-1994", [6]),
    ("SENTBEFORE 2-Feb-1994", [1]), ("SENTON 2-Feb-1994", [2]), ("SENTSINCE 1-Jan-2000", [3]),
    ("LARGER 3000", [4]), ("SMALLER 3000", [1, 2, 3, 5, 6]), ("LARGER 4294967295", []),
    ("FROM fred", [2]), ("FROM Fred", [2]), ("FROM b.example", [2]), ("FROM nobody", []),
    ("TO carol", [3]), ("CC dave", [3]), ("BCC eve", [4]),
    ("SUBJECT apple", [1, 6]), ("SUBJECT APPLE", [1, 6]), ('SUBJECT "first apple"', [1]),
    ('SUBJECT ""', [1, 2, 3, 4, 5, 6]),
    ("BODY banana", [2]), ("BODY apple", []), ("TEXT banana", [2]), ("TEXT apple", [1, 6]),
    ("HEADER X-Odd v1", [3]), ('HEADER X-Odd ""', [3, 5]), ("HEADER Subject fifth", [5]),
    ("HEADER X-None v", []), ('HEADER X-None ""', []),
    ("NOT SEEN", [2, 3, 5, 6]), ("NOT NOT SEEN", [1, 4]), ("OR SEEN FLAGGED", [1, 3, 4]),
    ("SEEN DELETED", [4]), ("SEEN NOT DELETED", [1]), ("(SEEN DELETED)", [4]),
    ("OR (SEEN DELETED) (UNSEEN FLAGGED)", [3, 4]), ("NOT (OR SEEN ANSWERED)", [3, 5, 6]),
    ("OR OR SEEN ANSWERED OR FLAGGED DRAFT", [1, 2, 3, 4, 5]), ("(((ALL)))", [1, 2, 3, 4, 5, 6]),
    ("1:3 SEEN", [1]), ("NOT 1:3", [4, 5, 6]), ("or seen flagged", [1, 3, 4]),
    ("SUBJECT apple SEEN", [1]), ("UNSEEN SUBJECT apple", [6]),
])
def test_keys(six, key, wanted):
    assert sorted(six.okay("SEARCH " + key).search()) == wanted


def test_uid_search_gives_uids(six):
    six.okay(r"UID EXPUNGE 4")
    assert six.okay("SEARCH SUBJECT sixth").search() == [5]
    assert six.okay("UID SEARCH SUBJECT sixth").search() == [6]
    assert six.okay("UID SEARCH 4:5").search() == [5, 6]


def test_no_hit_is_an_empty_search_response(six):
    """7.2.5: the SEARCH response is sent with no numbers."""
    assert six.okay("SEARCH SUBJECT nothing").one("SEARCH").values == []


def test_in_an_empty_mailbox(box):
    c = box(0)
    assert c.okay("SEARCH ALL").search() == []
    assert c.okay("UID SEARCH UID 1:*").search() == []


def test_literal_arguments(six):
    assert six.okay("SEARCH SUBJECT ", Lit("apple")).search() == [1, 6]
    assert six.okay("SEARCH SUBJECT ", Lit("apple", plus=True), " SEEN").search() == [1]


def test_numbers_beyond_the_mailbox(six):
    """6.4.4 and IMAP.md: a number above EXISTS is an error or finds nothing; never a crash."""
    r = six.cmd("SEARCH 7")
    assert r.bad or r.no or r.search() == []
    r = six.cmd("SEARCH 1:4294967295")
    assert not r.ok or r.search() == [1, 2, 3, 4, 5, 6]


@pytest.mark.tidemark_only
def test_dates_disregard_time_and_zone(c):
    """6.4.4: ON, BEFORE, SINCE look at the date as it is written, disregarding its zone."""
    for date in ("31-Dec-1999 23:30:00 -0800", " 1-Jan-2000 00:30:00 +1000"):
        c.okay('APPEND INBOX "%s" ' % date, Lit(simple_mail()))
    c.select()
    assert c.okay("SEARCH ON 31-Dec-1999").search() == [1]
    assert c.okay("SEARCH ON 1-Jan-2000").search() == [2]
    assert c.okay("SEARCH BEFORE 1-Jan-2000").search() == [1]
    assert c.okay("SEARCH SINCE 1-Jan-2000").search() == [2]


# --- texts

def put(c, *mails):
    for m in mails:
        c.okay("APPEND INBOX ", Lit(m))
    c.select()


UTF8_MAIL = ("From: =?utf-8?B?SsO2cmc=?= <j@example.org>\r\n"
             "Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus?= =?utf-8?Q?_K=C3=B6ln?=\r\n"
             "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
             "Content-Transfer-Encoding: 8bit\r\n\r\nStraße nach Ὀδυσσεύς\r\n").encode()
QP_MAIL = (b"Subject: coded\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=iso-8859-1\r\n"
           b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
           b"<p>sch=F6ne lan=\r\nge Zeile</p>\r\n")
B64_MAIL = (b"Subject: coded too\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=koi8-r\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n8NLJ18XU\r\n")  # "Привет"


@pytest.mark.parametrize("key,arg,wanted", [
    ("SUBJECT", "Grüße", [1]), ("SUBJECT", "grüsse", [1]), ("SUBJECT", "KÖLN", [1]),
    ("FROM", "Jörg", [1]), ("FROM", "jörg", [1]), ("TEXT", "köln", [1]),
    ("BODY", "Straße", [1]), ("BODY", "ὀδυσσεύς", [1]), ("BODY", "schöne", [2]),
    ("BODY", "lange Zeile", [2]), ("BODY", "Привет", [3]), ("BODY", "привет", [3]),
    ("HEADER Subject", "aus Köln", [1])])
def test_utf8_and_decoding(c, key, arg, wanted):
    """6.4.4: the server decodes encoded words and text parts before it compares."""
    put(c, UTF8_MAIL, QP_MAIL, B64_MAIL)
    got = c.okay("SEARCH CHARSET UTF-8 %s " % key, Lit(arg, plus=True)).search()
    if arg == "grüsse":
        assert got in ([], wanted)  # ß folds to ss in some casefoldings
    else:
        assert got == wanted


@pytest.mark.parametrize("charset", ["US-ASCII", "UTF-8", "utf-8", "ISO-8859-1", "iso-8859-15",
                                     "WINDOWS-1252", "KOI8-R", "Shift_JIS", "GB2312",
                                     '"ISO-8859-2"'])
def test_charsets_that_are_known(six, charset):
    assert six.okay("SEARCH CHARSET %s SUBJECT apple" % charset).search() == [1, 6]


@pytest.mark.parametrize("charset,arg", [("ISO-8859-1", "Köln".encode("latin-1")),
                                         ("ISO-8859-15", "Köln".encode("latin-1")),
                                         ("UTF-8", "Köln".encode())])
def test_argument_in_another_charset(c, charset, arg):
    put(c, UTF8_MAIL, QP_MAIL)
    assert c.okay("SEARCH CHARSET %s SUBJECT " % charset, Lit(arg, plus=True)).search() == [1]


def test_argument_in_koi8(c):
    put(c, B64_MAIL)
    arg = "Привет".encode("koi8-r")
    assert c.okay("SEARCH CHARSET KOI8-R BODY ", Lit(arg, plus=True)).search() == [1]


def test_unknown_charset_is_badcharset(six):
    """6.4.4: a tagged NO with BADCHARSET, which SHOULD list what is supported."""
    r = six.cmd("SEARCH CHARSET X-NONSENSE SUBJECT apple")
    assert r.no and r.code == "BADCHARSET"


def test_bytes_that_are_not_of_the_charset(six):
    r = six.cmd("SEARCH CHARSET UTF-8 SUBJECT ", Lit(b"\xff\xfe", plus=True))
    assert not r.ok or r.search() == []
    assert six.okay("NOOP")


def test_attachments_are_not_searched_as_their_coding(c):
    mail = crlf(b"""MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

visible words
--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

c2VjcmV0IHdvcmRz
--b--
""")
    put(c, mail)
    assert c.okay("SEARCH BODY visible").search() == [1]
    assert c.okay('SEARCH BODY "secret words"').search() == [1]


def test_text_over_the_seam_of_lines_and_parts(c):
    """A word is not found across two parts, but is across a soft line break."""
    put(c, QP_MAIL)
    assert c.okay("SEARCH BODY lange").search() == [1]
    assert c.okay('SEARCH BODY "zeile</p>subject"').search() == []


def test_japanese(c):
    put(c, load("multi_charset/japanese.eml"))
    subject = "日本語"
    r = c.okay("SEARCH CHARSET UTF-8 TEXT ", Lit(subject, plus=True))
    assert r.search() in ([1], [])


def test_header_search_sees_folded_lines_as_one(c):
    put(c, b"Subject: a long\r\n subject line\r\n\r\nx\r\n")
    assert c.okay('SEARCH SUBJECT "long subject"').search() == [1]


# --- ESEARCH

@pytest.mark.needs("ESEARCH")
@pytest.mark.parametrize("options,key,wanted", [
    ("MIN", "ALL", {"MIN": 1}), ("MAX", "ALL", {"MAX": 6}), ("COUNT", "SEEN", {"COUNT": 2}),
    ("ALL", "SEEN", {"ALL": [1, 4]}), ("MIN MAX COUNT ALL", "UNSEEN",
                                       {"MIN": 2, "MAX": 6, "COUNT": 4, "ALL": [2, 3, 5, 6]}),
    ("", "SEEN", {"ALL": [1, 4]}), ("COUNT", "SUBJECT none", {"COUNT": 0}),
    ("MIN MAX", "SUBJECT none", {}), ("ALL", "SUBJECT none", {}), ("ALL COUNT", "SUBJECT none",
                                                                   {"COUNT": 0})])
def test_esearch(six, options, key, wanted):
    """RFC 4731 3.1: MIN, MAX and ALL are left out if nothing matched; COUNT never is."""
    tag, uid, got = six.okay("SEARCH RETURN (%s) %s" % (options, key)).esearch()
    if "ALL" in got:
        got["ALL"] = parse_set(got["ALL"])
    assert got == wanted and uid is False
    assert tag == "t%d" % six.tags


@pytest.mark.needs("ESEARCH")
def test_uid_esearch_says_uid(six):
    _, uid, got = six.okay("UID SEARCH RETURN (MIN COUNT) ALL").esearch()
    assert uid is True and got == {"MIN": 1, "COUNT": 6}


@pytest.mark.needs("ESEARCH")
def test_esearch_replaces_search(six):
    r = six.okay("SEARCH RETURN (ALL) ALL")
    assert not r.has("SEARCH") and r.has("ESEARCH")
    assert six.okay("SEARCH ALL").has("SEARCH")


@pytest.mark.needs("ESEARCH")
def test_esearch_all_is_compact(six):
    values = six.okay("SEARCH RETURN (ALL) ALL").one("ESEARCH").raw
    assert b"1:6" in values


@pytest.mark.needs("ESEARCH")
def test_esearch_with_charset(six):
    r = six.okay("SEARCH RETURN (COUNT) CHARSET UTF-8 SUBJECT apple")
    assert r.esearch()[2] == {"COUNT": 2}


@pytest.mark.needs("ESEARCH")
def test_esearch_unknown_option_is_bad(six):
    assert six.cmd("SEARCH RETURN (XYZZY) ALL").bad
    assert six.cmd("SEARCH RETURN ALL").bad


# --- SEARCHRES

@pytest.mark.needs("SEARCHRES")
def test_save_and_use(six):
    """RFC 5182 2: SAVE keeps the result, $ stands for it in FETCH, STORE, COPY, SEARCH, MOVE."""
    r = six.okay("SEARCH RETURN (SAVE) SUBJECT apple")
    assert not r.has("SEARCH") and not r.has("ESEARCH")
    assert [n for n, _ in six.okay("FETCH $ UID").fetches()] == [1, 6]
    assert sorted(six.okay("UID FETCH $ FLAGS").by_uid()) == [1, 6]
    assert six.okay("SEARCH $ SEEN").search() == [1]
    assert six.okay("UID SEARCH UID $").search() == [1, 6]
    six.okay(r"STORE $ +FLAGS.SILENT (\Flagged)")
    assert six.okay("SEARCH FLAGGED").search() == [1, 3, 6]


@pytest.mark.needs("SEARCHRES")
def test_save_with_other_options(six):
    r = six.okay("SEARCH RETURN (SAVE COUNT ALL) SUBJECT apple")
    got = r.esearch()[2]
    assert got["COUNT"] == 2 and parse_set(got["ALL"]) == [1, 6]
    assert [n for n, _ in six.okay("FETCH $ UID").fetches()] == [1, 6]


@pytest.mark.needs("SEARCHRES")
@pytest.mark.parametrize("options,wanted", [("SAVE MIN", [2]), ("SAVE MAX", [6]),
                                            ("SAVE MIN MAX", [2, 6]),
                                            ("SAVE MIN COUNT", [2, 3, 5, 6]),
                                            ("SAVE COUNT", [2, 3, 5, 6])])
def test_save_with_min_and_max(six, options, wanted):
    """RFC 5182 2.4: with MIN or MAX alone only those are saved."""
    six.okay("SEARCH RETURN (%s) UNSEEN" % options)
    assert [n for n, _ in six.okay("FETCH $ UID").fetches()] == wanted


@pytest.mark.needs("SEARCHRES")
def test_dollar_is_empty_at_first_and_after_select(six):
    """RFC 5182 2.1: SELECT and EXAMINE reset it; empty $ is no error."""
    assert six.okay("FETCH $ UID").fetches() == []
    six.okay("SEARCH RETURN (SAVE) ALL")
    six.select()
    assert six.okay("FETCH $ UID").fetches() == []
    assert six.okay(r"STORE $ +FLAGS (\Seen)").fetches() == []
    assert six.okay("SEARCH $").search() == []


@pytest.mark.needs("SEARCHRES")
def test_dollar_after_a_failed_search_is_empty(six):
    """RFC 5182 2.1: a SEARCH with SAVE that is answered NO empties it; BAD leaves it."""
    six.okay("SEARCH RETURN (SAVE) ALL")
    assert six.cmd("SEARCH RETURN (SAVE) CHARSET X-NONE SUBJECT a").no
    assert six.okay("FETCH $ UID").fetches() == []


@pytest.mark.needs("SEARCHRES")
def test_bad_search_leaves_dollar(six):
    six.okay("SEARCH RETURN (SAVE) 1:2")
    assert six.cmd("SEARCH RETURN (SAVE) XYZZY").bad
    assert len(six.okay("FETCH $ UID").fetches()) == 2


@pytest.mark.needs("SEARCHRES")
def test_expunged_messages_leave_dollar(six):
    """RFC 5182 2.1: if a message is expunged, it is removed from $."""
    six.okay("SEARCH RETURN (SAVE) 3:5")
    six.okay("EXPUNGE")  # number 4
    assert [i["UID"] for _, i in six.okay("FETCH $ UID").fetches()] == [3, 5]


@pytest.mark.needs("SEARCHRES")
def test_pipelined_save_and_use(six):
    """RFC 5182 2.2: $ may be used at once, without waiting for the search."""
    a = six.send("SEARCH RETURN (SAVE) SUBJECT apple")
    b = six.send("FETCH $ UID")
    assert six.wait(a).ok
    assert [n for n, _ in six.wait(b).fetches()] == [1, 6]


@pytest.mark.needs("SEARCHRES")
def test_copy_and_move_of_dollar(six):
    six.okay("CREATE t")
    six.okay("SEARCH RETURN (SAVE) SUBJECT apple")
    six.okay("COPY $ t")
    assert six.okay("STATUS t (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 2]
    six.okay("UID MOVE $ t")
    assert six.okay("SEARCH SUBJECT apple").search() == []


# --- WITHIN

@pytest.mark.needs("WITHIN")
def test_older_younger(c):
    """RFC 5032: by internal date, in seconds before now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    for seconds in (10, 3600, 86400):
        when = now - datetime.timedelta(seconds=seconds)
        c.okay('APPEND INBOX "%s" ' % when.strftime("%d-%b-%Y %H:%M:%S +0000"),
               Lit(simple_mail()))
    c.select()
    assert c.okay("SEARCH YOUNGER 1800").search() == [1]
    assert c.okay("SEARCH OLDER 1800").search() == [2, 3]
    assert c.okay("SEARCH OLDER 1800 YOUNGER 7200").search() == [2]
    assert c.okay("SEARCH NOT YOUNGER 40000").search() == [3]


@pytest.mark.needs("WITHIN")
@pytest.mark.parametrize("key", ["YOUNGER 0", "OLDER -1", "YOUNGER x", "OLDER"])
def test_within_wants_a_number_above_zero(six, key):
    assert six.cmd("SEARCH " + key).bad


# --- bounds

def nested(n):
    return "(" * n + "ALL" + ")" * n


@pytest.mark.tidemark_only
def test_nesting_is_bounded_politely(six):
    assert six.okay("SEARCH " + nested(20)).search() == [1, 2, 3, 4, 5, 6]
    r = six.cmd("SEARCH " + nested(5000))
    assert not r.ok
    r = six.cmd("SEARCH " + "NOT " * 5000 + "ALL")
    assert not r.ok
    assert six.okay("NOOP")


def test_many_keys(six):
    assert six.okay("SEARCH " + "ALL " * 500 + "SEEN").search() == [1, 4]
