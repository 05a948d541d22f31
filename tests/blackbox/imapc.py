"""imapc.py: a raw IMAP client for tests.

It hides nothing: a test sends exact bytes and gets exact bytes, and, beside them, the same
response as Python values. It is strict: what is not IMAP grammar raises ProtocolError, also in
responses that a test does not look at. Every client carries a Mirror, which follows the
mailbox as this session was told of it and raises when a rule is broken that holds for every
server and command (RFC 3501 7.4.1: no EXPUNGE while FETCH, STORE or SEARCH; sequence numbers
and UIDs never drift).

Values: an atom is str, a string (quoted or literal) bytes, a number int, NIL None, a
parenthesised list a Python list.
"""
import base64
import re
import socket
import ssl
import time
import zlib

TIMEOUT = 30.0  # seconds until a missing answer fails a test; generous, never slept through


class ProtocolError(AssertionError):
    """The server said something that is not IMAP, or broke a rule that always holds."""


class Closed(ProtocolError):
    """The server closed the connection."""


class Lit:
    """A literal in a command: synchronising by default, `plus` for {n+} (RFC 7888)."""

    def __init__(self, data, plus=False):
        self.data = data if isinstance(data, bytes) else data.encode()
        self.plus = plus


def to_bytes(part):
    return part if isinstance(part, bytes) else str(part).encode()


ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"]+')           # an astring: "]" and "[" are in it
CODE_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\]]+')     # in a response code "]" ends it
ITEM_ATOM = re.compile(rb'(?i)(?:BODY|BINARY|BINARY\.SIZE)(?=\[)')  # BODY[..] as FETCH names it


class Scanner:
    """One response, already complete with its literals, turned into values."""

    def __init__(self, raw):
        self.raw = raw
        self.at = 0

    def fail(self, why):
        raise ProtocolError("%s at byte %d of %r" % (why, self.at, self.raw[:2000]))

    def peek(self, n=1):
        return self.raw[self.at:self.at + n]

    def take(self, wanted):
        if self.raw[self.at:self.at + len(wanted)] != wanted:
            self.fail("expected %r" % wanted)
        self.at += len(wanted)

    def space(self):
        self.take(b" ")

    def line_rest(self):
        """Text to the end of the line, which is the end of the response."""
        end = len(self.raw) - 2
        text = self.raw[self.at:end]
        if b"\r" in text or b"\n" in text or b"\0" in text:
            self.fail("CR, LF or NUL in text")
        self.at = end
        return text

    def atom(self, in_code=False):
        """An atom; BODY[...]<n>, as FETCH names what it sends, is one."""
        start = self.at
        if self.peek() == b"\\":
            self.at += 1
            if self.peek() == b"*":
                self.at += 1
                return self.raw[start:self.at].decode()
        item = None if in_code else ITEM_ATOM.match(self.raw, self.at)
        m = item or (CODE_ATOM if in_code else ATOM).match(self.raw, self.at)
        if not m:
            self.fail("expected an atom")
        self.at = m.end()
        if item:
            self.bracket()
        return self.raw[start:self.at].decode()

    def bracket(self):
        """The section of BODY[HEADER.FIELDS ("a" b)]<0>; kept as text in the name."""
        depth = 0
        while True:
            ch = self.peek()
            if ch in (b"", b"\r", b"\n"):
                self.fail("unfinished section")
            if ch == b'"':
                self.quoted()
                continue
            self.at += 1
            depth += {b"[": 1, b"]": -1}.get(ch, 0)
            if depth == 0:
                break
        m = re.compile(rb"<\d+>").match(self.raw, self.at)
        if m:
            self.at = m.end()

    def quoted(self):
        self.take(b'"')
        out = bytearray()
        while True:
            ch = self.peek()
            if ch in (b"", b"\r", b"\n", b"\0"):
                self.fail("unfinished quoted string")
            self.at += 1
            if ch == b'"':
                return bytes(out)
            if ch == b"\\":
                ch = self.peek()
                if ch not in (b'"', b"\\"):
                    self.fail("bad quoted special")
                self.at += 1
            if ch[0] > 127:
                self.fail("8-bit octet in a quoted string")
            out += ch

    def literal(self):
        m = re.compile(rb"\{(\d+)\}\r\n").match(self.raw, self.at)
        if not m:
            self.fail("bad literal")
        start = m.end()
        self.at = start + int(m.group(1))
        if self.at > len(self.raw):
            self.fail("short literal")
        return self.raw[start:self.at]

    def value(self, in_code=False):
        ch = self.peek()
        if ch == b"(":
            return self.list()
        if ch == b'"':
            return self.quoted()
        if ch == b"{":
            return self.literal()
        atom = self.atom(in_code)
        if atom.isdigit():
            return int(atom)
        return None if atom.upper() == "NIL" else atom

    def list(self):
        """(a b (c)); RFC 3501 lets lists of addresses and body parts stand without blanks."""
        self.take(b"(")
        out = []
        while self.peek() != b")":
            if out and self.peek() == b" ":
                self.at += 1
            elif out and self.peek() != b"(":
                self.fail("expected a blank")
            out.append(self.value())
        self.at += 1
        return out

    def code(self):
        """[NAME arg arg] of a status response; returns (name, args)."""
        self.take(b"[")
        name = self.atom(in_code=True).upper()
        args = []
        while self.peek() == b" ":
            self.at += 1
            if self.peek() == b"]":
                self.fail("blank before ]")
            args.append(self.value(in_code=True))
        self.take(b"]")
        return name, args

    def end(self):
        if self.raw[self.at:] != b"\r\n":
            self.fail("more than expected: %r" % self.raw[self.at:self.at + 60])


