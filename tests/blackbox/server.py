"""server.py: one tidemarkd for tests: its configuration, its start, its end, its accounts.

All that the tests know of the configuration's keys stands in config_text(); all that they know
of the admin port stands in Admin. Crash and cluster tests use this too.

Environment: TIDEMARKD (the binary; default build/debug/tidemarkd), TIDEMARK_ARGS (added to its
command line, e.g. "--route remote"), TIDEMARK_LOOPS.
"""
import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
START_LIMIT = 60.0  # seconds; a debug build under ASan on a busy machine


def binary():
    return os.environ.get("TIDEMARKD") or os.path.join(ROOT, "build", "debug", "tidemarkd")


def free_ports(n):
    socks = [socket.socket() for _ in range(n)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def config_text(data, ports, certificates, client_ca, loops):
    """The only place in the tests that knows the configuration's keys."""
    certs = ", ".join('{certificate: "%s", key: "%s"}' % pair for pair in certificates)
    return """\
data: "{data}"
imap: {{listen: "127.0.0.1:{imap}"}}
imaps: {{listen: "127.0.0.1:{imaps}"}}
lmtp: {{listen: "127.0.0.1:{lmtp}"}}
admin: {{listen: "127.0.0.1:{admin}"}}
tls: {{certificates: [{certs}], client_ca: "{ca}"}}
auth: {{plaintext_on_loopback: true}}
loops: {loops}
""".format(data=data, certs=certs, ca=client_ca, loops=loops, **ports)


def openssl(*args, cwd):
    subprocess.run(("openssl",) + args, cwd=cwd, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_certificates(folder, client_names=("alice",)):
    """A CA, two server certificates (localhost, other.example), one per client name."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=test-ca",
            cwd=folder)
    for name in ("localhost", "other.example"):
        issue(folder, name, "subjectAltName=DNS:%s" % name)
    for name in client_names:
        issue(folder, name)


def issue(folder, name, extension=None):
    """NAME.pem and NAME.key, signed by the CA of make_certificates()."""
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name, cwd=folder)
    args = ["x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", name + ".pem", "-days", "30"]
    if extension:
        with open(os.path.join(folder, name + ".ext"), "w") as f:
            f.write(extension + "\n")
        args += ["-extfile", name + ".ext"]
    openssl(*args, cwd=folder)


class Admin:
    """The admin HTTP port."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def request(self, method, path, body=None):
        """(status, body bytes, headers)"""
        c = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            c.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            r = c.getresponse()
            return r.status, r.read(), dict(r.getheaders())
        finally:
            c.close()

    def checked(self, method, path, body=None):
        status, data, _ = self.request(method, path, body)
        if not 200 <= status < 300:
            raise AssertionError("%s %s answered %d %r" % (method, path, status, data[:300]))
        return data

    def add(self, name, password):
        self.checked("POST", "/accounts", {"name": name, "password": password})

    def passwd(self, name, password):
        self.checked("PUT", "/accounts/" + name, {"password": password})

    def delete(self, name):
        self.checked("DELETE", "/accounts/" + name)

    def list(self):
        return json.loads(self.checked("GET", "/accounts"))["accounts"]

    def metrics(self):
        """Prometheus' text format -> {"name{labels}": value}"""
        out = {}
        for line in self.checked("GET", "/metrics").decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                out[name] = float(value)
        return out


class Server:
    """One process. `folder` holds data, configuration, certificates and logs; `extra` is more
    of its configuration."""

    def __init__(self, folder=None, args=(), loops=None, env=None, extra=""):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="tidemark-test-")
        self.args = shlex.split(os.environ.get("TIDEMARK_ARGS", "")) + list(args)
        self.loops = loops or int(os.environ.get("TIDEMARK_LOOPS", "2"))
        self.env = dict(os.environ, **(env or {}))
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
        self.extra = extra
        self.data = os.path.join(self.folder, "data")
        self.config = os.path.join(self.folder, "tidemarkd.yaml")
        self.logs = []       # complete lines of the present run
        self.process = None
        self.host = "127.0.0.1"
        if not os.path.exists(os.path.join(self.folder, "ca.pem")):
            make_certificates(self.folder)
        self.ports = dict(zip(("imap", "imaps", "lmtp", "admin"), free_ports(4)))
        self.admin = Admin(self.host, self.ports["admin"])

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_config(self):
        pairs = [(self.path(n + ".pem"), self.path(n + ".key"))
                 for n in ("localhost", "other.example")]
        os.makedirs(self.data, exist_ok=True)
        with open(self.config, "w") as f:
            f.write(config_text(self.data, self.ports, pairs, self.path("ca.pem"), self.loops)
                    + self.extra)

    def command(self):
        return [binary(), "--config", self.config] + self.args

    def start(self, wait=True):
        if not os.path.exists(self.config):
            self.write_config()
        self.logs = []
        self.ready = threading.Event()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env=self.env)
        self.reader = threading.Thread(target=self.read_log, args=(self.process,), daemon=True)
        self.reader.start()
        if wait:
            self.wait_ready()
        return self

    def read_log(self, process):
        with open(self.path("log"), "ab") as keep:
            for line in process.stderr:
                keep.write(line)
                keep.flush()
                text = line.decode("utf-8", "replace").rstrip("\n")
                self.logs.append(text)
                if "msg=ready" in text.split() or 'msg="ready"' in text:
                    self.ready.set()
        self.ready.set()

    def wait_ready(self):
        if not self.ready.wait(START_LIMIT) or self.process.poll() is not None:
            raise AssertionError("tidemarkd did not become ready:\n" + self.log_tail())

    def log_tail(self, lines=40):
        """The end of the log; of a sanitizer's report its beginning, which says what happened."""
        for i, line in enumerate(self.logs):
            if "Sanitizer:" in line or "runtime error:" in line:
                return "\n".join(self.logs[max(i - 5, 0):i + 2 * lines])
        return "\n".join(self.logs[-lines:])

    def wait_log(self, wanted, limit=30.0):
        """The first log line that contains `wanted`."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            for line in list(self.logs):
                if wanted in line:
                    return line
            time.sleep(0.02)
        raise AssertionError("%r not in the log:\n%s" % (wanted, self.log_tail()))

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait_end(self, limit=30.0):
        """Wait for the process; its exit code."""
        code = self.process.wait(limit)
        self.reader.join(10)
        return code

    def stop(self):
        """SIGTERM; the exit code, which must be 0 also under the sanitizers."""
        if self.process is None:
            return 0
        if self.running():
            self.signal(signal.SIGTERM)
        try:
            return self.wait_end()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("tidemarkd did not stop within 30 s:\n" + self.log_tail())

    def kill(self):
        if self.running():
            self.process.kill()
        self.wait_end()

    def remove(self):
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
