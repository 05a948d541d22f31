"""neomutt in a terminal (tmux), with imap_condstore and imap_qresync, as a person uses it."""
import os
import uuid

import pytest

from programs import need, run, until

CONFIG = """\
set imap_user = "{user}"
set imap_pass = "{password}"
set folder = "imap://{host}:{port}/"
set spoolfile = "+INBOX"
set record = ""
set ssl_starttls = no
set ssl_force_tls = no
set imap_condstore = {condstore}
set imap_qresync = {qresync}
set header_cache = "{folder}/cache"
set imap_check_subscribed = no
set timeout = 1
set mail_check = 1
set delete = yes
set quit = yes
set mark_old = no
set wait_key = no
"""


class Terminal:
    def __init__(self, folder, config):
        self.socket = os.path.join(str(folder), "tmux-%s" % uuid.uuid4().hex[:8])
        self.tmux("new-session", "-d", "-x", "120", "-y", "40",
                  "env TERM=xterm HOME=%s neomutt -n -F %s" % (folder, config))

    def tmux(self, *args):
        return run("tmux", "-f", "/dev/null", "-S", self.socket, *args, check=False)

    def screen(self):
        return self.tmux("capture-pane", "-p").decode("utf-8", "replace")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def see(self, text, limit=60):
        until(lambda: text in self.screen(), limit, "%r on\n%s" % (text, self.screen()))

    def close(self):
        self.tmux("kill-server")


@pytest.fixture
def neomutt(server, account, tmp_path):
    need("neomutt")
    need("tmux")
    made = []

    def make(condstore="yes", qresync="yes"):
        config = tmp_path / "rc"
        config.write_text(CONFIG.format(host=server.host, port=server.ports["imap"],
                                        user=account.name, password=account.password,
                                        folder=tmp_path, condstore=condstore, qresync=qresync))
        made.append(Terminal(tmp_path, config))
        return made[-1]
    yield make
    for t in made:
        t.close()


def flags(c, n):
    return c.okay("FETCH %d FLAGS" % n).fetches()[-1][1]["FLAGS"]


@pytest.mark.parametrize("condstore,qresync", [("no", "no"), ("yes", "no"), ("yes", "yes")])
def test_read_flag_delete_and_come_back(neomutt, c, fill, condstore, qresync):
    fill(c, "INBOX", 3)
    c.select()
    t = neomutt(condstore, qresync)
    t.see("mail 3")
    t.keys("1", "Enter", "Enter")
    t.see("Hello.")
    t.keys("q")
    t.keys("F")
    t.keys("$")
    until(lambda: r"\Flagged" in flags(c, 1) and r"\Seen" in flags(c, 1), what="flag and seen")
    t.keys("3", "Enter", "d", "$")
    until(lambda: c.okay("NOOP") and c.mirror.exists == 2, what="deleted")
    t.keys("q")
    until(lambda: "no server" in t.screen() or t.screen().strip() == "", what="neomutt ended")
    c.okay(r"STORE 2 +FLAGS.SILENT (\Deleted)")
    c.okay("EXPUNGE")
    fill(c, "INBOX", 1)
    again = neomutt(condstore, qresync)
    again.see("mail 4")
    screen = again.screen()
    assert "mail 1" in screen and "mail 2" not in screen and "mail 3" not in screen


def test_new_mail_appears_while_it_looks(neomutt, c, fill):
    fill(c, "INBOX", 1)
    t = neomutt()
    t.see("mail 1")
    fill(c, "INBOX", 1)
    t.see("mail 2", 90)
