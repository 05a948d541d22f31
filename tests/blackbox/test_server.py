"""The process itself: admin HTTP, configuration, signals, durability over kill -9 and restart."""
import json
import os
import signal
import subprocess
import time
import uuid

import pytest

import imapc
from imapc import Lit
from mails import simple_mail
from server import ROOT, Server, binary

pytestmark = pytest.mark.tidemark_only


@pytest.fixture
def own_server():
    made = []

    def make(**kw):
        s = Server(**kw)
        made.append(s)
        return s.start()
    yield make
    for s in made:
        if s.running():
            s.stop()
        s.remove()


def client(s, name="joe", password="pw", select=None):
    c = imapc.Client(s.host, s.ports["imap"])
    c.login(name, password)
    if select:
        c.select(select)
    return c


# --- admin

def test_health_and_readiness(admin):
    assert admin.request("GET", "/healthz")[0] == 200
    assert admin.request("GET", "/readyz")[0] == 200


def test_metrics_are_prometheus(admin, connect, account):
    connect(account, select="INBOX").okay("NOOP")
    status, body, headers = admin.request("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain")
    text = body.decode()
    assert "# TYPE" in text and text.endswith("\n")
    names = {n.partition("{")[0] for n in admin.metrics()}
    for wanted in ("connections", "command", "fsync", "rocksdb"):
        assert [n for n in names if wanted in n], (wanted, sorted(names))


def test_accounts_over_http(admin):
    name = "h" + uuid.uuid4().hex
    admin.add(name, "pw")
    assert name in [a["name"] for a in admin.list()]
    status, body, _ = admin.request("POST", "/accounts", {"name": name, "password": "x"})
    assert status == 409 and json.loads(body)["error"]
    admin.delete(name)
    assert name not in [a["name"] for a in admin.list()]
    assert admin.request("DELETE", "/accounts/" + name)[0] == 404
    assert admin.request("PUT", "/accounts/" + name, {"password": "x"})[0] == 404


@pytest.mark.parametrize("body", [{}, {"name": "x"}, {"password": "x"}, {"name": "", "password": "x"},
                                  {"name": 5, "password": "x"}, {"name": "a b\n", "password": "x"},
                                  {"name": "x" * 2000, "password": "x"}, [], "x", None])
def test_wrong_account_requests_are_refused(admin, body):
    status, text, _ = admin.request("POST", "/accounts", body)
    assert 400 <= status < 500 and json.loads(text)["error"]


@pytest.mark.parametrize("method,path", [("GET", "/nowhere"), ("POST", "/healthz"),
                                         ("PUT", "/accounts"), ("DELETE", "/accounts")])
def test_wrong_paths_are_refused(admin, method, path):
    assert admin.request(method, path)[0] in (404, 405)


# --- configuration

def run(*args, config=None, tmp_path=None):
    argv = [binary()] + list(args)
    if config is not None:
        path = tmp_path / "c.yaml"
        path.write_text(config)
        argv += ["--config", str(path)]
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60)


def test_print_config_is_a_config(tmp_path):
    """Every option documented in one commented example, which is accepted itself."""
    r = run("--print-config")
    assert r.returncode == 0 and "#" in r.stdout and "imap:" in r.stdout


@pytest.mark.parametrize("text,line", [("data: /tmp/x\nnonsense: 1\n", 2),
                                       ("data: /tmp/x\nloops: many\n", 2),
                                       ("data: [\n", 1), ("loops: -1\n", 1), ("- a\n", 1)])
def test_wrong_configuration_is_refused_with_its_place(tmp_path, text, line):
    r = run("--check", config=text, tmp_path=tmp_path)
    assert r.returncode != 0
    assert "c.yaml:%d" % line in r.stderr or "c.yaml:" in r.stderr


