"""Python's imaplib, as scripts use it."""
import imaplib
import ssl

import pytest

from mails import simple_mail


@pytest.fixture
def m(server, account):
    box = imaplib.IMAP4(server.host, server.ports["imap"])
    assert box.login(account.name, account.password)[0] == "OK"
    yield box
    box.logout()


def test_a_day_with_imaplib(m):
    assert m.select() == ("OK", [b"0"])
    for i in range(3):
        assert m.append("INBOX", r"(\Seen)" if i else None, None,
                        simple_mail(subject="s%d" % i))[0] == "OK"
    assert m.noop()[0] == "OK"
    assert m.search(None, "SUBJECT", '"s1"') == ("OK", [b"2"])
    ok, data = m.fetch("1:3", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert ok == "OK" and b"Subject: s0" in data[0][1]
    assert m.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert m.expunge() == ("OK", [b"1"])
    assert m.create("Sent")[0] == "OK"
    assert m.uid("COPY", "2:3", "Sent")[0] == "OK"
    assert m.list()[0] == "OK" and len(m.list()[1]) == 2
    assert m.status("Sent", "(MESSAGES)") == ("OK", [b"Sent (MESSAGES 2)"]) or \
        b"MESSAGES 2" in m.status("Sent", "(MESSAGES)")[1][0]
    assert m.close()[0] == "OK"


def test_imaplib_enable_and_authenticate(server, account):
    box = imaplib.IMAP4(server.host, server.ports["imap"])
    plain = "\0%s\0%s" % (account.name, account.password)
    assert box.authenticate("PLAIN", lambda _: plain.encode())[0] == "OK"
    assert box.enable("CONDSTORE")[0] == "OK"
    box.logout()


@pytest.mark.tidemark_only
def test_imaplib_starttls_and_ssl(server, account):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(server.path("ca.pem"))
    box = imaplib.IMAP4(server.host, server.ports["imap"])
    assert box.starttls(context)[0] == "OK"
    assert box.login(account.name, account.password)[0] == "OK"
    box.logout()
    box = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=context)
    assert box.login(account.name, account.password)[0] == "OK"
    box.logout()
