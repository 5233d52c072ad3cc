"""`snellen completion`: the shells take the scripts, and Tab offers what there is."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snellen.cli.completion import script
from snellen.cli.main import VERBS

Snellen = Callable[..., Any]


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "snellen.bash"
    path.write_text(script("bash"))
    return path


def offered(script: Path, *words: str) -> list[str]:
    """What bash offers when Tab is pressed after these words, the last of them unfinished."""
    line = " ".join(words)
    asked = (
        f"source {script}; COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; "
        f"COMP_LINE='{line}'; COMP_POINT={len(line)}; _tyro_snellen; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    return [each.strip() for each in done.stdout.splitlines() if each.strip()]


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_offers_every_command_and_the_options_of_one(bash_script: Path) -> None:
    assert set(VERBS) <= set(offered(bash_script, "snellen", ""))
    assert offered(bash_script, "snellen", "eval") == ["evaluate"]
    assert "--budget" in offered(bash_script, "snellen", "train", "--bu")
    assert set(offered(bash_script, "snellen", "train", "--precision", "")) >= {"auto", "fp32", "bf16"}


def fish_offers(script: Path, line: str) -> list[str]:
    """What fish offers for a command line, its first column."""
    asked = f"source {script}; complete -C {line!r}"
    done = subprocess.run(["fish", "--no-config", "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    return [each.split("\t")[0] for each in done.stdout.splitlines()]


def zsh_offers(folder: Path, line: str, awaited: str) -> str:
    """What a zsh on a terminal shows when Tab is pressed behind a command line, until `awaited` is among it."""
    leader, follower = pty.openpty()
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "COLUMNS": "200", "LINES": "100"}
    shell = subprocess.Popen(["zsh", "-f", "-i"], stdin=follower, stdout=follower, stderr=follower, cwd=folder,
                             env=variables, start_new_session=True)  # fmt: skip
    os.close(follower)
    try:
        start = f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; LISTMAX=1000; print be''gan\n"
        os.write(leader, start.encode())
        read_until(leader, "began")
        os.write(leader, f"{line}\t".encode())
        return read_until(leader, awaited)
    finally:
        shell.kill()
        shell.wait()
        os.close(leader)


def read_until(terminal: int, awaited: str) -> str:
    """What a terminal writes until `awaited` is among it, or nothing has come for 20 seconds."""
    seen = ""
    while awaited not in seen and select.select([terminal], [], [], 20)[0]:
        seen += os.read(terminal, 65_536).decode(errors="replace")
    return seen


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here: apt-get install fish")
def test_fish_offers_every_command_and_the_options_of_one(tmp_path: Path) -> None:
    (tmp_path / "snellen.fish").write_text(script("fish"))
    assert set(VERBS) <= set(fish_offers(tmp_path / "snellen.fish", "snellen "))
    assert fish_offers(tmp_path / "snellen.fish", "snellen eval") == ["evaluate"]
    assert "--budget" in fish_offers(tmp_path / "snellen.fish", "snellen train --bu")


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here: apt-get install zsh")
def test_zsh_offers_every_command_and_the_options_of_one(tmp_path: Path) -> None:
    (tmp_path / "_snellen").write_text(script("zsh"))
    assert "evaluate" in zsh_offers(tmp_path, "snellen eval", "evaluate")
    assert "--budget" in zsh_offers(tmp_path, "snellen train --bu", "--budget")
    shown = zsh_offers(tmp_path, "snellen ", max(VERBS))
    assert not [verb for verb in VERBS if verb not in shown]


@pytest.mark.processes
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(snellen: Snellen, shell: str, tmp_path: Path) -> None:
    answer = snellen("completion", shell)
    assert answer.code == 0
    assert "snellen" in answer.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(answer.out)
        checked = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True, timeout=60)
        assert checked.stderr == ""
        assert checked.returncode == 0


def test_a_shell_that_is_not_known_is_refused(snellen: Snellen) -> None:
    assert snellen("completion", "tcsh").code == 2
