"""SASL mechanisms: SCRAM (RFC 5802, 7677, 9266), LOGIN, EXTERNAL (RFC 4422); delays; secrecy."""
import os
import ssl
import threading
import time
import uuid

import pytest

import imapc
from scram import Scram

pytestmark = pytest.mark.tidemark_only

MECHANISMS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


def scram(c, mechanism, user, password, initial=True, **kw):
    s = Scram(user, password, MECHANISMS.get(mechanism, "sha256"), **kw)
    if initial:
        return s, c.authenticate(mechanism, s.final, s.check, initial=s.first())
    return s, c.authenticate(mechanism, s.first, s.final, s.check)


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
@pytest.mark.parametrize("initial", [True, False])
def test_scram(connect, account, mechanism, initial):
    c = connect()
    assert "AUTH=" + mechanism in c.capabilities()
    _, r = scram(c, mechanism, account.name, account.password, initial)
    assert r.ok
    assert c.select()


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
def test_scram_wrong_password(connect, account, mechanism):
    c = connect()
    _, r = scram(c, mechanism, account.name, "wrong")
    assert r.no and r.code == "AUTHENTICATIONFAILED"
    assert c.login(account.name, account.password)


def test_scram_iterations_are_many(connect, account):
    s, _ = scram(connect(), "SCRAM-SHA-256", account.name, account.password)
    assert s.iterations >= 4096


def test_an_unknown_account_cannot_be_told_apart_by_its_salt(connect):
    """DESIGN.md section 8: the salt is HMAC(cluster key, name): the same each time."""
    name = "nobody" + uuid.uuid4().hex
    seen = []

    def remember(challenge):
        seen.append(dict(x.split("=", 1) for x in challenge.decode().split(",")))
        return b"*"
    for _ in range(2):
        c = connect()
        s = Scram(name, "x")
        c.authenticate("SCRAM-SHA-256", remember, initial=s.first())
    assert seen[0]["s"] == seen[1]["s"] and seen[0]["i"] == seen[1]["i"]


def test_salts_of_two_accounts_differ(connect, new_account):
    seen = []

    def remember(challenge):
        seen.append(dict(x.split("=", 1) for x in challenge.decode().split(","))["s"])
        return b"*"
    for _ in range(2):
        s = Scram(new_account().name, "x")
        connect().authenticate("SCRAM-SHA-256", remember, initial=s.first())
    assert seen[0] != seen[1]


@pytest.mark.parametrize("message", [b"", b"n,,", b"n,,n=x", b"x,,n=a,r=b", b"n,,n=a,r=",
                                     b"n,,m=x,n=a,r=b", b"\xff\xfe", b"n,,n=a=,r=b",
                                     b"n," * 2000])
def test_broken_scram_messages_are_refused(connect, message):
    c = connect()
    r = c.authenticate("SCRAM-SHA-256", b"*", initial=message)
    assert not r.ok
    assert c.okay("NOOP")


def test_scram_downgrade_is_noticed(connect, server):
    """RFC 5802 6: gs2 "y" says the client thinks that the server has no -PLUS: it has, over TLS."""
    c = connect(port="imaps")
    if "AUTH=SCRAM-SHA-256-PLUS" not in c.capabilities():
        pytest.skip("no -PLUS here")
    s = Scram("x", "x", gs2="y,,")
    assert not c.authenticate("SCRAM-SHA-256", s.final, b"*", initial=s.first()).ok


def test_plus_is_not_offered_without_tls(connect):
    assert "AUTH=SCRAM-SHA-256-PLUS" not in connect().capabilities()
    assert not connect().cmd("AUTHENTICATE SCRAM-SHA-256-PLUS").ok


def test_scram_plus_with_tls_unique(connect, account):
    """RFC 5929 tls-unique, over TLS 1.2."""
    tls = imapc.insecure_tls(maximum_version=ssl.TLSVersion.TLSv1_2)
    c = connect(port="imaps", tls=tls)
    assert "AUTH=SCRAM-SHA-256-PLUS" in c.capabilities()
    binding = c.sock.get_channel_binding("tls-unique")
    _, r = scram(c, "SCRAM-SHA-256-PLUS", account.name, account.password,
                 gs2="p=tls-unique,,", binding=binding)
    assert r.ok


def test_scram_plus_with_a_wrong_binding_is_refused(connect, account):
    """The man in the middle has another TLS session."""
    tls = imapc.insecure_tls(maximum_version=ssl.TLSVersion.TLSv1_2)
    c = connect(port="imaps", tls=tls)
    s = Scram(account.name, account.password, gs2="p=tls-unique,,", binding=b"\0" * 12)
    assert not c.authenticate("SCRAM-SHA-256-PLUS", s.final, b"*", initial=s.first()).ok


