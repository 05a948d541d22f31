"""curl: read, list, search, append, flag."""
import pytest

from imapc import utf7
from mails import simple_mail
from programs import need, run


@pytest.fixture
def curl(server, account):
    need("curl")

    def call(path, *args):
        return run("curl", "-sS", "--max-time", 60, "-u", "%s:%s" % (account.name, account.password),
                   "imap://%s:%d/%s" % (server.host, server.ports["imap"], path), *args)
    return call


def test_curl_reads_a_mail_as_it_is(curl, c, fill):
    mails = fill(c, "INBOX", 2)
    assert curl("INBOX;MAILINDEX=2") == mails[1]
    assert curl("INBOX;UID=1") == mails[0]
    assert curl("INBOX;UID=1;SECTION=TEXT") == mails[0].partition(b"\r\n\r\n")[2]
    assert curl("INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)").startswith(b"Subject: ")


def test_curl_lists_and_searches(curl, c, fill):
    fill(c, "INBOX", 2)
    c.okay("CREATE " + utf7("Entwürfe"))
    assert b"Entw&APw-rfe" in curl("")
    assert b"SEARCH 1 2" in curl("INBOX?ALL")


def test_curl_appends(curl, c, tmp_path):
    mail = simple_mail(subject="from curl", body="line\r\n" * 30000)
    (tmp_path / "m.eml").write_bytes(mail)
    curl("INBOX", "-T", tmp_path / "m.eml")
    c.select()
    assert c.okay("FETCH 1 BODY.PEEK[]").one("FETCH").items["BODY[]"] == mail


def test_curl_sets_a_flag_and_watches_examine(curl, c, fill):
    fill(c, "INBOX", 1)
    curl("INBOX", "-X", r"STORE 1 +FLAGS (\Flagged)")
    c.select()
    assert r"\Flagged" in c.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]


@pytest.mark.tidemark_only
@pytest.mark.parametrize("login", ["AUTH=PLAIN", "AUTH=LOGIN", "AUTH=*"])
def test_curl_over_tls_with_every_mechanism(server, account, c, fill, login):
    need("curl")
    fill(c, "INBOX", 1)
    out = run("curl", "-sS", "--cacert", server.path("ca.pem"), "--max-time", 60, "--login-options", login,
              "--connect-to", "localhost:%d:127.0.0.1:%d" % ((server.ports["imaps"],) * 2),
              "-u", "%s:%s" % (account.name, account.password),
              "imaps://localhost:%d/INBOX;UID=1" % server.ports["imaps"])
    assert out.startswith(b"From:")
    run("curl", "-sS", "--ssl-reqd", "--cacert", server.path("ca.pem"), "--login-options", login,
        "--connect-to", "localhost:%d:127.0.0.1:%d" % ((server.ports["imap"],) * 2),
        "-u", "%s:%s" % (account.name, account.password),
        "imap://localhost:%d/INBOX;UID=1" % server.ports["imap"])
