"""What is printed suits who reads it: a pipe, a terminal without colour, a narrow one, a program that wants JSON."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.environments.conftest import SMALL, TRAIN, child, require_fine
from tests.environments.walk import COMMANDS

from snellen.cli.main import VERBS

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-7]|38|9[0-7]|4[0-7]|48|10[0-7])(?:;[\d;]*)?m")
BY_HAND = {
    "demo": "takes a minute; its --json is that of train, and tests/cli/test_main.py sees that it has one",
    "view": "serves until it is stopped; tests/cli/test_cli_view.py reads its document",
}


def on_a_terminal(*arguments: str, cwd: Path, **env: str) -> str:
    """What a command writes when stdout and stderr are a terminal."""
    leader, follower = pty.openpty()
    variables = {"TERM": "xterm-256color", "HOME": str(cwd), "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]} | env
    variables["PYTHONPATH"] = str(Path(sys.modules["snellen"].__file__ or "").parents[1])
    done = subprocess.Popen(
        [sys.executable, str(SMALL), *arguments], cwd=cwd, env=variables, stdout=follower, stderr=follower
    )  # fmt: skip
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 65_536)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not part:
            break
        written += part
    os.close(leader)
    assert done.wait(60) in (0, 1, 2)
    return written.decode()


def test_every_verb_is_walked_with_json_or_says_why_not() -> None:
    """The walk itself, which reads one document from each, is in test_no_network.py."""
    assert {command[0] for command in COMMANDS} | set(BY_HAND) == set(VERBS)


def test_into_a_pipe_goes_text_alone(tmp_path: Path) -> None:
    env = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    done = child(*TRAIN, "--name", "first", cwd=tmp_path, env=env)
    require_fine(done)
    assert not CONTROL.search(done.stdout + done.stderr)
    assert len(done.stderr.splitlines()) <= 6  # the plan and one line an epoch; no bar


def test_a_terminal_is_drawn_on_and_no_color_is_obeyed(place: Path) -> None:
    command = ("predict", "runs/first", "letter.png", "nowhere.png")
    assert COLOUR.search(on_a_terminal(*command, cwd=place))
    assert not COLOUR.search(on_a_terminal(*command, cwd=place, NO_COLOR="1"))


@pytest.mark.parametrize("arguments", [("trian",), ("train", "--sead", "3"), ("train", "--help")], ids=" ".join)
def test_errors_and_help_obey_no_color(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert not COLOUR.search(on_a_terminal(*arguments, cwd=tmp_path, NO_COLOR="1"))
    assert "\x1b[" not in on_a_terminal("trian", cwd=tmp_path, TERM="dumb", NO_COLOR="1")


@pytest.mark.parametrize("columns", ["40", "20"])
def test_a_narrow_terminal_loses_no_word_of_the_grades(place: Path, columns: str) -> None:
    narrow = require_fine(child("evaluate", "runs/first", "--per-class", cwd=place, env={"COLUMNS": columns}))
    wide = require_fine(child("evaluate", "runs/first", "--per-class", cwd=place, env={"COLUMNS": "120"}))
    accuracy = re.search(r"\d+\.\d % \([\d.-]+, n=30\)", wide)
    assert accuracy is not None
    assert "".join(accuracy[0].split()) in "".join(narrow.split())