def test_login_mechanism(connect, account):
    c = connect()
    assert "AUTH=LOGIN" in c.capabilities()
    r = c.authenticate("LOGIN", account.name.encode(), account.password.encode())
    assert r.ok


def test_login_mechanism_wrong_password(connect, account):
    r = connect().authenticate("LOGIN", account.name.encode(), b"wrong")
    assert r.no and r.code == "AUTHENTICATIONFAILED"


# --- EXTERNAL

def client_tls(server, name):
    tls = imapc.insecure_tls()
    tls.load_cert_chain(server.path(name + ".pem"), server.path(name + ".key"))
    return tls


@pytest.fixture
def alice(server, admin):
    """The account of the client certificate alice.pem (CN=alice)."""
    if "alice" not in [a["name"] for a in admin.list()]:
        admin.add("alice", uuid.uuid4().hex)
    return "alice"


def test_external_by_client_certificate(connect, server, alice):
    c = connect(port="imaps", tls=client_tls(server, "alice"))
    assert "AUTH=EXTERNAL" in c.capabilities()
    assert c.authenticate("EXTERNAL", initial=b"").ok
    assert c.select()


def test_external_with_the_right_authzid(connect, server, alice):
    c = connect(port="imaps", tls=client_tls(server, "alice"))
    assert c.authenticate("EXTERNAL", b"alice").ok


def test_external_with_a_foreign_authzid(connect, server, alice, account):
    c = connect(port="imaps", tls=client_tls(server, "alice"))
    r = c.authenticate("EXTERNAL", initial=account.name.encode())
    assert r.no and r.code in ("AUTHORIZATIONFAILED", "AUTHENTICATIONFAILED")


def test_external_is_not_offered_without_a_certificate(connect):
    c = connect(port="imaps")
    assert "AUTH=EXTERNAL" not in c.capabilities()
    assert not c.authenticate("EXTERNAL", initial=b"").ok


# --- accounts that change

def test_a_changed_password_counts_at_once(connect, account, admin):
    admin.passwd(account.name, "another")
    assert connect().cmd("LOGIN %s %s" % (account.name, account.password)).no
    assert connect().cmd("LOGIN %s another" % account.name).ok


def test_a_deleted_account_cannot_log_in(connect, account, admin):
    admin.delete(account.name)
    r = connect().cmd("LOGIN %s %s" % (account.name, account.password))
    assert r.no and r.code == "AUTHENTICATIONFAILED"


def test_a_deleted_accounts_mail_is_gone_when_it_comes_again(connect, account, admin, fill):
    c = connect(account)
    fill(c, "INBOX", 2)
    before = c.select().codes()["UIDVALIDITY"][0]
    admin.delete(account.name)
    admin.add(account.name, account.password)
    d = connect(account)
    r = d.select()
    assert r.one("EXISTS").number == 0 and r.codes()["UIDVALIDITY"][0] > before


# --- delays

@pytest.mark.slow
def test_failures_are_delayed_growing(connect, account):
    """The delay grows with the failures of an account from an address."""
    spent = []
    for _ in range(4):
        c = connect()
        start = time.monotonic()
        assert c.cmd("LOGIN %s wrong" % account.name).no
        spent.append(time.monotonic() - start)
    assert spent[-1] > spent[0] or spent[-1] > 0.5


def test_an_attacker_does_not_lock_the_user_out(connect, account):
    """The right password is let in while an attacker of the same account waits for his delay."""
    stop = threading.Event()

    def attack():
        while not stop.is_set():
            c = connect()
            c.timeout = 60
            c.cmd("LOGIN %s wrong" % account.name)
    threads = [threading.Thread(target=attack, daemon=True) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        start = time.monotonic()
        assert connect().cmd("LOGIN %s %s" % (account.name, account.password)).ok
        assert time.monotonic() - start < 20
    finally:
        stop.set()
        for t in threads:
            t.join(60)


# --- secrecy

def test_passwords_are_not_in_the_log(connect, server, account):
    secret = "Secret-" + uuid.uuid4().hex
    connect().cmd("LOGIN %s %s" % (account.name, secret))
    connect().authenticate("PLAIN", ("\0%s\0%s" % (account.name, secret)).encode())
    connect(account).okay("NOOP")
    text = "\n".join(server.logs)
    assert secret not in text and account.password not in text


def test_passwords_are_not_on_the_disk(server, account):
    found = []
    for folder, _, files in os.walk(server.data):
        for f in files:
            try:
                with open(os.path.join(folder, f), "rb") as data:
                    if account.password.encode() in data.read():
                        found.append(f)
            except OSError:
                pass
    assert found == []


def test_a_session_id_stands_in_every_line_of_a_client(connect, server, account):
    connect(account).logout()
    server.wait_log("account=%s peer=" % account.name)
    lines = [x for x in server.logs if account.name in x and "account created" not in x]
    assert lines and all("session=" in x for x in lines), lines
