"""book.py: a load of several clients that writes down what was answered, and the check afterwards.

What a worker was answered OK must be there; what was under way when the server died may be there
or not, but whole and once. Each token (a mail with a content of its own) belongs to one worker, so
that there is no doubt about the order of what happened to it.
"""
import hashlib
import random
import re
import threading

import imapc
import lmtpc
from imapc import Lit

USER, PASSWORD = "joe", "pw"
BOXES = ("in", "out", "deep")  # of the worker that moves
CLAIMS = 4                     # messages that are claimed
BIG = 300 * 1024               # goes ahead in chunks


def mail(token, big=False):
    """The mail of a token: its bytes follow from the token alone."""
    head = "Subject: %s\r\nMessage-ID: <%s@crash>\r\n\r\n" % (token, token)
    seed = hashlib.sha256(token.encode()).hexdigest()
    lines = BIG // 66 if big else 1 + int(seed[:2], 16) % 40
    return (head + (seed + "\r\n") * lines).encode()


def is_big(token):
    return token.endswith("b")


class Book:
    """What is known. A place is (mailbox, uid or None)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.there = {}     # token -> {mailbox: uid or None (not told)}
        self.maybe = {}     # token -> list of alternatives, each {mailbox: uid or None}
        self.gone = set()   # tokens that were expunged everywhere
        self.wins = {}      # (uid, modseq that was the condition) -> (modseq after, keyword)
        self.claims_open = {}  # uid -> keywords of claims without an answer
        self.marks = {}     # mailbox -> (uidvalidity, uidnext, highestmodseq)
        self.names = {}     # name -> True, False
        self.names_maybe = []  # lists of alternatives, each {name: bool}
        self.validity = {}  # name -> the highest uidvalidity told
        self.answered = 0
        self.refused = []   # what a worker stopped at; on a good disk there is none
        self.problems = []

    def put(self, token, places):
        with self.lock:
            self.there[token] = places
            self.maybe.pop(token, None)
            self.answered += 1

    def doubt(self, token, *alternatives):
        with self.lock:
            self.maybe[token] = list(alternatives)

    def mark(self, box, validity, uidnext, modseq):
        """Seen by a client: never lower again."""
        with self.lock:
            old = self.marks.get(box, (0, 0, 0))
            if (validity, uidnext, modseq) < old or (
                    validity == old[0] and (uidnext < old[1] or modseq < old[2])):
                self.problems.append("%s went back from %s to %s"
                                     % (box, old, (validity, uidnext, modseq)))
            self.marks[box] = (validity, uidnext, modseq)


def prepare(server):
    """The account and its mailboxes, once, before the load."""
    server.admin.add(USER, PASSWORD)
    with connect(server) as c:
        for name in BOXES + ("claims",):
            c.okay("CREATE " + name)
        for i in range(CLAIMS):
            c.okay("APPEND claims ", Lit(mail("claim%d" % i), plus=True))


def connect(server, select=None):
    c = imapc.Client(server.host, server.ports["imap"])
    c.login(USER, PASSWORD)
    if select:
        c.select(select)
    return c


def status(c, box):
    r = c.okay("STATUS %s (UIDVALIDITY UIDNEXT HIGHESTMODSEQ)" % box).one("STATUS")
    pairs = r.values[1]
    d = {str(k).upper(): v for k, v in zip(pairs[::2], pairs[1::2])}
    return d["UIDVALIDITY"], d["UIDNEXT"], d["HIGHESTMODSEQ"]


class Load:
    """Runs until the server is gone or stop()."""

    def __init__(self, server, book, seed, run=0):
        self.server, self.book, self.run = server, book, run
        self.random = random.Random(seed)
        self.ending = threading.Event()
        self.threads = []
        for i, work in enumerate((self.append, self.append, self.deliver, self.claim, self.claim,
                                  self.claim, self.move, self.name, self.watch)):
            rng = random.Random(self.random.random())
            t = threading.Thread(target=self.guard, args=(work, "%s%d" % (work.__name__, i), rng),
                                 daemon=True)
            self.threads.append(t)

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def stop(self):
        self.ending.set()
        return self.join()

    def join(self, limit=60):
        for t in self.threads:
            t.join(limit)
        assert not any(t.is_alive() for t in self.threads), "a client hangs"
        return self

    def guard(self, work, name, rng):
        try:
            work(name, rng)
        except (imapc.Closed, OSError, EOFError):
            pass
        except AssertionError as e:
            # LOGIN or a command was answered BYE or NO [UNAVAILABLE] on the way down
            if not self.ending.is_set() and self.server.running():
                self.book.refused.append("%s: %s" % (name, e))

    def more(self):
        return not self.ending.is_set()

    def token(self, name, n, big=False):
        return "r%d-%s-%d%s" % (self.run, name, n, "b" if big else "s")

    def append(self, name, rng):
        with connect(self.server) as c:
            n = 0
            while self.more():
                n += 1
                token = self.token(name, n, big=rng.random() < 0.15)
                self.append_one(c, "INBOX", token)

    def append_one(self, c, box, token):
        self.book.doubt(token, {}, {box: None})
        r = c.cmd("APPEND %s " % box, Lit(mail(token, is_big(token)), plus=True))
        if r.ok:
            uid = int(r.codes()["APPENDUID"][1])
            self.book.put(token, {box: uid})
            return uid
        self.book.doubt(token, {})
        return None

    def deliver(self, name, rng):
        with lmtpc.Lmtp(self.server.host, self.server.ports["lmtp"]) as c:
            c.lhlo()
            n = 0
            while self.more():
                n += 1
                token = self.token(name, n, big=rng.random() < 0.1)
                self.book.doubt(token, {}, {"INBOX": None})
                _, final = c.deliver([USER], mail(token, is_big(token)))
                if final[0].code == 250:
                    self.book.put(token, {"INBOX": None})

    def claim(self, name, rng):
        """STORE UNCHANGEDSINCE: the flags say who won last."""
        words = ["$%s%s" % (name, x) for x in "ab"]
        with connect(self.server, "claims") as c:
            while self.more():
                self.claim_one(c, rng.randint(1, CLAIMS), words)

    def claim_one(self, c, uid, words):
        got = c.okay("UID FETCH %d (FLAGS MODSEQ)" % uid).by_uid()[uid]
        before = got["MODSEQ"][0]
        word = words[words[0] in got["FLAGS"]]  # one that is not set: who wins changes something
        with self.book.lock:
            self.book.claims_open.setdefault(uid, []).append(word)
        r = c.okay("UID STORE %d (UNCHANGEDSINCE %d) FLAGS (%s)" % (uid, before, word))
        with self.book.lock:
            self.book.claims_open[uid].remove(word)
            if "MODIFIED" in r.codes():
                return
            after = min(i["MODSEQ"][0] for _, i in r.fetches()
                        if i.get("UID") == uid and word in i.get("FLAGS", ()))
            if (uid, before) in self.book.wins:
                self.book.problems.append("uid %d modseq %d: %s won after %s" % (
                    uid, before, word, self.book.wins[uid, before]))
            self.book.wins[uid, before] = (after, word)
            self.book.answered += 1

    def move(self, name, rng):
        with connect(self.server, "in") as c:
            n = 0
            while self.more():
                n += 1
                token = self.token(name, n)
                uid = self.append_one(c, "in", token)
                if uid is not None:
                    getattr(self, rng.choice(("copy_one", "move_one", "expunge_one")))(
                        c, token, uid)

    def copyuid(self, r):
        """The one target UID; MOVE says it untagged, COPY tagged. (On a failing disk the session
        may not have been told of the message, and an unknown UID is an OK without effect.)"""
        assert "COPYUID" in r.codes(), r
        return int(r.codes()["COPYUID"][2])

    def copy_one(self, c, token, uid):
        self.book.doubt(token, {"in": uid}, {"in": uid, "out": None})
        r = c.okay("UID COPY %d out" % uid)
        self.book.put(token, {"in": uid, "out": self.copyuid(r)})

    def move_one(self, c, token, uid):
        self.book.doubt(token, {"in": uid}, {"deep": None})
        r = c.okay("UID MOVE %d deep" % uid)
        self.book.put(token, {"deep": self.copyuid(r)})

    def expunge_one(self, c, token, uid):
        c.okay("UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
        self.book.doubt(token, {"in": uid}, {})
        c.okay("UID EXPUNGE %d" % uid)
        self.book.put(token, {})

    def name(self, name, rng):
        """CREATE, RENAME, DELETE; a name that is made again gets a higher UIDVALIDITY."""
        book = self.book
        with connect(self.server) as c:
            n = 0
            while self.more():
                n += 1
                a, b = "n%d/%s" % (n % 5, name), "m%d/%s" % (n % 5, name)
                for box in (a, b):
                    if book.names.get(box):
                        self.change(c, "DELETE " + box, {box: False})
                self.change(c, "CREATE " + a, {a: True})
                validity = status(c, a)[0]
                with book.lock:
                    if validity <= book.validity.get(a, 0):
                        book.problems.append("%s was made again with UIDVALIDITY %d after %d" % (
                            a, validity, book.validity[a]))
                    book.validity[a] = validity
                if rng.random() < 0.5:
                    self.change(c, "RENAME %s %s" % (a, b), {a: False, b: True})
                    with book.lock:
                        book.validity[b] = max(book.validity.get(b, 0), status(c, b)[0])

    def change(self, c, command, after):
        book = self.book
        with book.lock:
            before = {k: book.names.get(k, False) for k in after}
            book.names_maybe = [before, after]
        c.okay(command)
        with book.lock:
            book.names.update(after)
            book.names_maybe = []
            book.answered += 1

    def watch(self, name, rng):
        with connect(self.server) as c:
            while self.more():
                box = rng.choice(("INBOX", "claims") + BOXES)
                self.book.mark(box, *status(c, box))


# --- afterwards

TOKEN = re.compile(rb"^Subject: (\S+)\r\n")


def read_box(c, box):
    """uid -> token, or None for a mail that is not whole."""
    r = c.select(box)
    if not any(x.number for x in r.all("EXISTS")):
        return {}
    out = {}
    for uid, items in c.okay("UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])").by_uid().items():
        body = items["BODY[]"]
        body = body[body.index(b"Subject: "):]  # LMTP puts lines in front
        token = TOKEN.match(body).group(1).decode()
        assert items["RFC822.SIZE"] == len(items["BODY[]"])
        assert body == mail(token, is_big(token)), "%s is not whole" % token
        out[uid] = token
    return out


def places_of(c):
    """token -> {mailbox: uid}; a token twice in a mailbox fails."""
    out = {}
    for box in ("INBOX",) + BOXES:
        for uid, token in read_box(c, box).items():
            here = out.setdefault(token, {})
            assert box not in here, "%s is twice in %s" % (token, box)
            here[box] = uid
    return out


def fits(found, wanted):
    return set(found) == set(wanted) and all(
        wanted[box] in (None, uid) for box, uid in found.items())


def check_tokens(c, book):
    found = places_of(c)
    for token, wanted in book.there.items():
        if token not in book.maybe:
            assert fits(found.get(token, {}), wanted), (
                "%s was answered to be at %s, is at %s" % (token, wanted, found.get(token)))
    for token, alternatives in book.maybe.items():
        assert any(fits(found.get(token, {}), a) for a in alternatives), (
            "%s may be at one of %s, is at %s" % (token, alternatives, found.get(token)))
    unknown = set(found) - set(book.there) - set(book.maybe)
    assert not unknown, "never sent: %s" % unknown
    settle(book, found)


def settle(book, found):
    """The doubts are over: what was found counts from now on."""
    for token in list(book.maybe):
        book.there[token] = found.get(token, {})
    book.maybe = {}


def check_claims(c, book):
    c.select("claims")
    now = c.okay("UID FETCH 1:* (FLAGS MODSEQ)").by_uid()
    for uid in range(1, CLAIMS + 1):
        after = {m: word for (u, _), (m, word) in book.wins.items() if u == uid}
        modseq, flags = now[uid]["MODSEQ"][0], [f for f in now[uid]["FLAGS"] if f[0] == "$"]
        newest = max(after, default=0)
        assert modseq >= newest, "uid %d: a won claim is lost (%d, was %d)" % (uid, modseq, newest)
        if modseq == newest:
            assert flags == [after[newest]], (uid, flags, after[newest])
        elif after or flags:
            doubted = book.claims_open.get(uid, [])
            assert flags and flags[0] in doubted, (uid, modseq, newest, flags, doubted)
    for (uid, before), _ in sorted(book.wins.items())[-8:]:  # nobody wins them again
        r = c.okay("UID STORE %d (UNCHANGEDSINCE %d) +FLAGS ($late)" % (uid, before))
        assert r.ok and "MODIFIED" in r.codes(), "uid %d: modseq %d was won twice: %r, was %r" % (
            uid, before, r, book.wins[uid, before])
    book.claims_open = {}
    for uid in range(1, CLAIMS + 1):
        doubt_of_flags = [f for f in now[uid]["FLAGS"] if f[0] == "$"]
        if doubt_of_flags:
            book.wins[uid, now[uid]["MODSEQ"][0] - 1] = (now[uid]["MODSEQ"][0], doubt_of_flags[0])


def check_names(c, book):
    listed = {r.values[2].decode() if isinstance(r.values[2], bytes) else str(r.values[2])
              for r in c.okay('LIST "" "*/*"').all("LIST")
              if "\\Noselect" not in r.values[0] and "\\NonExistent" not in r.values[0]}
    doubted = set(k for a in book.names_maybe for k in a)
    for name, exists in book.names.items():
        if name not in doubted:
            assert (name in listed) == exists, "%s: %s, was answered %s" % (
                name, name in listed, exists)
    if book.names_maybe:
        found = {k: k in listed for k in doubted}
        assert found in book.names_maybe, (found, book.names_maybe)
        book.names.update(found)
        book.names_maybe = []


def check_marks(c, book):
    for box in list(book.marks):
        book.mark(box, *status(c, box))
    for name, validity in book.validity.items():
        if book.names.get(name):
            now = status(c, name)[0]
            assert now >= validity, (name, now, validity)


def check(server, book, may_refuse=False):
    """Everything that was answered OK is there, whole and once; nothing went back."""
    with connect(server) as c:
        check_names(c, book)
        check_marks(c, book)
        check_tokens(c, book)
        check_claims(c, book)
    assert not book.problems, book.problems
    assert may_refuse or not book.refused, book.refused
