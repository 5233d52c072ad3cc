"""`snellen completion`: the shells take the scripts, and Tab offers what there is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snellen.cli.main import VERBS

Snellen = Callable[..., Any]


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from snellen.cli.completion import script

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


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_offers_every_command_and_the_options_of_one(bash_script: Path) -> None:
    assert set(VERBS) <= set(offered(bash_script, "snellen", ""))
    assert offered(bash_script, "snellen", "eval") == ["evaluate"]
    assert "--budget" in offered(bash_script, "snellen", "train", "--bu")
    assert set(offered(bash_script, "snellen", "train", "--precision", "")) >= {"auto", "fp32", "bf16"}


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
