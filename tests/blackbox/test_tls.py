"""STARTTLS (RFC 3501 6.2.1), implicit TLS, TLS 1.2 and 1.3, SNI, reload; plaintext rules."""
import signal
import socket
import ssl
import time

import pytest

import imapc
from server import Server, issue

pytestmark = pytest.mark.tidemark_only


def test_imaps(connect, account):
    c = connect(account, port="imaps")
    assert c.select()
    assert "STARTTLS" not in c.capabilities()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(connect, account, version):
    tls = imapc.insecure_tls(minimum_version=version, maximum_version=version)
    c = connect(account, port="imaps", tls=tls)
    assert c.sock.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2",
                                ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
    assert c.okay("NOOP")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_refused(server):
    tls = imapc.insecure_tls()
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = ssl.TLSVersion.TLSv1
    tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        imapc.Client(server.host, server.ports["imaps"], tls=tls)


def test_starttls(connect, account):
    c = connect()
    assert "STARTTLS" in c.capabilities()
    c.starttls(imapc.insecure_tls())
    caps = c.capabilities()
    assert "STARTTLS" not in caps
    c.login(account.name, account.password)
    assert c.select()
    assert c.cmd("STARTTLS").bad


def test_starttls_twice_is_bad(connect):
    c = connect()
    c.starttls(imapc.insecure_tls())
    assert c.cmd("STARTTLS").bad


def test_nothing_pipelined_before_starttls_survives_it(connect):
    """The injection of CVE-2011-0411: bytes behind STARTTLS in the clear are never commands."""
    c = connect()
    c.send_raw(b"s1 STARTTLS\r\ns2 CAPABILITY\r\n")
    c.pending.append(("s1", "STARTTLS"))
    try:
        r = c.wait("s1")
    except imapc.Closed:
        return
    if not r.ok:
        return
    if c.buf:
        raise AssertionError("clear bytes after the answer: %r" % c.buf)
    try:
        c.sock = imapc.insecure_tls().wrap_socket(c.sock, server_hostname="localhost")
    except (ssl.SSLError, OSError):
        return
    assert c.okay("NOOP").untagged == []


def test_a_half_command_before_starttls_does_not_survive(connect):
    c = connect()
    c.send_raw(b"s1 STARTTLS\r\ns2 LOG")
    c.pending.append(("s1", "STARTTLS"))
    try:
        r = c.wait("s1")
        c.sock = imapc.insecure_tls().wrap_socket(c.sock, server_hostname="localhost")
    except (imapc.Closed, ssl.SSLError, OSError):
        return
    assert r.ok
    assert c.wait(c.send("NOOP")).ok


def test_login_state_before_starttls_is_gone(connect, account):
    """STARTTLS is only valid in not authenticated state."""
    c = connect(account)
    assert c.cmd("STARTTLS").bad


def certificate_name(server, port, sni):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(server.path("ca.pem"))
    s = socket.create_connection((server.host, server.ports[port]))
    with tls.wrap_socket(s, server_hostname=sni) as t:
        return dict(x[0] for x in t.getpeercert()["subject"])["commonName"]


@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_sni_chooses_the_certificate(server, name):
    assert certificate_name(server, "imaps", name) == name


def test_rubbish_instead_of_a_handshake(server, connect):
    s = socket.create_connection((server.host, server.ports["imaps"]))
    s.sendall(b"a LOGIN x y\r\n" * 10)
    s.settimeout(30)
    try:
        while s.recv(4096):
            pass
    except OSError:
        pass
    s.close()
    assert connect(port="imaps").okay("NOOP")


def test_compress_inside_tls(connect, account, fill):
    c = connect(account, port="imaps")
    c.compress()
    fill(c, "INBOX", 3)
    c.select()
    assert len(c.okay("FETCH 1:* BODY.PEEK[]").fetches()) == 3


def test_pipelined_tls_and_compress_over_a_select(connect, account, fill):
    """--loops 4: the connection moves to another loop at SELECT, in the middle of the stream."""
    c = connect(account, port="imaps")
    for i in range(6):
        c.okay("CREATE box%d" % i)
        fill(c, "box%d" % i, i + 1)
    c.compress()
    c.mirror.untagged = lambda *_: None  # several mailboxes are under way at once
    tags = []
    for i in range(6):
        tags.append((i, c.send("SELECT box%d" % i), c.send("FETCH 1:* UID")))
    for i, select, fetch in tags:
        assert c.wait(select).ok
        assert len(c.wait(fetch).fetches()) == i + 1


@pytest.fixture
def own_server(request):
    made = []

    def make(config=None):
        s = Server()
        made.append(s)
        s.write_config()
        if config:
            with open(s.config) as f:
                text = f.read()
            with open(s.config, "w") as f:
                f.write(config(text))
        return s.start()
    yield make
    for s in made:
        s.stop()
        s.remove()


def test_certificates_are_reloaded_on_sighup(own_server):
    s = own_server()
    before = ssl.get_server_certificate((s.host, s.ports["imaps"]))
    old = imapc.Client(s.host, s.ports["imaps"], tls=imapc.insecure_tls())
    issue(s.folder, "localhost", "subjectAltName=DNS:localhost")
    s.signal(signal.SIGHUP)
    s.wait_log("reload")
    end = time.monotonic() + 30
    while ssl.get_server_certificate((s.host, s.ports["imaps"])) == before:
        assert time.monotonic() < end, "still the old certificate"
        time.sleep(0.05)
    assert old.okay("NOOP")
    old.close()


def test_plaintext_login_is_refused_where_it_is_not_allowed(own_server):
    """LOGINDISABLED, no AUTH= of plaintext passwords, and PRIVACYREQUIRED (RFC 5530)."""
    s = own_server(lambda text: text.replace("plaintext_on_loopback: true",
                                             "plaintext_on_loopback: false"))
    s.admin.add("joe", "pw")
    c = imapc.Client(s.host, s.ports["imap"])
    caps = c.capabilities()
    assert "LOGINDISABLED" in caps and "AUTH=PLAIN" not in caps and "AUTH=LOGIN" not in caps
    r = c.cmd("LOGIN joe pw")
    assert r.no and r.code == "PRIVACYREQUIRED"
    assert not c.authenticate("PLAIN", initial=b"\0joe\0pw").ok
    c.starttls(imapc.insecure_tls())
    assert "LOGINDISABLED" not in c.capabilities() and "AUTH=PLAIN" in c.capabilities()
    assert c.cmd("LOGIN joe pw").ok
    c.close()
