"""offlineimap: syncs, also a second time with changes on both sides."""
import os

import pytest

from programs import need, run

CONFIG = """\
[general]
accounts = t
metadata = {folder}/meta
ui = quiet
[Account t]
localrepository = local
remoterepository = remote
[Repository local]
type = Maildir
localfolders = {folder}/mail
[Repository remote]
type = IMAP
remotehost = {host}
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
auth_mechanisms = LOGIN
"""


@pytest.fixture
def sync(server, account, tmp_path):
    need("offlineimap")
    (tmp_path / "rc").write_text(CONFIG.format(host=server.host, port=server.ports["imap"],
                                               user=account.name, password=account.password,
                                               folder=tmp_path))
    return lambda: run("offlineimap", "-c", tmp_path / "rc", "-o", timeout=300)


def files(folder):
    return [os.path.join(d, f) for d, _, fs in os.walk(folder) for f in fs
            if os.path.basename(d) in ("cur", "new")]


def test_offlineimap(sync, c, fill, tmp_path):
    fill(c, "INBOX", 5)
    c.okay("CREATE Sub/Folder")
    fill(c, "Sub/Folder", 2)
    sync()
    assert len(files(tmp_path / "mail")) == 7
    c.select()
    c.okay(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    c.okay("EXPUNGE")
    c.okay(r"STORE 1 +FLAGS.SILENT (\Flagged)")
    fill(c, "INBOX", 1)
    sync()
    left = files(tmp_path / "mail")
    assert len(left) == 7 and sum("F" in f.partition(":2,")[2] for f in left) == 1
    os.remove(sorted(f for f in left if "INBOX" in f)[0])
    sync()
    c.okay("NOOP")
    assert c.okay("STATUS INBOX (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 4]
