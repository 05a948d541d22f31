"""mbsync (isync): both ways, again and again, until both sides are the same."""
import os
import re

import pytest

from imapc import Lit
from mails import load, simple_mail
from programs import need, run

CONFIG = """\
IMAPAccount t
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account t

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""


@pytest.fixture
def sync(server, account, tmp_path):
    need("mbsync")
    (tmp_path / "mail").mkdir()
    (tmp_path / "rc").write_text(CONFIG.format(host=server.host, port=server.ports["imap"],
                                               user=account.name, password=account.password,
                                               folder=tmp_path))
    return lambda: run("mbsync", "-c", tmp_path / "rc", "all")


def maildir(folder):
    """Name -> bytes of all messages of a Maildir, without the X-TUID that mbsync adds."""
    out = {}
    for sub in ("cur", "new"):
        path = os.path.join(folder, sub)
        for f in os.listdir(path):
            with open(os.path.join(path, f), "rb") as data:
                out[os.path.join(sub, f)] = re.sub(rb"(?m)^X-TUID: .*\n", b"", data.read())
    return out


def test_from_the_server(sync, c, fill, tmp_path):
    odd = [load(n) for n in ("plain_emails/basic_email.eml", "mime_emails/raw_email7.eml",
                             "attachment_emails/attachment_pdf.eml")]
    fill(c, "INBOX", mails=odd)
    c.okay("CREATE Archive")
    fill(c, "Archive", 2, flags=r"\Seen \Flagged")
    sync()
    near = maildir(tmp_path / "mail" / "INBOX")
    assert sorted(v.replace(b"\n", b"\r\n") for v in near.values()) == sorted(odd)
    assert sorted(f.partition(":2,")[2] for f in maildir(tmp_path / "mail" / "Archive")) == [
        "FS", "FS"]


def put(folder, name, data):
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(folder, sub), exist_ok=True)
    with open(os.path.join(folder, "cur", name), "wb") as f:
        f.write(data.replace(b"\r\n", b"\n"))


def test_to_the_server_and_back(sync, c, tmp_path):
    mails = [simple_mail(subject="up %d" % i) for i in range(3)]
    inbox = str(tmp_path / "mail" / "INBOX")
    for i, m in enumerate(mails):
        put(inbox, "1%d.x.y:2,%s" % (i, "S" if i else ""), m)
    put(str(tmp_path / "mail" / "Made"), "9.x.y:2,F", mails[0])
    sync()
    c.select()
    got = c.okay("FETCH 1:* (FLAGS BODY.PEEK[])").fetches()
    assert sorted(re.sub(rb"(?m)^X-TUID: .*\n", b"", i["BODY[]"]) for _, i in got) == sorted(mails)
    assert sorted(r"\Seen" in i["FLAGS"] for _, i in got) == [False, True, True]
    assert c.select("Made").one("EXISTS").number == 1


def test_flags_and_deletions_travel_both_ways(sync, c, fill, tmp_path):
    fill(c, "INBOX", 4)
    sync()
    c.select()
    c.okay(r"STORE 1 +FLAGS.SILENT (\Flagged)")
    c.okay(r"STORE 4 +FLAGS.SILENT (\Deleted)")
    c.okay("EXPUNGE")
    inbox = str(tmp_path / "mail" / "INBOX")
    for f, data in maildir(inbox).items():
        if b"Subject: mail" in data and b"<mail.2@" in data:
            name = os.path.basename(f).partition(":")[0]
            os.makedirs(os.path.join(inbox, "cur"), exist_ok=True)
            os.rename(os.path.join(inbox, f), os.path.join(inbox, "cur", name + ":2,S"))
    sync()
    c.okay("NOOP")
    seen = c.okay("SEARCH SEEN").search()
    assert seen == [2] and c.okay("SEARCH FLAGGED").search() == [1]
    near = maildir(inbox)
    assert len(near) == 3 and sum("F" in f.partition(":2,")[2] for f in near) == 1
    assert sync() is not None
    assert maildir(inbox) == near


def test_a_thousand_mails(sync, c, fill, tmp_path):
    for _ in range(5):
        parts = ["APPEND INBOX"]
        for i in range(200):
            parts += [" ", Lit(simple_mail(subject="bulk %d" % i), plus=True)]
        c.okay(*parts)
    sync()
    assert len(maildir(tmp_path / "mail" / "INBOX")) == 1000
    sync()
    assert len(maildir(tmp_path / "mail" / "INBOX")) == 1000
