"""lmtpc.py: a raw LMTP client for tests (RFC 2033; RFC 3030 for BDAT)."""
import re
import socket

TIMEOUT = 30.0


class Reply:
    """code (int), enhanced ("2.1.5" or None), lines (list of text without the code)."""

    def __init__(self, lines):
        self.lines = []
        codes = set()
        for i, line in enumerate(lines):
            m = re.match(rb"(\d{3})([ -])(.*)\r\n$", line, re.S)
            assert m, "not a reply line: %r" % line
            assert (m.group(2) == b" ") == (i == len(lines) - 1), lines
            codes.add(int(m.group(1)))
            self.lines.append(m.group(3).decode("utf-8", "replace"))
        assert len(codes) == 1, lines
        self.code = codes.pop()
        m = re.match(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)", self.lines[0])
        self.enhanced = m.group(1) if m else None

    def __repr__(self):
        return "<%d %s>" % (self.code, " / ".join(self.lines))


class Lmtp:
    def __init__(self, host, port, timeout=TIMEOUT):
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.greeting = self.reply()

    def send_raw(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self.buf:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("LMTP connection closed")
            self.buf += data
        line, _, self.buf = self.buf.partition(b"\n")
        return line + b"\n"

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return Reply(lines)

    def cmd(self, text):
        self.send_raw(text if isinstance(text, bytes) else text.encode())
        self.send_raw(b"\r\n")
        return self.reply()

    def okay(self, text):
        r = self.cmd(text)
        assert 200 <= r.code < 400, "%s answered %r" % (text, r)
        return r

    def lhlo(self, name="test.example"):
        return self.okay("LHLO " + name)

    def extensions(self):
        """Keyword -> parameters, as LHLO lists them."""
        out = {}
        for line in self.lhlo().lines[1:]:
            word, _, rest = line.partition(" ")
            out[word.upper()] = rest
        return out

    def deliver(self, recipients, data, sender="sender@example.org", mail_params=""):
        """One transaction; returns the RCPT replies and the final replies, in order."""
        self.okay("MAIL FROM:<%s>%s" % (sender, mail_params))
        rcpt = [self.cmd("RCPT TO:<%s>" % r) for r in recipients]
        accepted = [r for r in rcpt if r.code == 250]
        go = self.cmd("DATA")
        if go.code != 354:
            return rcpt, [go]
        self.send_raw(stuff(data) + b".\r\n")
        return rcpt, [self.reply() for _ in accepted]

    def quit(self):
        r = self.cmd("QUIT")
        self.close()
        return r

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def stuff(data):
    """Dot-stuffing, and a final CRLF (RFC 5321 4.5.2)."""
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", data)