STATUSES = ("OK", "NO", "BAD", "BYE", "PREAUTH")


class Response:
    """One response. `kind` is the tag, "*" or "+"; `name` its upper-case word.

    For status responses: code, code_args, text. For "* 3 FETCH (..)": number and items.
    For all else: values (list).
    """

    def __init__(self, raw):
        self.raw = raw
        self.number = None
        self.values = []
        self.items = None
        self.code = None
        self.code_args = []
        self.text = ""
        s = Scanner(raw)
        m = re.compile(rb'([^\x00-\x20\x7f-\xff(){%"\\]+)').match(raw)
        if not m:
            s.fail("bad tag")
        self.kind = m.group(1).decode()
        s.at = m.end()
        if self.kind == "+":
            self.name = "+"
            if s.peek() == b" ":
                s.at += 1
            self.text = s.line_rest().decode("utf-8", "replace")
            return
        s.space()
        self.parse(s)

    def parse(self, s):
        first = s.atom(in_code=True)
        if first.isdigit():
            self.number = int(first)
            s.space()
            first = s.atom(in_code=True)
        self.name = first.upper()
        if self.name in STATUSES:
            return self.parse_status(s)
        if self.kind != "*":
            s.fail("tagged response is no status")
        if self.name == "FETCH":
            s.space()
            self.parse_items(s)
            return s.end()
        while s.peek() == b" ":
            s.at += 1
            if self.name == "SEARCH" and s.peek() == b"\r":
                break  # "* SEARCH " is seen in the wild, and harmless
            self.values.append(s.value(in_code=self.name == "VANISHED"))
        s.end()

    def parse_status(self, s):
        s.space()
        if s.peek() == b"[":
            self.code, self.code_args = s.code()
            if s.peek() == b" ":
                s.at += 1
        self.text = s.line_rest().decode("utf-8", "replace")

    def parse_items(self, s):
        values = s.list()
        if len(values) % 2:
            s.fail("odd FETCH list")
        self.items = {}
        for name, value in zip(values[::2], values[1::2]):
            if not isinstance(name, str):
                s.fail("FETCH item name is no atom: %r" % name)
            if name.upper() in self.items:
                s.fail("FETCH item twice: %s" % name)
            self.items[upper_name(name)] = value

    def __repr__(self):
        return repr(self.raw[:300])


