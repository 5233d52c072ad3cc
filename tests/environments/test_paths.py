"""Folders as people name them: blanks, quotes, letters in two spellings, line breaks, and bytes that are no letters."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from tests.environments.conftest import TRAIN, child, require_fine

AWKWARD = {
    "blanks": "my  own runs ",
    "composed": unicodedata.normalize("NFC", "Café Ångström Ω"),
    "decomposed": unicodedata.normalize("NFD", "Café Ångström Ω"),
    "quotes": """it's "mine" `x` $HOME;&|*?""",
    "a line break": "first\nsecond",
    "markup": "[red]not red {x} %s",
    "bytes": os.fsdecode(b"caf\xe9"),
    "a hyphen": "-rf",
}


QUICK = ("composed", "quotes", "bytes")


@pytest.mark.parametrize(
    "name", [pytest.param(AWKWARD[key], id=key, marks=[] if key in QUICK else pytest.mark.slow) for key in AWKWARD]
)
def test_a_run_below_any_folder_is_graded_and_its_name_comes_back_whole(place: Path, name: str) -> None:
    (place / name).mkdir()
    run = f"./{name}/first"
    shutil.copytree(place / "runs" / "first", place / run)
    found = json.loads(require_fine(child("evaluate", run, "--json", cwd=place)))
    assert found["run"] == f"{name}/first"


@pytest.mark.slow
@pytest.mark.parametrize("name", [AWKWARD["decomposed"], AWKWARD["quotes"], AWKWARD["bytes"], AWKWARD["a line break"]])
def test_all_of_it_works_inside_such_a_folder(place: Path, name: str) -> None:
    folder = place / name
    folder.mkdir()
    require_fine(child(*TRAIN, "--runs", folder, "--name", "first", cwd=place))
    run = folder / "first"
    require_fine(child("predict", run, place / "letter.png", cwd=place))
    require_fine(child("report", run, "--layer-views", "2", cwd=place))
    require_fine(child("evaluate", run, "--split", "test", cwd=place))
    assert (run / "report.html").stat().st_size > 100_000
    assert json.loads((folder / "ledger.jsonl").read_bytes().splitlines()[0])["kind"] == "intent"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [AWKWARD["blanks"], AWKWARD["bytes"], AWKWARD["markup"]], ids=["blanks", "bytes", "markup"]
)
def test_own_pictures_may_lie_in_such_a_folder(place: Path, name: str) -> None:
    for label in ("a", name):
        (place / name / label).mkdir(parents=True)
        for number in range(3):
            picture = place / name / label / f"{number}.png"
            shutil.copy(place / "letter.png", picture)
            with picture.open("ab") as file:
                file.write(f"{number}".encode() + os.fsencode(label))
    about = json.loads(require_fine(child("data", "info", f"./{name}", "--json", cwd=place)))
    assert sorted(about["classes"]) == sorted(["a", name.strip().replace("\udce9", "\\xe9")])
    settings = ("--set", "epochs=1", "--recipe", "plain", "--size", "16", "--device", "cpu", "--precision", "fp32")
    require_fine(child("train", f"./{name}", *settings, "--name", "own", cwd=place))
    require_fine(child("predict", "runs/own", "letter.png", cwd=place))
    require_fine(child("report", "runs/own", "--layer-views", "2", cwd=place))


@pytest.mark.slow
def test_the_commands_that_are_printed_can_be_typed(place: Path) -> None:
    """What `next` advises, taken word for word by a shell, names the folder."""
    out = require_fine(child(*TRAIN, "--runs", AWKWARD["quotes"], "--name", "first", cwd=place))
    start = "         snellen evaluate "
    advice = next(line.removeprefix(start) for line in out.splitlines() if line.startswith(start) and "--per-" in line)
    asked = ["bash", "-c", f"printf '%s\\0' {advice}"]
    words = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    assert words == shlex.split(advice) == [f"{AWKWARD['quotes']}/first", "--per-class"]
