"""mails.py: mails for tests: small ones made here, odd ones read from tests/mail/."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(HERE), "mail")


def crlf(data):
    """As it goes over the wire: every line ends with CRLF, whatever the file has."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def load(name):
    with open(os.path.join(FOLDER, name), "rb") as f:
        return crlf(f.read())


def all_names(largest=10**9):
    """Relative paths of all .eml files, sorted."""
    out = []
    for folder, _, files in os.walk(FOLDER):
        for f in files:
            path = os.path.join(folder, f)
            if f.endswith(".eml") and os.path.getsize(path) <= largest:
                out.append(os.path.relpath(path, FOLDER))
    return sorted(out)


def simple_mail(subject="a test", body="Hello.\r\n", sender="Ann Sender <ann@example.org>",
                to="bob@example.net", extra="", date="Mon, 7 Feb 1994 21:52:25 -0800"):
    return ("From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\n"
            "Message-ID: <%s@example.org>\r\n%s\r\n%s" % (
                sender, to, subject, date, subject.replace(" ", "."), extra, body)).encode()
