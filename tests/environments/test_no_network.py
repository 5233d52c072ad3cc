"""No telemetry: every verb on a machine without a network, where each attempt to reach one is refused and written down.

Python tells an audit hook of every socket before it acts, also of those opened in C through `_socket`; where the kernel
lends one, the process has an empty network of its own besides.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.environments.conftest import TRAIN, WALK, child, require_fine

GUARD = """
import os, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        with open(os.environ["HEARD"], "a") as file:
            file.write(f"{event} {arguments[-1] if event != 'socket.getaddrinfo' else arguments[0]}\\n")
        raise OSError(f"nothing leaves this machine: {event}")
sys.addaudithook(refuse)
"""
EVERY_MODULE = """
import importlib, pkgutil, sys, snellen
names = [one.name for one in pkgutil.walk_packages(snellen.__path__, "snellen.") if one.name != "snellen.__main__"]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, str]:
    """Variables under which every Python process refuses and remembers."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    return {"PYTHONPATH": str(tmp_path / "guard"), "HEARD": str(tmp_path / "heard")}


def heard(guarded: dict[str, str]) -> list[str]:
    path = Path(guarded["HEARD"])
    return path.read_text().splitlines() if path.exists() else []


def alone() -> tuple[str, ...]:
    """The prefix that gives a process a network with nothing in it, where this user may have one."""
    if shutil.which("unshare") and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0:
        return ("unshare", "-n")
    return ()


def test_every_verb_works_without_a_network_and_none_asks_for_one(place: Path, guarded: dict[str, str]) -> None:
    out = require_fine(child(cwd=place, script=WALK, env=guarded, before=alone()))
    assert len(out.splitlines()) == 24
    assert heard(guarded) == []


def test_no_module_opens_a_connection_when_it_is_imported(tmp_path: Path, guarded: dict[str, str]) -> None:
    (tmp_path / "every.py").write_text(EVERY_MODULE)
    out = require_fine(child(cwd=tmp_path, script=tmp_path / "every.py", env=guarded))
    assert int(out) > 180
    assert heard(guarded) == []


def test_the_guard_can_hear(tmp_path: Path, guarded: dict[str, str]) -> None:
    (tmp_path / "reach.py").write_text("import urllib.request; urllib.request.urlopen('http://example.invalid/x')")
    done = child(cwd=tmp_path, script=tmp_path / "reach.py", env=guarded)
    assert "nothing leaves this machine" in done.stderr
    assert heard(guarded) == ["socket.getaddrinfo example.invalid"]


def test_a_download_that_was_asked_for_is_one_sentence_without_a_network(
    tmp_path: Path, guarded: dict[str, str]
) -> None:
    done = child("data", "download", "cifar10", "--data", "d", cwd=tmp_path, env=guarded)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "could not be downloaded" in done.stderr
    assert heard(guarded)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here: apt-get install strace")
def test_the_kernel_is_asked_for_no_connection_during_a_training(tmp_path: Path) -> None:
    """What libraries in C and C++ do is no news to Python; to the kernel it is."""
    log = tmp_path / "calls"
    watch = ("strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(log))
    require_fine(child(*TRAIN, cwd=tmp_path, before=watch))
    assert "AF_INET" not in log.read_text()
    reach = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    subprocess.run([*watch, sys.executable, "-c", reach], check=True, timeout=60)
    assert "AF_INET" in log.read_text()  # so it can be seen