def upper_name(name):
    """BODY[1.header] -> BODY[1.HEADER]; names of header fields in upper case as well."""
    return name.upper()


def parse_set(text):
    """"1:3,7" -> [1, 2, 3, 7] in the order written."""
    out = []
    for part in str(text).split(","):
        a, _, b = part.partition(":")
        a = int(a)
        b = int(b) if b else a
        out += range(min(a, b), max(a, b) + 1)
    return out


class Mirror:
    """The mailbox as this session was told of it; it raises when that contradicts itself."""

    HOLD = ("FETCH", "STORE", "SEARCH", "SORT", "THREAD")

    def __init__(self):
        self.reset()

    def reset(self):
        self.selected = False
        self.exists = None
        self.uids = {}      # sequence number -> UID, where we know it
        self.flags = {}     # UID -> set, as last told
        self.modseq = {}    # UID -> highest MODSEQ told
        self.highest = 0
        self.qresync = False

    def untagged(self, r, running):
        """`running`: the commands under way, upper case, oldest first."""
        if r.name == "EXISTS":
            if self.exists is not None and r.number < self.exists:
                raise ProtocolError("EXISTS fell from %d: %r" % (self.exists, r))
            self.exists = r.number
        elif r.name == "EXPUNGE":
            self.expunge(r, running)
        elif r.name == "VANISHED":
            self.vanished(r, running)
        elif r.name == "FETCH":
            self.fetch(r)
        elif r.code == "CLOSED":
            self.reset_keep()

    def reset_keep(self):
        q = self.qresync
        self.reset()
        self.qresync = q

    def may_expunge(self, r, running):
        if not running:
            raise ProtocolError("expunge while no command is in progress: %r" % r)
        for word in running[0].split()[:1]:
            if word in self.HOLD:
                raise ProtocolError("expunge during %s: %r" % (running[0], r))

    def expunge(self, r, running):
        self.may_expunge(r, running)
        if self.qresync:
            raise ProtocolError("EXPUNGE after ENABLE QRESYNC: %r" % r)
        self.remove(r.number, r)

    def remove(self, seq, r):
        if self.exists is None or not 1 <= seq <= self.exists:
            raise ProtocolError("expunge of %d, of %s messages: %r" % (seq, self.exists, r))
        self.exists -= 1
        moved = {}
        for s, u in self.uids.items():
            if s != seq:
                moved[s - 1 if s > seq else s] = u
        self.uids = moved

    def vanished(self, r, running):
        earlier = bool(r.values) and isinstance(r.values[0], list)
        if earlier:
            if [str(v).upper() for v in r.values[0]] != ["EARLIER"]:
                raise ProtocolError("odd VANISHED: %r" % r)
            return
        self.may_expunge(r, running)
        gone = parse_set(r.values[0])
        for uid in gone:
            seq = [s for s, u in self.uids.items() if u == uid]
            if seq:
                self.remove(seq[0], r)
            elif self.exists is not None and len(self.uids) < self.exists:
                self.exists -= 1
                self.uids = {}  # we no longer know which number is whose
            else:
                raise ProtocolError("VANISHED %d was never in the mailbox: %r" % (uid, r))

    def fetch(self, r):
        if self.exists is not None and not 1 <= r.number <= self.exists:
            raise ProtocolError("FETCH of %d, of %d messages: %r" % (r.number, self.exists, r))
        uid = r.items.get("UID")
        if uid is None:
            return
        known = self.uids.get(r.number)
        if known is not None and known != uid:
            raise ProtocolError("number %d was UID %d, now %d: %r" % (r.number, known, uid, r))
        self.uids[r.number] = uid
        for s, u in self.uids.items():
            if (s < r.number) != (u < uid) and s != r.number:
                raise ProtocolError("UIDs do not ascend: %d=%d, %d=%d" % (s, u, r.number, uid))
        if "FLAGS" in r.items:
            self.flags[uid] = set(r.items["FLAGS"])
        if "MODSEQ" in r.items:
            self.modseq[uid] = max(self.modseq.get(uid, 0), r.items["MODSEQ"][0])


