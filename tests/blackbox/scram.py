"""scram.py: a SCRAM client (RFC 5802, 7677), with channel binding if asked."""
import base64
import hashlib
import hmac
import os


def sasl_name(name):
    return name.replace("=", "=3D").replace(",", "=2C")


class Scram:
    """first(), then final(server_first), then check(server_final)."""

    def __init__(self, user, password, digest="sha256", gs2="n,,", binding=b"", authzid=None):
        self.digest = digest
        self.password = password
        self.gs2 = gs2 if authzid is None else gs2[:-1] + "a=%s," % sasl_name(authzid)
        self.binding = binding
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.bare = "n=%s,r=%s" % (sasl_name(user), self.nonce)

    def first(self, _challenge=b""):
        return (self.gs2 + self.bare).encode()

    def hmac(self, key, data):
        return hmac.new(key, data, self.digest).digest()

    def final(self, challenge):
        server_first = challenge.decode()
        fields = dict(x.split("=", 1) for x in server_first.split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce)
        self.iterations = int(fields["i"])
        salted = hashlib.pbkdf2_hmac(self.digest, self.password.encode(),
                                     base64.b64decode(fields["s"]), self.iterations)
        c = base64.b64encode(self.gs2.encode() + self.binding).decode()
        without = "c=%s,r=%s" % (c, fields["r"])
        message = ",".join((self.bare, server_first, without)).encode()
        client_key = self.hmac(salted, b"Client Key")
        stored = hashlib.new(self.digest, client_key).digest()
        signature = self.hmac(stored, message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.expected = self.hmac(self.hmac(salted, b"Server Key"), message)
        return ("%s,p=%s" % (without, base64.b64encode(proof).decode())).encode()

    def check(self, challenge):
        """The server's signature: it knows the password, too. The last answer is empty."""
        fields = dict(x.split("=", 1) for x in challenge.decode().split(","))
        assert base64.b64decode(fields["v"]) == self.expected, "wrong server signature"
        return b""
