"""`snellen runs`: every run of a folder in a line, and one that cannot be read does not cost the others."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from snellen.recipes.catalog import RECIPES
from snellen.runs.run import Run
from snellen.serialize import to_json


@pytest.fixture
def several(own_run: Run) -> Path:
    """The run, one of a published recipe with a change, in a ladder's folder, and one that was stopped."""
    root = own_run.folder.parent
    changed, stopped = (Run(root / name) for name in ("ladder/changed", "stopped"))
    for run in (changed, stopped):
        shutil.copytree(own_run.folder, run.folder)
    changed.write("recipe.json", to_json(RECIPES["glance"].replace(epochs=7, label_smoothing=0.25)))
    changed.write("environment.json", {"started": "2020-05-06T07:08:09+00:00"})
    val = changed.info["val"] | {"best_of": 7}
    corrected = {"name": "c.csv", "sha256": "3fa2b1" + "0" * 58, "rows": [["a.png", "", "C", "D", ""]] * 12}
    changed.update_info(seconds=754.0, val=val, data=changed.info["data"] | {"corrections": corrected})
    stopped.update_info(status="interrupted")
    return root


def test_runs_are_listed_with_what_was_changed_the_newest_last(
    snellen: Any, several: Path, own_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = snellen("runs", several, "--json").json
    assert [Path(one["folder"]).name for one in found["runs"]] == ["changed", "stopped", "tiny"]
    first, stopped, tiny = found["runs"]
    assert (first["corrections"], tiny["corrections"]) == ("12 rows (3fa2b1)", None)
    assert {change["field"]: change["after"] for change in first["changes"]} == {"epochs": 7, "label_smoothing": 0.25}
    accuracy = own_run.info["val"]["accuracy"]
    assert first["val"] == {"hits": accuracy["hits"], "n": accuracy["n"], "best_of": 7}
    assert (stopped["status"], stopped["val"], tiny["changes"]) == ("interrupted", None, None)

    answer = snellen("runs", several)
    lines = answer.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "ladder/changed" in lines[1]
    for words in ("12.6 2020-05-06", "interrupted", "recipe of its own", "epochs 2 → 7", "corrections 12"):
        assert words in " ".join(answer.out.split())


@pytest.mark.parametrize("broken", ["{", '{"format": 1}', None, "corrections"])
def test_a_run_that_cannot_be_read_is_named_and_the_others_are_listed(
    snellen: Any, own_run: Run, broken: str | None
) -> None:
    bad = Run(own_run.folder.parent / "bad")
    shutil.copytree(own_run.folder, bad.folder)
    if broken == "corrections":
        bad.update_info(data=bad.info["data"] | {"corrections": {"rows": 3}})
    elif broken is None:
        bad.update_info(val=bad.info["val"] | {"best_of": 0})
    else:
        (bad.folder / "run.json").write_text(broken)
    answer = snellen("runs", own_run.folder.parent)
    assert answer.code == 0
    assert "tiny" in answer.out
    assert str(bad.folder) in answer.out.replace("\n", "")


def test_where_there_is_none_it_is_said(snellen: Any, tmp_path: Path) -> None:
    assert "There is no folder runs." in snellen("runs").sentence
    (tmp_path / "runs").mkdir()
    assert "There are no runs in runs. Train one" in snellen("runs").out
