"""programs.py: how the tests run other people's programs."""
import os
import shutil
import subprocess
import time

import pytest


def need(program):
    """Skip where the program is not installed (ops/test installs them: packages.txt, client)."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip("%s is not installed" % program)
    return path


def run(*argv, env=None, check=True, timeout=120, **kw):
    r = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env=dict(os.environ, **(env or {})), timeout=timeout, **kw)
    assert not check or r.returncode == 0, "%s:\n%s" % (argv, r.stdout.decode("utf-8", "replace"))
    return r.stdout


def until(found, limit=60, what="condition"):
    """Wait until found() is true; its value."""
    end = time.monotonic() + limit
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < end, "not within %g s: %s" % (limit, what)
        time.sleep(0.1)
