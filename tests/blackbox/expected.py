#!/usr/bin/env python3
"""expected.py HOST:PORT PASSWORD: writes tests/mail/expected.json from what a server answers.

Made once with Dovecot 2.3, and judged mail by mail; Tidemark must answer what stands in the file.
Of twelve broken mails it stands there as Tidemark sees them: white space around and in a folded
date is one blank, an empty Content-Disposition is none, a list member that is no address is left
out, the parsing of a list goes on behind one, and no part begins behind a last boundary.
"""
import hashlib
import json
import sys
import uuid

from imapc import Client, Lit
from mails import FOLDER, all_names, load
from structure import tree


def plain(value):
    """As JSON: strings as latin-1 text; the case of MIME types and names does not matter."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def lower_types(s):
    """Types, subtypes, encodings and parameter names in lower case, in place."""
    if isinstance(s[0], list):
        n = 0
        while isinstance(s[n], list):
            lower_types(s[n])
            n += 1
        s[n] = s[n].lower()
        rest = n + 1
    else:
        s[0], s[1], s[5] = s[0].lower(), s[1].lower(), (s[5] or "").lower()
        s[2] = s[2] and [v if i % 2 else v.lower() for i, v in enumerate(s[2])]
        if s[0] + "/" + s[1] == "message/rfc822":
            lower_types(s[8])
        return s
    if len(s) > rest and s[rest]:
        s[rest] = [v if i % 2 else v.lower() for i, v in enumerate(s[rest])]
    return s


def describe(c):
    """ENVELOPE, BODYSTRUCTURE, and a digest of every part, of message 1."""
    items = c.okay("FETCH 1 (ENVELOPE BODYSTRUCTURE)").one("FETCH").items
    top = tree(items["BODYSTRUCTURE"])
    out = {"envelope": plain(items["ENVELOPE"]),
           "structure": lower_types(plain(items["BODYSTRUCTURE"])), "parts": {}}
    names = []
    for p in top.walk():
        if p.section:
            names.append(p.section)
            if p is not top:
                names.append(p.section + ".MIME")
    for n in sorted(set(names)):
        data = c.okay("FETCH 1 BODY.PEEK[%s]" % n).one("FETCH").items["BODY[%s]" % n] or b""
        out["parts"][n] = [len(data), hashlib.sha256(data).hexdigest()[:16]]
    return out


def main(server, password):
    host, _, port = server.rpartition(":")
    out = {}
    for name in all_names():
        with Client(host, int(port)) as c:
            c.login("g" + uuid.uuid4().hex[:12], password)
            c.okay("APPEND INBOX ", Lit(load(name)))
            c.select()
            out[name] = describe(c)
    with open(FOLDER + "/expected.json", "w") as f:
        json.dump(out, f, indent=0, sort_keys=True)
        f.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
