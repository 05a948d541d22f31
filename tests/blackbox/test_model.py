"""A random session test against a simple model of a mailbox.

Several sessions take turns; after each step the model says what the mailbox holds, and each
session's mirror what it was told. The seed is printed; repeat with --seed.
"""
import random

import pytest

from imapc import Lit, parse_set
from mails import simple_mail

SYSTEM = [r"\Seen", r"\Flagged", r"\Answered", r"\Deleted", r"\Draft"]
KEYWORDS = ["red", "green", "$blue"]


class Model:
    """uid -> set of flags: what every server must hold after the same commands."""

    def __init__(self):
        self.messages = {}
        self.next = 1

    def append(self, flags):
        self.messages[self.next] = set(flags)
        self.next += 1

    def store(self, uids, sign, flags):
        for u in uids:
            have = self.messages[u]
            if sign == "+":
                have |= flags
            elif sign == "-":
                have -= flags
            else:
                have.clear()
                have.update(flags)

    def expunge(self):
        for u in [u for u, f in self.messages.items() if r"\Deleted" in f]:
            del self.messages[u]


class Session:
    """One connection, and the UIDs it was told of, in order."""

    def __init__(self, c, qresync):
        self.c = c
        self.view = []
        self.heard = {}
        if qresync:
            c.okay("ENABLE QRESYNC")
        r = c.select("INBOX", "(CONDSTORE)")
        self.view = list(range(1, r.one("EXISTS").number + 1))
        self.learn_uids()

    def learn_uids(self):
        got = self.c.okay("FETCH 1:* UID") if self.view else None
        self.view = [i["UID"] for _, i in got.fetches()] if got else []

    def hear(self, r):
        """Follow EXPUNGE, VANISHED, EXISTS and FETCH as a client does."""
        for u in r.untagged:
            if u.name == "EXPUNGE":
                del self.view[u.number - 1]
            elif u.name == "VANISHED" and not isinstance(u.values[0], list):
                for uid in parse_set(u.values[0]):
                    del self.view[self.place(uid)]
            elif u.name == "EXISTS":
                grow = u.number - len(self.view)
                assert grow >= 0, (u, self.view)
                self.view += [None] * grow
            elif u.name == "FETCH":
                self.hear_fetch(u)

    def place(self, uid):
        """Where a UID stands; one that was never heard stands among those, by its neighbours."""
        if uid in self.view:
            return self.view.index(uid)
        for i, known in enumerate(self.view):
            if known is None and not any(v and v < uid for v in self.view[i:]):
                return i
        raise AssertionError((uid, self.view))

    def hear_fetch(self, u):
        known = self.view[u.number - 1]
        uid = u.items.get("UID", known)
        assert known in (None, uid), (known, u)
        self.view[u.number - 1] = uid
        if uid is not None and "FLAGS" in u.items:
            self.heard[uid] = set(u.items["FLAGS"]) - {r"\Recent"}


def pick(rng, items, most=3):
    return rng.sample(items, min(len(items), rng.randrange(1, most + 1)))


class Run:
    def __init__(self, rng, sessions):
        self.rng = rng
        self.model = Model()
        self.sessions = sessions

    def step(self):
        s = self.rng.choice(self.sessions)
        what = self.rng.choice([self.append, self.store, self.store, self.store, self.fetch,
                                self.expunge, self.noop, self.search, self.conditional])
        what(s)

    def append(self, s):
        flags = set(pick(self.rng, SYSTEM[:3] + KEYWORDS, 2))
        r = s.c.okay("APPEND INBOX (%s) " % " ".join(flags), Lit(simple_mail(), plus=True))
        self.model.append(flags)
        assert r.code_args[1] == self.model.next - 1
        s.hear(r)

    def live(self, s):
        return [u for u in s.view if u in self.model.messages]

    def store(self, s):
        if not self.live(s):
            return self.noop(s)
        uids = pick(self.rng, self.live(s))
        sign = self.rng.choice(["+", "-", ""])
        flags = set(pick(self.rng, SYSTEM + KEYWORDS))
        r = s.c.okay("UID STORE %s %sFLAGS%s (%s)" % (
            ",".join(map(str, uids)), sign, self.rng.choice(["", ".SILENT"]), " ".join(flags)))
        self.model.store(uids, sign, flags)
        s.hear(r)
        return None

    def conditional(self, s):
        """Two sessions claim with what they know: exactly the first may win."""
        if len(self.sessions) < 2 or not self.live(s):
            return self.noop(s)
        uid = self.rng.choice(self.live(s))
        r = s.c.okay("UID FETCH %d (MODSEQ)" % uid)
        s.hear(r)
        m = r.by_uid()[uid]["MODSEQ"][0]
        other = self.rng.choice(self.sessions)
        if uid not in other.view:
            return None
        flag = "c%d" % self.rng.randrange(10**6)
        won = s.c.okay("UID STORE %d (UNCHANGEDSINCE %d) +FLAGS.SILENT (red %s)" % (uid, m, flag))
        lost = other.c.okay("UID STORE %d (UNCHANGEDSINCE %d) +FLAGS.SILENT (red)" % (uid, m))
        s.hear(won)
        other.hear(lost)
        assert won.code != "MODIFIED" and lost.code == "MODIFIED"
        self.model.store([uid], "+", {"red", flag})
        s.hear(s.c.okay("UID STORE %d -FLAGS.SILENT (%s)" % (uid, flag)))
        self.model.store([uid], "-", {flag})
        return None

    def fetch(self, s):
        if not s.view:
            return self.noop(s)
        n = self.rng.randrange(1, len(s.view) + 1)
        r = s.c.cmd("FETCH %d (UID FLAGS)" % n)
        s.hear(r)
        return None

    def search(self, s):
        flag = self.rng.choice(KEYWORDS)
        self.noop(s)
        r = s.c.okay("UID SEARCH KEYWORD %s" % flag)
        s.hear(r)
        want = sorted(u for u, f in self.model.messages.items() if flag in f)
        assert sorted(r.search()) == want

    def expunge(self, s):
        self.noop(s)  # so that it knows of everything: see IMAP.md section 6
        s.hear(s.c.okay("EXPUNGE"))
        self.model.expunge()

    def noop(self, s):
        s.hear(s.c.okay("NOOP"))
        assert len(s.view) == len(self.model.messages)

    def agree(self):
        for s in self.sessions:
            s.hear(s.c.okay("NOOP"))
            r = s.c.okay("UID FETCH 1:* (FLAGS MODSEQ)")
            s.hear(r)
            flags = {u: set(i["FLAGS"]) - {r"\Recent"} for u, i in r.by_uid().items()}
            assert flags == self.model.messages
            assert s.view == sorted(self.model.messages)
            for uid, heard in s.heard.items():
                assert uid not in flags or heard == flags[uid]


@pytest.mark.tidemark_only
@pytest.mark.parametrize("qresync", [False, True])
@pytest.mark.parametrize("k", range(4))
def test_random_sessions_agree_with_the_model(connect, account, seed, qresync, k):
    rng = random.Random(seed * 8 + k * 2 + qresync)
    run = Run(rng, [Session(connect(account), qresync) for _ in range(3)])
    for _ in range(150):
        run.step()
    run.agree()
