"""FETCH on real and broken mails (tests/mail): laws that hold for every mail, and the expected.

The laws need no reference: what RFC 3501 says of sections, sizes and lines must agree with
itself and with the bytes that were stored. tests/mail/expected.json holds, beside them, what
ENVELOPE and BODYSTRUCTURE are; it was made by `expected.py` and then judged mail by mail.
"""
import json
import os
import random

import pytest

import mails
from imapc import Lit
from structure import tree

NAMES = mails.all_names()
EXPECTED = os.path.join(mails.FOLDER, "expected.json")


@pytest.fixture
def stored(c):
    def put(name):
        data = mails.load(name)
        c.okay("APPEND INBOX ", Lit(data, plus=True))
        c.select()
        return c, data
    return put


def sections(c, names):
    """BODY.PEEK of many sections at once -> {name: bytes}"""
    out = {}
    for at in range(0, len(names), 50):
        part = names[at:at + 50]
        items = c.okay("FETCH 1 (%s)" % " ".join("BODY.PEEK[%s]" % n for n in part))
        items = items.one("FETCH").items
        for n in part:
            out[n] = items["BODY[%s]" % n.upper()] or b""
    return out


def line_count(data):
    """Lines of a body as BODYSTRUCTURE counts them: an unfinished last line may count or not."""
    n = data.count(b"\n")
    return (n, n + 1) if data and not data.endswith(b"\n") else (n,)


@pytest.mark.parametrize("name", NAMES)
def test_bytes(stored, name):
    c, data = stored(name)
    got = c.okay("FETCH 1 (BODY.PEEK[] RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE "
                 "BODY.PEEK[HEADER] BODY.PEEK[TEXT])")
    items = {}
    for _, i in got.fetches():
        items.update(i)
    assert items["BODY[]"] == data and items["RFC822"] == data
    assert items["RFC822.SIZE"] == len(data)
    assert items["BODY[HEADER]"] + items["BODY[TEXT]"] == data
    assert items["RFC822.HEADER"] == items["BODY[HEADER]"]
    assert items["RFC822.TEXT"] == items["BODY[TEXT]"]


@pytest.mark.parametrize("name", NAMES)
def test_parts_agree_with_bodystructure(stored, name):
    c, data = stored(name)
    top = tree(c.okay("FETCH 1 BODYSTRUCTURE").one("FETCH").items["BODYSTRUCTURE"])
    leaves = top.leaves()
    one = len(list(top.walk())) == 1
    got = sections(c, [p.section for p in leaves] +
                   ([] if one else [p.section + ".MIME" for p in leaves]))
    for p in leaves:
        content = got[p.section]
        assert len(content) == p.octets, p.section
        assert content in data
        if p.lines is not None:
            assert p.lines in line_count(content), (p.section, content[-80:])
        mime = got.get(p.section + ".MIME")
        if mime and not p.section.endswith(".1"):
            assert mime + content in data, p.section


@pytest.mark.parametrize("name", NAMES)
def test_inner_messages(stored, name):
    c, _ = stored(name)
    top = tree(c.okay("FETCH 1 BODYSTRUCTURE").one("FETCH").items["BODYSTRUCTURE"])
    inner = [p.section for p in top.walk() if not p.multipart and p.inner is not None]
    if not inner or top.type == "message/rfc822":
        return
    wanted = [s + x for s in inner for x in ("", ".HEADER", ".TEXT")]
    got = sections(c, wanted)
    for s in inner:
        assert got[s + ".HEADER"] + got[s + ".TEXT"] == got[s]


@pytest.mark.parametrize("name", NAMES)
def test_body_is_a_shorter_bodystructure(stored, name):
    c, _ = stored(name)
    items = c.okay("FETCH 1 (BODY BODYSTRUCTURE)").one("FETCH").items
    assert_prefix(items["BODY"], items["BODYSTRUCTURE"])


def assert_prefix(short, long):
    if isinstance(short, list) and short and isinstance(short[0], list):
        n = sum(1 for _ in short) - 1
        for a, b in zip(short[:n], long[:n]):
            assert_prefix(a, b)
        assert short[n] == long[n]
        return
    if short[0].lower() == b"message" and short[1].lower() == b"rfc822":
        assert short[:8] == long[:8] and short[9] == long[9]
        assert_prefix(short[8], long[8])
        return
    assert short == long[:len(short)]


@pytest.mark.parametrize("name", NAMES)
def test_header_fields_and_their_complement(stored, name):
    """Every header line is in FIELDS (x) or in FIELDS.NOT (x), never in both."""
    c, data = stored(name)
    wanted = "(From To Subject Content-Type Received X-Mailer)"
    got = sections(c, ["HEADER", "HEADER.FIELDS " + wanted, "HEADER.FIELDS.NOT " + wanted])
    header, yes, no = got.values()
    assert yes.endswith(b"\r\n") and no.endswith(b"\r\n")
    lines = sorted(x for x in header.split(b"\r\n") if x)
    both = sorted(x for x in (yes + no).split(b"\r\n") if x)
    assert len(both) <= len(lines) and set(both) <= set(lines)


@pytest.mark.parametrize("name", NAMES)
def test_partials(stored, name):
    c, data = stored(name)
    rng = random.Random(name)
    spans = [(rng.randrange(len(data) + 10), rng.randrange(1, 3000)) for _ in range(10)]
    spans = list({s: (s, n) for s, n in spans}.values())
    items = c.okay("FETCH 1 (%s)" % " ".join("BODY.PEEK[]<%d.%d>" % s for s in spans))
    items = items.one("FETCH").items
    for start, length in spans:
        assert items["BODY[]<%d>" % start] == data[start:start + length]


def load_expected():
    if not os.path.exists(EXPECTED):
        return {}
    with open(EXPECTED) as f:
        return json.load(f)


@pytest.mark.parametrize("name", NAMES)
def test_envelope_and_structure_as_expected(stored, name):
    from expected import describe
    want = load_expected().get(name)
    if want is None:
        pytest.skip("no expectation")
    c, _ = stored(name)
    got = describe(c)
    for key in want:
        assert got[key] == want[key], key
