"""docs/own.md, followed word by word: its files are written, its commands run, its Python too."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from snellen import parts
from snellen.cli.main import main
from snellen.guards.guard import read_guards
from snellen.runs.run import open_run

PAGE = Path(__file__).parents[1] / "docs" / "own.md"
RUNS = ("own", "all", "theirs", "shapes", "more", "guarded", "quick", "python", "given", "square")


@pytest.mark.usefixtures("small_eyechart", "own_parts_forgotten")
def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for language, block in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        name = re.match(r"# (\w+\.py)\n", block)
        if language == "sh":
            for line in block.replace("\\\n", " ").splitlines():
                parts._ALLOWED.clear()  # each command is a process of its own
                assert main(shlex.split(line)[1:]) == 0, line
        elif language == "json":
            Path("quick.json").write_text(block, encoding="utf-8")
        elif name:
            Path(name[1]).write_text(block, encoding="utf-8")
        else:
            exec(block, {})
    for run in RUNS:
        assert open_run(Path("runs") / run).info["status"] == "finished"
    assert "bright-enough" in {result.name for result in read_guards(open_run(Path("runs/guarded")))}
    assert open_run(Path("runs/more")).info["data"]["subset"] == 300
