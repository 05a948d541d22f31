"""LOGIN and AUTHENTICATE PLAIN as RFC 3501 6.2, RFC 4616, RFC 4959 and RFC 5530 say.

Other mechanisms: test_sasl.py. TLS: test_tls.py.
"""
import base64
import uuid

import pytest

from imapc import Lit, quote


def plain(user, password, authzid=""):
    return ("%s\0%s\0%s" % (authzid, user, password)).encode()


def test_login_quoted(connect, account):
    assert connect().cmd("LOGIN %s %s" % (quote(account.name), quote(account.password))).ok


def test_login_with_literals(connect, account):
    assert connect().cmd("LOGIN ", Lit(account.name), " ", Lit(account.password)).ok


def test_login_with_non_synchronising_literals(connect, account):
    c = connect()
    assert c.cmd("LOGIN ", Lit(account.name, plus=True), " ", Lit(account.password, plus=True)).ok


def test_wrong_password_is_authenticationfailed(connect, account):
    c = connect()
    r = c.cmd("LOGIN %s wrong" % account.name)
    assert r.no and r.code == "AUTHENTICATIONFAILED"
    assert c.cmd("SELECT INBOX").ok is False
    assert c.login(account.name, account.password)


@pytest.mark.tidemark_only
def test_unknown_user_is_answered_like_a_wrong_password(connect, account):
    """Nobody may learn from the answer which accounts exist."""
    a = connect().cmd("LOGIN %s wrong" % account.name)
    b = connect().cmd("LOGIN nobody-%s wrong" % uuid.uuid4().hex)
    assert (a.status, a.code, a.text) == (b.status, b.code, b.text)


@pytest.mark.parametrize("line", ["LOGIN", "LOGIN a", "LOGIN a b c", "LOGIN a (b)", "LOGIN  a b"])
def test_malformed_login_is_bad(connect, line):
    c = connect()
    assert c.cmd(line).bad
    assert c.okay("NOOP")


def test_empty_password_is_no(connect, account):
    assert connect().cmd('LOGIN %s ""' % account.name).no


def test_plain_in_two_steps(connect, account):
    r = connect().authenticate("PLAIN", plain(account.name, account.password))
    assert r.ok, r


@pytest.mark.needs("SASL-IR")
def test_plain_with_initial_response(connect, account):
    r = connect().authenticate("PLAIN", initial=plain(account.name, account.password))
    assert r.ok, r


def test_plain_with_own_authzid(connect, account):
    r = connect().authenticate("PLAIN", plain(account.name, account.password, account.name))
    assert r.ok, r


@pytest.mark.tidemark_only
def test_plain_with_foreign_authzid_is_refused(connect, account, new_account):
    other = new_account()
    r = connect().authenticate("PLAIN", plain(account.name, account.password, other.name))
    assert r.no and r.code in ("AUTHORIZATIONFAILED", "AUTHENTICATIONFAILED")


def test_plain_wrong_password(connect, account):
    r = connect().authenticate("PLAIN", plain(account.name, "wrong"))
    assert r.no and r.code == "AUTHENTICATIONFAILED"


def test_authenticate_cancelled_with_a_star_is_bad(connect, account):
    """6.2.2: a single "*" cancels: the server MUST reject with a tagged BAD."""
    c = connect()
    assert c.authenticate("PLAIN", b"*").bad
    assert c.login(account.name, account.password)


@pytest.mark.parametrize("junk", [b"!!!", b"AGE", b"====", b"AAAA AAAA"])
def test_broken_base64_is_refused(connect, account, junk):
    c = connect()
    tag = c.send("AUTHENTICATE PLAIN")
    assert c.wait_plus(tag)
    c.send_raw(junk + b"\r\n")
    assert not c.wait(tag).ok
    assert c.login(account.name, account.password)


@pytest.mark.parametrize("message", [b"", b"a", b"\0a", b"\0\0", b"a\0b\0c\0d", b"\0user\0"])
def test_broken_plain_messages_are_refused(connect, message):
    c = connect()
    r = c.authenticate("PLAIN", message)
    assert not r.ok
    assert c.okay("NOOP")


def test_unknown_mechanism_is_no(connect):
    """6.2.2: unsupported authentication mechanism is NO."""
    assert connect().cmd("AUTHENTICATE X-UNKNOWN").no


def test_initial_response_with_equals_sign_is_empty(connect):
    """RFC 4959: "=" is an initial response of no bytes, which PLAIN refuses."""
    c = connect()
    assert not c.cmd("AUTHENTICATE PLAIN =").ok
    assert c.okay("NOOP")


@pytest.mark.tidemark_only
def test_account_names_know_no_case(connect, account):
    """DESIGN.md section 1: an account's name is compared in lower case."""
    assert connect().cmd("LOGIN %s %s" % (account.name.upper(), account.password)).ok


@pytest.mark.tidemark_only
def test_password_may_hold_any_utf8(connect, admin):
    name, password = "u" + uuid.uuid4().hex, 'pä"ss\\wörd ☃'
    admin.add(name, password)
    assert connect().cmd("LOGIN %s " % name, Lit(password.encode(), plus=True)).ok
    assert connect().authenticate("PLAIN", plain(name, password)).ok


def test_long_credentials_are_refused_not_swallowed(connect):
    c = connect()
    r = c.cmd("LOGIN ", Lit(b"u" * 5000, plus=True), " ", Lit(b"p" * 5000, plus=True))
    assert not r.ok
    assert c.okay("NOOP")


def test_login_as_seen_with_line_of_base64_that_is_too_long(connect):
    c = connect()
    tag = c.send("AUTHENTICATE PLAIN")
    assert c.wait_plus(tag)
    c.send_raw(base64.b64encode(b"\0u\0" + b"p" * 3000) + b"\r\n")
    assert not c.wait(tag).ok
