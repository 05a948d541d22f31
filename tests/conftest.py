"""The fixtures of the tests over sockets (tests/blackbox, tests/clients).

Against Tidemark (default): one server for the session, one account for each test.
Against any other IMAP server, to see whether the tests themselves are right:
    pytest tests/blackbox --server 127.0.0.1:143 --password pass [--lmtp 127.0.0.1:24] [--user U]
Without --user each test takes a name of its own ("any name, password pass" of a test Dovecot).
Tests marked tidemark_only hold what IMAP.md decides, where other servers may differ.
"""
import itertools
import os
import sys
import uuid

import pytest

BLACKBOX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "blackbox")
sys.path.insert(0, BLACKBOX)

import imapc  # noqa: E402
import lmtpc  # noqa: E402
from mails import simple_mail  # noqa: E402
from server import Server, binary  # noqa: E402


def pytest_addoption(parser):
    group = parser.getgroup("tidemark")
    group.addoption("--server", default=os.environ.get("IMAP_SERVER"), metavar="HOST:PORT")
    group.addoption("--lmtp", default=os.environ.get("LMTP_SERVER"), metavar="HOST:PORT")
    group.addoption("--user", default=os.environ.get("IMAP_USER"))
    group.addoption("--password", default=os.environ.get("IMAP_PASSWORD", "pass"))
    group.addoption("--seed", default=os.environ.get("TIDEMARK_SEED"), type=int)


def pytest_configure(config):
    for line in ("tidemark_only: what IMAP.md decides; skipped against another server",
                 "needs(NAME...): capabilities; skipped where another server lacks one",
                 "slow: left out by ops/test quick"):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--server"):
        return
    skip = pytest.mark.skip(reason="Tidemark only")
    differs = known_differences()
    for item in items:
        name = item.nodeid.rpartition("blackbox/")[2]
        if item.get_closest_marker("tidemark_only"):
            item.add_marker(skip)
        elif name in differs:
            item.add_marker(pytest.mark.xfail(reason="Dovecot: " + differs[name], strict=False))


def known_differences():
    """Test -> what Dovecot does instead (dovecot.differs)."""
    with open(os.path.join(BLACKBOX, "dovecot.differs")) as f:
        rows = [line.rstrip("\n").rpartition(" | ") for line in f if not line.startswith("#")]
    return {test: why for test, _, why in rows}


class External:
    """Another server, that is running already."""

    def __init__(self, config):
        host, _, port = config.getoption("--server").rpartition(":")
        self.host, self.ports = host, {"imap": int(port)}
        lmtp = config.getoption("--lmtp")
        if lmtp:
            self.ports["lmtp"] = int(lmtp.rpartition(":")[2])
        self.admin = None
        self.user = config.getoption("--user")
        self.password = config.getoption("--password")


@pytest.fixture(scope="session")
def server(request):
    if request.config.getoption("--server"):
        yield External(request.config)
        return
    if not os.path.exists(binary()):
        pytest.skip("%s is not built" % binary())
    s = Server().start()
    yield s
    code = s.stop()
    complaints = [x for x in s.logs if "Sanitizer" in x or "runtime error" in x]
    assert code == 0 and not complaints, "exit code %s\n%s" % (code, s.log_tail(60))
    s.remove()


@pytest.fixture(autouse=True)
def still_alive(server):
    """A test that kills the server fails itself, not the next one, which gets it started again."""
    yield
    if hasattr(server, "process") and not server.running():
        tail = server.log_tail()
        server.start()
        pytest.fail("the server died:\n" + tail)


class Account:
    def __init__(self, server):
        if isinstance(server, External):
            self.name = server.user or "t" + uuid.uuid4().hex[:16]
            self.password = server.password
        else:
            self.name = "t" + uuid.uuid4().hex[:16]
            self.password = "pw-" + uuid.uuid4().hex[:8]
            server.admin.add(self.name, self.password)


@pytest.fixture
def new_account(server):
    return lambda: Account(server)


@pytest.fixture
def account(new_account):
    return new_account()


@pytest.fixture
def needs(request, server):
    """Skip where another server lacks a capability; Tidemark must have it."""
    def check(c):
        wanted = [n for m in request.node.iter_markers("needs") for n in m.args]
        missing = [n for n in wanted if n not in c.capabilities()]
        if missing and isinstance(server, External):
            pytest.skip("server lacks " + " ".join(missing))
        assert not missing, "not advertised: %s" % missing
    return check


@pytest.fixture
def connect(request, server, needs):
    """connect(login=account, select=mailbox) -> Client; all are closed at the end."""
    made = []
    checked = []

    def make(login=None, select=None, port="imap", tls=None, **kw):
        if tls is None and port == "imaps":
            tls = imapc.insecure_tls()
        c = imapc.Client(server.host, server.ports[port], tls=tls, **kw)
        made.append(c)
        if login is not None:
            c.login(login.name, login.password)
            if not checked and request.node.get_closest_marker("needs"):
                checked.append(True)
                needs(c)
        if select is not None:
            c.select(select)
        return c
    yield make
    for c in made:
        c.close()


@pytest.fixture
def c(connect, account):
    """A client that is logged in and has selected nothing."""
    return connect(account)


@pytest.fixture
def fill(server):
    """fill(client, mailbox, n, ...): put n small mails there; returns their bytes."""
    counter = itertools.count(1)

    def put(c, mailbox="INBOX", n=1, flags=None, mails=None):
        mails = mails or [simple_mail(subject="mail %d" % next(counter)) for _ in range(n)]
        for m in mails:
            if flags:
                c.okay("APPEND %s (%s) " % (imapc.quote(mailbox), flags), imapc.Lit(m, plus=True))
            else:
                c.okay("APPEND %s " % imapc.quote(mailbox), imapc.Lit(m, plus=True))
        return mails
    return put


@pytest.fixture
def box(c, fill):
    """box(n): the client with INBOX selected and n mails in it, numbered 1..n, UIDs 1..n."""
    def make(n=0, **kw):
        if n or kw.get("mails"):
            fill(c, "INBOX", n, **kw)
        c.select()
        return c
    return make


@pytest.fixture
def pair(connect, account, fill):
    """pair(n): two sessions of one account, both with INBOX of n mails selected."""
    def make(n=0, enable=None, enable_b=None, **kw):
        a = connect(account)
        fill(a, "INBOX", n, **kw) if n else None
        b = connect(account)
        for s, what in ((a, enable), (b, enable if enable_b is None else enable_b)):
            if what:
                s.okay("ENABLE " + what)
            s.select()
        return a, b
    return make


@pytest.fixture
def lmtp(server):
    if "lmtp" not in server.ports:
        pytest.skip("no LMTP port given")
    made = []

    def make():
        made.append(lmtpc.Lmtp(server.host, server.ports["lmtp"]))
        return made[-1]
    yield make
    for m in made:
        m.close()


@pytest.fixture
def admin(server):
    if server.admin is None:
        pytest.skip("no admin port")
    return server.admin


@pytest.fixture
def seed(request):
    """The seed of a random test: printed when it fails, given back with --seed."""
    given = request.config.getoption("--seed")
    value = given if given is not None else int.from_bytes(os.urandom(4), "big")
    print("seed %d (repeat with --seed %d)" % (value, value))
    return value
