"""The real Postfix delivers through LMTP; an instance of its own, in a folder of its own."""
import os
import pwd
import shutil
import smtplib
import socket
import subprocess
import tempfile
import uuid

import pytest

from mails import simple_mail
from programs import need, run, until

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.test
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
recipient_delimiter =
alias_maps =
alias_database =
local_recipient_maps =
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
minimal_backoff_time = 2s
queue_run_delay = 2s
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
smtp unix - - n - - smtp
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


pytestmark = pytest.mark.tidemark_only  # another server may name its accounts otherwise


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postfix:
    def __init__(self, lmtp):
        self.folder = tempfile.mkdtemp(prefix="tidemark-postfix-")
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        etc = os.path.join(self.folder, "etc")
        for d in ("etc", "spool", "data", "log"):
            os.mkdir(os.path.join(self.folder, d))
        owner = pwd.getpwnam("postfix")
        os.chown(os.path.join(self.folder, "data"), owner.pw_uid, owner.pw_gid)
        with open(os.path.join(etc, "main.cf"), "w") as f:
            f.write(MAIN.format(folder=self.folder, lmtp=lmtp))
        with open(os.path.join(etc, "master.cf"), "w") as f:
            f.write(MASTER.format(port=self.port))
        self.etc = etc
        run("postfix", "-c", etc, "set-permissions", check=False)
        run("postfix", "-c", etc, "start", env={"MAIL_CONFIG": etc})
        until(self.listens, 60, "postfix listens\n" + self.log())

    def log(self):
        try:
            with open(os.path.join(self.folder, "log", "mail.log")) as f:
                return f.read()
        except OSError:
            return ""

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    def close(self):
        subprocess.run(["postfix", "-c", self.etc, "stop"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def postfix(server):
    need("postfix")
    if os.geteuid() != 0 or "lmtp" not in server.ports:
        pytest.skip("needs root and an LMTP port")
    p = Postfix(server.ports["lmtp"])
    yield p
    p.close()


def send(postfix, to, mail):
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as s:
        s.sendmail("ann@example.org", to, mail)


def inbox(c):
    c.okay("NOOP")
    return [i["BODY[]"] for _, i in c.okay("FETCH 1:* BODY.PEEK[]").fetches()] \
        if c.mirror.exists else []


def test_postfix_delivers(postfix, box, account):
    c = box(0)
    for i in range(5):
        send(postfix, [account.name + "@example.test"], simple_mail(subject="through %d" % i))
    got = until(lambda: len(inbox(c)) == 5 and inbox(c), 60, "five mails; " + postfix.log())
    assert {b"Subject: through %d\r\n" % i in m for i, m in enumerate(sorted(
        got, key=lambda m: m[m.index(b"Subject:"):]))} == {True}
    assert all(m.startswith(b"Return-Path: <ann@example.org>") for m in got)


def test_postfix_delivers_to_several_in_one_transaction(postfix, connect, new_account):
    accounts = [new_account() for _ in range(3)]
    send(postfix, [a.name + "@example.test" for a in accounts],
         simple_mail(subject="for three", body="x" * 200000 + "\r\n"))
    for a in accounts:
        c = connect(a, select="INBOX")
        until(lambda c=c: len(inbox(c)) == 1, 60, "one mail; " + postfix.log())


def test_postfix_bounces_for_an_unknown_user(postfix):
    name = "nobody" + uuid.uuid4().hex
    send(postfix, [name + "@example.test"], simple_mail())
    until(lambda: "dsn=5.1.1" in postfix.log() and name in postfix.log(), 60, "a bounce")
