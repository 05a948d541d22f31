"""The fixtures of the crash tests: servers that are meant to die.

A folder with an account and mailboxes is prepared once; each test gets a copy of it. TIDEMARK_LONG
set: more rounds.
"""
import os
import re
import shutil
import subprocess
import tempfile
import time

import pytest

import book
from server import Server, binary

EXTRA = "partitions: 4\n"


@pytest.fixture(autouse=True)
def still_alive():
    """These servers die; there is no server of the session to look after."""
    yield


def long_run():
    return bool(os.environ.get("TIDEMARK_LONG"))


@pytest.fixture(scope="session")
def template():
    if not os.path.exists(binary()):
        pytest.skip("%s is not built" % binary())
    s = Server(extra=EXTRA).start()
    book.prepare(s)
    assert s.stop() == 0
    yield s.folder
    s.remove()


@pytest.fixture
def make_server(template):
    """make_server(env=..., args=...): a stopped server with a copy of the prepared folder."""
    made = []

    def make(parent=None, **kw):
        folder = tempfile.mkdtemp(prefix="tidemark-crash-", dir=parent)
        shutil.copytree(template, folder, dirs_exist_ok=True)
        os.remove(os.path.join(folder, "tidemarkd.yaml"))
        kw.setdefault("extra", EXTRA)
        s = Server(folder=folder, **kw)
        made.append(s)
        return s
    yield make
    for s in made:
        if s.running():
            s.kill()
        shutil.rmtree(s.folder, ignore_errors=True)


def check_store(server):
    """(exit code, findings and the last line) of --check-store; the server is stopped."""
    r = subprocess.run([binary(), "--check-store", server.data], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=120)
    return r.returncode, r.stdout


def consistent(server):
    code, text = check_store(server)
    assert code == 0 and "\n0 findings" in "\n" + text, text[-3000:]


def with_hooks():
    """Are there crash and fault points in the binary?"""
    with open(binary(), "rb") as f:
        return b"TIDEMARK_CRASH_AT" in f.read()


def wait_until(done, limit=30.0, step=0.02):
    """Poll `done` until it is true."""
    end = time.monotonic() + limit
    while not done():
        assert time.monotonic() < end, "did not happen within %g s" % limit
        time.sleep(step)


def bodies(server):
    """How many bodies are stored; the server is stopped."""
    code, text = check_store(server)
    assert code == 0, text[-3000:]
    return int(re.search(r"(\d+) bodies", text).group(1))


def errors(server):
    return [line for line in server.logs if "level=error" in line]