def test_check_only_checks(tmp_path, server):
    r = subprocess.run([binary(), "--config", server.config, "--check"], timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 0


def test_a_missing_config_file_is_one_clear_line(tmp_path):
    r = run("--config", str(tmp_path / "none.yaml"))
    assert r.returncode != 0 and len(r.stderr.strip().splitlines()) == 1


def test_help():
    r = run("--help")
    assert r.returncode == 0 and "--config" in r.stdout


def test_a_second_server_on_the_same_ports_is_an_error(server):
    """DESIGN.md section 8: no silent sharer, although loops listen with SO_REUSEPORT."""
    other = Server()
    other.ports = dict(server.ports)
    other.write_config()
    other.start(wait=False)
    try:
        assert other.wait_end(60) != 0
    finally:
        other.remove()


def test_a_second_server_on_the_same_data_is_an_error(server):
    other = Server()
    other.data = server.data
    other.write_config()
    other.start(wait=False)
    try:
        assert other.wait_end(60) != 0
    finally:
        other.remove()


# --- signals, end, start

def test_sigterm_says_bye_and_ends_fast(own_server):
    s = own_server()
    s.admin.add("joe", "pw")
    idle = client(s, select="INBOX")
    idle.idle()
    start = time.monotonic()
    s.signal(signal.SIGTERM)
    seen = idle.expect_closed()
    assert [r for r in seen if r.name == "BYE"]
    assert s.wait_end() == 0
    assert time.monotonic() - start < 10


def test_log_is_logfmt(server, connect, account):
    connect(account, select="INBOX").logout()
    for line in server.logs:
        assert "msg=" in line and "level=" in line, line


def test_what_was_answered_is_there_after_kill_9(own_server):
    s = own_server()
    s.admin.add("joe", "pw")
    c = client(s)
    mail = simple_mail(subject="kept")
    c.okay("APPEND INBOX ", Lit(mail))
    c.okay("CREATE Kept")
    c.select()
    c.okay("APPEND INBOX ", Lit(mail))
    r = c.okay(r"STORE 1 +FLAGS.SILENT (\Flagged kw)")
    codes = c.select("INBOX", "(CONDSTORE)").codes()
    s.kill()
    s.start()
    c = client(s)
    after = c.select("INBOX", "(CONDSTORE)").codes()
    assert after["UIDVALIDITY"] == codes["UIDVALIDITY"] and after["UIDNEXT"] == [3]
    assert after["HIGHESTMODSEQ"][0] >= codes["HIGHESTMODSEQ"][0]
    items = c.okay("FETCH 1 (FLAGS BODY.PEEK[])").one("FETCH").items
    assert {r"\Flagged", "kw"} <= set(items["FLAGS"]) and items["BODY[]"] == mail
    assert "Kept" in [u.values[2] for u in c.okay('LIST "" *').all("LIST")] and r.ok


def test_the_same_after_many_kills(own_server):
    """Every round: some mail, some flags, kill; the numbers never go back."""
    s = own_server()
    s.admin.add("joe", "pw")
    expected, last = {}, 0
    for round_ in range(5):
        c = client(s)
        for i in range(5):
            r = c.okay("APPEND INBOX ", Lit(simple_mail(subject="%d.%d" % (round_, i)), plus=True))
            expected[r.code_args[1]] = set()
        c.select("INBOX", "(CONDSTORE)")
        for uid in list(expected)[-3:]:
            c.okay("UID STORE %d +FLAGS.SILENT (r%d)" % (uid, round_))
            expected[uid].add("r%d" % round_)
        s.kill()
        s.start()
        c = client(s)
        high = c.select("INBOX", "(CONDSTORE)").codes()["HIGHESTMODSEQ"][0]
        assert high > last
        last = high
        got = {u: set(i["FLAGS"]) - {r"\Recent"}
               for u, i in c.okay("UID FETCH 1:* FLAGS").by_uid().items()}
        assert got == expected


def test_stop_and_start_keeps_everything(own_server):
    s = own_server()
    s.admin.add("joe", "pw")
    c = client(s)
    big = simple_mail(body="0123456789\r\n" * 30000)
    c.okay("APPEND INBOX ", Lit(big))
    assert s.stop() == 0
    s.start()
    c = client(s, select="INBOX")
    assert c.okay("FETCH 1 BODY.PEEK[]").one("FETCH").items["BODY[]"] == big


def test_qresync_is_exact_over_a_kill(own_server):
    s = own_server()
    s.admin.add("joe", "pw")
    c = client(s)
    for i in range(10):
        c.okay("APPEND INBOX ", Lit(simple_mail(subject=str(i)), plus=True))
    codes = c.select("INBOX", "(CONDSTORE)").codes()
    c.okay(r"UID STORE 2,5 +FLAGS.SILENT (\Deleted)")
    c.okay("EXPUNGE")
    c.okay("UID STORE 7 +FLAGS.SILENT (x)")
    s.kill()
    s.start()
    c = client(s)
    c.okay("ENABLE QRESYNC")
    r = c.select("INBOX", "(QRESYNC (%d %d))" % (codes["UIDVALIDITY"][0],
                                                 codes["HIGHESTMODSEQ"][0]))
    assert sorted(r.vanished(earlier=True)) == [2, 5]
    assert sorted(i["UID"] for _, i in r.fetches()) == [7]


def test_ops_check_says_consistent_after_a_kill(own_server):
    s = own_server()
    s.admin.add("joe", "pw")
    c = client(s)
    for i in range(20):
        c.okay("APPEND INBOX ", Lit(simple_mail(subject=str(i)), plus=True))
    c.select()
    c.okay(r"STORE 1:5 +FLAGS.SILENT (\Deleted)")
    c.okay("EXPUNGE")
    s.kill()
    r = subprocess.run([os.path.join(ROOT, "ops", "check"), "--data", s.data], timeout=120,
                       env=dict(os.environ, TIDEMARKD=binary()), stdout=subprocess.PIPE)
    verdict = json.loads(r.stdout.decode().strip().splitlines()[-1])
    assert r.returncode == 0 and verdict["consistent"] is True


def test_start_is_quick(own_server):
    s = own_server()
    s.stop()
    start = time.monotonic()
    s.start()
    assert time.monotonic() - start < 10
