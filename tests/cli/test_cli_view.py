"""`snellen view`: the address it prints, how it ends, and what it refuses before any work."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from snellen.runs.run import Run

Snellen = Callable[..., Any]


@pytest.mark.parametrize("port", ["-1", "80", "65536"])
def test_a_port_that_is_not_ours_to_take_is_one_sentence(snellen: Snellen, own_run: Run, port: str) -> None:
    answer = snellen("view", own_run.folder, "--port", port)
    assert answer.code == 2
    assert f"--port {port} is not possible: 1024 to 65535, or 0 for a free one." in answer.sentence


def test_a_taken_port_is_one_sentence(snellen: Snellen, own_run: Run) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        answer = snellen("view", own_run.folder, "--port", other.getsockname()[1])
    assert answer.code == 2
    assert "cannot be had" in answer.sentence


def test_without_a_run_it_asks_which(snellen: Snellen) -> None:
    assert snellen("view").sentence == "snellen: Which run? snellen view runs/NAME"


@pytest.mark.processes
@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_extra_is_one_sentence_with_the_line_that_installs_it(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from snellen.cli.main import main\nsys.exit(main(['view', 'runs/x']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "snellen: The viewer needs Starlette and uvicorn: pip install 'snellen[view]'\n"


@pytest.mark.processes
def test_help_does_not_import_the_server() -> None:
    code = (
        "import sys\nfrom snellen.cli.main import main\nmain(['--help'])\n"
        "try: main(['view', '--help'])\nexcept SystemExit: pass\n"
        "print({'starlette', 'uvicorn', 'torch'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_it_prints_its_address_and_drains_within_five_seconds(
    own_run: Run, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    script = Path(__file__).parents[1] / "small_eyechart.py"
    command = [sys.executable, str(script), "view", str(own_run.folder), "--layer-views", "0", "--device", "cpu",
               "--no-browser"]  # fmt: skip
    environment = {**os.environ, "SNELLEN_LEDGER": str(tmp_path / "ledger.jsonl")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stderr is not None
            url = running.stdout.readline().split()[1]
            port = httpx.URL(url).port
            with httpx.Client(follow_redirects=True, timeout=60) as browser:
                assert browser.get(url).status_code == 200
                key = browser.cookies[f"snellen-{port}"]
            # An upload that is under way when the end is asked for must not hold it up.
            host = f"127.0.0.1:{port}"
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.sendall(
                    f"POST /answer HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
                    f"Cookie: snellen-{port}={key}\r\nContent-Length: 9\r\n\r\nhalf".encode()
                )
                began = time.monotonic()
                running.send_signal(number)
                said = []  # until the last word; the interpreter then takes its own time to leave
                for text in running.stderr:
                    said.append(text)
                    if text == "snellen: Stopped.\n":
                        break
                assert time.monotonic() - began < 5
            assert running.wait(60) == code
            assert "Traceback" not in "".join(said)
        finally:
            running.kill()
