"""structure.py: BODYSTRUCTURE as a tree of parts with their section numbers."""


class Part:
    """One part. `section` is its number ("" for the whole message, "2.1" below)."""

    def __init__(self, section, value):
        self.section = section
        self.value = value
        self.children = []
        self.multipart = isinstance(value[0], list)
        if self.multipart:
            n = 0
            while n < len(value) and isinstance(value[n], list):
                n += 1
            self.type = "multipart/" + text(value[n])
            self.extension = value[n + 1:]
            below = section + "." if section else ""
            self.children = [Part("%s%d" % (below, i + 1), v) for i, v in enumerate(value[:n])]
            return
        self.section = section or "1"
        self.type = "%s/%s" % (text(value[0]), text(value[1]))
        self.params, self.id, self.description, self.encoding, self.octets = value[2:7]
        at = 7
        self.lines = self.envelope = self.inner = None
        if self.type == "message/rfc822":
            self.envelope, body, self.lines = value[7:10]
            inner = Part(self.section, body)
            if not inner.multipart:
                inner = Part(self.section + ".1", body)
            self.inner = inner
            at = 10
        elif self.type.startswith("text/"):
            self.lines = value[7]
            at = 8
        self.extension = value[at:]

    def walk(self):
        yield self
        for c in self.children:
            yield from c.walk()
        if not self.multipart and self.inner is not None:
            yield from self.inner.walk()

    def leaves(self):
        return [p for p in self.walk() if not p.multipart]


def text(value):
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).lower()


def tree(bodystructure):
    return Part("", bodystructure)