class Result:
    """What one command brought: the tagged response, and all untagged before it."""

    def __init__(self, tagged, untagged):
        self.tagged = tagged
        self.untagged = untagged
        self.status = tagged.name
        self.code = tagged.code
        self.code_args = tagged.code_args
        self.text = tagged.text

    ok = property(lambda self: self.status == "OK")
    no = property(lambda self: self.status == "NO")
    bad = property(lambda self: self.status == "BAD")

    def all(self, name):
        return [r for r in self.untagged if r.name == name]

    def one(self, name):
        found = self.all(name)
        if len(found) != 1:
            raise AssertionError("%d untagged %s in %r" % (len(found), name, self))
        return found[0]

    def has(self, name):
        return bool(self.all(name))

    def codes(self):
        """Every response code, untagged and tagged: name -> args."""
        out = {r.code: r.code_args for r in self.untagged if r.code}
        if self.code:
            out[self.code] = self.code_args
        return out

    def fetches(self):
        """[(sequence number, items)] in order."""
        return [(r.number, r.items) for r in self.all("FETCH")]

    def by_uid(self):
        """UID -> items; items of one message are joined, what came without UID is left out."""
        out = {}
        for _, items in self.fetches():
            if "UID" in items:
                out.setdefault(items["UID"], {}).update(items)
        return out

    def search(self):
        """Numbers of the one SEARCH response (without MODSEQ)."""
        return [v for v in self.one("SEARCH").values if isinstance(v, int)]

    def search_modseq(self):
        for v in self.one("SEARCH").values:
            if isinstance(v, list) and str(v[0]).upper() == "MODSEQ":
                return v[1]
        return None

    def esearch(self):
        """(correlator or None, has UID, {name: value}) of the one ESEARCH response."""
        values = list(self.one("ESEARCH").values)
        tag = None
        if values and isinstance(values[0], list):
            first = values.pop(0)
            assert str(first[0]).upper() == "TAG" and len(first) == 2, first
            tag = first[1].decode()
        uid = bool(values) and str(values[0]).upper() == "UID"
        if uid:
            values.pop(0)
        assert len(values) % 2 == 0, values
        return tag, uid, {k.upper(): v for k, v in zip(values[::2], values[1::2])}

    def expunged(self):
        return [r.number for r in self.all("EXPUNGE")]

    def vanished(self, earlier=False):
        """UIDs of VANISHED, or with earlier=True of VANISHED (EARLIER)."""
        out = []
        for r in self.all("VANISHED"):
            is_earlier = isinstance(r.values[0], list)
            if is_earlier == earlier:
                out += parse_set(r.values[1 if is_earlier else 0])
        return out

    def __repr__(self):
        return "<%s>" % b"".join([r.raw[:400] for r in self.untagged] + [self.tagged.raw]).decode(
            "utf-8", "replace")


class Client:
    def __init__(self, host, port, tls=None, server_name=None, timeout=TIMEOUT, greeting=True):
        self.timeout = timeout
        self.tags = 0
        self.buf = b""
        self.inflate = self.deflate = None
        self.pending = []      # [(tag, command text)] in the order they were sent
        self.loose = []        # untagged responses not yet given to a Result
        self.done = {}         # tag -> Result
        self.mirror = Mirror()
        self.log = []          # what went both ways, for messages of failures
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname=server_name or host)
        self.greeting = self.read_response() if greeting else None

    # --- bytes

    def send_raw(self, data):
        data = to_bytes(data)
        self.log.append(b"C: " + data[:2000])
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.sock.sendall(data)

    def fill(self):
        self.sock.settimeout(self.timeout)
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            raise ProtocolError("no answer within %g s; before: %s" % (self.timeout, self.tail()))
        except OSError as e:
            raise Closed("connection lost (%s); before: %s" % (e, self.tail()))
        if not data:
            raise Closed("connection closed; before: %s" % self.tail())
        self.buf += self.inflate.decompress(data) if self.inflate else data

    def tail(self):
        return b" | ".join(self.log[-8:]).decode("utf-8", "replace")

    def read_exact(self, n):
        while len(self.buf) < n:
            self.fill()
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def read_line(self):
        while b"\n" not in self.buf:
            self.fill()
        line, _, self.buf = self.buf.partition(b"\n")
        line += b"\n"
        if not line.endswith(b"\r\n"):
            raise ProtocolError("line without CR: %r" % line[-200:])
        return line

    def read_response(self):
        """The next response, whatever it is; the mirror has seen it."""
        raw = self.read_line()
        while True:
            m = re.search(rb"\{(\d+)\}\r\n$", raw)
            if not m:
                break
            raw += self.read_exact(int(m.group(1)))
            raw += self.read_line()
        self.log.append(b"S: " + raw[:2000])
        r = Response(raw)
        if r.kind == "*":
            self.mirror.untagged(r, [cmd for _, cmd in self.pending])
        return r

    def nothing_more(self):
        """Nothing is waiting to be read: a NOOP's answer comes next and alone."""
        assert self.buf == b""

    def expect_closed(self):
        """Read to the end of the connection; returns the responses that came before it."""
        out = []
        while True:
            try:
                out.append(self.read_response())
            except Closed:
                return out

    # --- commands

    def tag(self):
        self.tags += 1
        return "t%d" % self.tags

    def send(self, *parts, tag=None):
        """Send one command and do not wait for its tag; parts are str, bytes or Lit."""
        tag = tag or self.tag()
        text = b" ".join(to_bytes(p).strip() for p in parts if not isinstance(p, Lit))
        self.pending.append((tag, text.upper().decode("utf-8", "replace")))
        out = tag.encode() + b" "
        for part in parts:
            if not isinstance(part, Lit):
                out += to_bytes(part)
                continue
            out += b"{%d%s}\r\n" % (len(part.data), b"+" if part.plus else b"")
            if not part.plus:
                self.send_raw(out)
                out = b""
                if not self.wait_plus(tag):
                    return tag
            out += part.data
        self.send_raw(out + b"\r\n")
        return tag

    def wait_plus(self, tag):
        """True when "+" came; False when the command was answered instead."""
        while tag not in self.done:
            r = self.read_response()
            if r.kind == "+":
                return True
            self.sort_in(r)
        return False

    def continuation(self):
        """Read up to the next "+" and return its text."""
        while True:
            r = self.read_response()
            if r.kind == "+":
                return r.text
            if r.kind != "*":
                raise ProtocolError("expected +: %r" % r)
            self.loose.append(r)

    def sort_in(self, r):
        if r.kind == "*":
            self.loose.append(r)
            return
        if r.kind == "+":
            raise ProtocolError("unexpected continuation: %r" % r)
        if not self.pending or self.pending[0][0] != r.kind:
            waited = [t for t, _ in self.pending]
            if r.kind not in waited:
                raise ProtocolError("tag never sent or answered twice: %r" % r)
            raise ProtocolError("answered out of order, %s were before: %r" % (waited, r))
        self.finish(self.pending.pop(0)[1], r)

    def finish(self, command, r):
        untagged, self.loose = self.loose, []
        self.done[r.kind] = Result(r, untagged)
        words = command.split()
        word = words[0] if words else ""
        if word in ("SELECT", "EXAMINE"):
            self.mirror.selected = r.name == "OK"
            if r.name != "OK":
                self.mirror.reset_keep()
        elif word in ("CLOSE", "UNSELECT") and r.name == "OK":
            self.mirror.reset_keep()
        elif word == "ENABLE" and r.name == "OK":
            for u in untagged:
                if u.name == "ENABLED" and "QRESYNC" in [str(v).upper() for v in u.values]:
                    self.mirror.qresync = True

    def wait(self, tag):
        while tag not in self.done:
            self.sort_in(self.read_response())
        return self.done.pop(tag)

    def cmd(self, *parts):
        """One command, from its sending to its tag."""
        word = to_bytes(parts[0]).split()[:1]
        if word and word[0].upper() in (b"SELECT", b"EXAMINE") and not self.pending:
            self.mirror.reset_keep()
        return self.wait(self.send(*parts))

    def okay(self, *parts):
        r = self.cmd(*parts)
        assert r.ok, "%r answered %r" % (parts, r)
        return r

    # --- conveniences that add nothing

    def login(self, user, password):
        return self.okay("LOGIN %s %s" % (quote(user), quote(password)))

    def select(self, mailbox="INBOX", params=""):
        return self.okay("SELECT %s%s" % (quote(mailbox), " " + params if params else ""))

    def capabilities(self):
        return [str(v).upper() for v in self.okay("CAPABILITY").one("CAPABILITY").values]

    def authenticate(self, mechanism, *steps, initial=None):
        """SASL: each step is bytes or a function of the challenge; b64 is done here."""
        line = "AUTHENTICATE " + mechanism
        if initial is not None:
            line += " " + (base64.b64encode(initial).decode() or "=")
        tag = self.send(line)
        for step in steps:
            if not self.wait_plus(tag):
                return self.done.pop(tag)
            challenge = base64.b64decode(self.last_plus())
            data = step(challenge) if callable(step) else step
            self.send_raw((data if data == b"*" else base64.b64encode(data)) + b"\r\n")
        return self.wait(tag)

    def last_plus(self):
        return self.log[-1][len(b"S: +"):].strip()

    def starttls(self, context, server_name="localhost"):
        r = self.okay("STARTTLS")
        assert self.buf == b"", "bytes after the STARTTLS answer: %r" % self.buf
        self.sock = context.wrap_socket(self.sock, server_hostname=server_name)
        return r

    def compress(self):
        r = self.okay("COMPRESS DEFLATE")
        self.inflate = zlib.decompressobj(-15)
        self.deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        if self.buf:
            self.buf = self.inflate.decompress(self.buf)
        return r

    def idle(self):
        tag = self.send("IDLE")
        if not self.wait_plus(tag):
            raise AssertionError("IDLE refused: %r" % self.done[tag])
        return tag

    def idle_until(self, found, limit=TIMEOUT):
        """Read untagged responses while IDLE until `found(responses)`; returns them."""
        got = []
        end = time.monotonic() + limit
        while not found(got):
            if time.monotonic() > end:
                raise AssertionError("not told within %g s: %r" % (limit, got))
            r = self.read_response()
            assert r.kind == "*", r
            got.append(r)
        return got

    def idle_done(self, tag):
        self.send_raw(b"DONE\r\n")
        return self.wait(tag)

    def logout(self):
        r = self.okay("LOGOUT")
        self.close()
        return r

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def quote(text):
    """A quoted string; for what a quoted string cannot hold, use Lit."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def insecure_tls(**kw):
    """A context that trusts any certificate: the tests' servers sign their own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in kw.items():
        setattr(context, name, value)
    return context


def utf7(name):
    """A mailbox name as modified UTF-7 (RFC 3501 5.1.3)."""
    out, run = "", ""

    def flush():
        if not run:
            return ""
        b = base64.b64encode(run.encode("utf-16-be")).rstrip(b"=").decode().replace("/", ",")
        return "&%s-" % b
    for ch in name:
        if " " <= ch <= "~":
            out += flush()
            run = ""
            out += "&-" if ch == "&" else ch
        else:
            run += ch
    return out + flush()
