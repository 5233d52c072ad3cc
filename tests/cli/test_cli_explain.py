"""`snellen explain`: every step readable in a narrow terminal, and an exit code that says whether they agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snellen.predict.predictions import Predictions
from snellen.runs.run import Run

Snellen = Callable[..., Any]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_every_line_fits_the_terminal(
    snellen: Snellen, own_run: Run, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    answer = snellen("explain", own_run.folder)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert max(map(len, lines)) <= min(columns, 100)
    assert not [line for line in lines if line != line.rstrip()]
    assert "✓ Drawn letter" in answer.out
    assert "come out the same by hand" in " ".join(answer.out.split())


def test_the_lines_of_a_long_statement_hang_below_its_first(
    snellen: Snellen, own_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = snellen("explain", own_run.folder).out.splitlines()
    at = lines.index("                  return functional.cross_entropy(logits, targets,")
    assert lines[at + 1] == "                      weight=class_weights, label_smoothing=label_smoothing,"
    inner = next(
        at for at, line in enumerate(lines) if line.startswith("                  batch = blend_(batch, grey(")
    )
    assert lines[inner + 1].startswith(
        " " * 22 + "keepdim=True"
    )  # a statement of a block hangs below its own beginning


def test_json_holds_every_step_with_its_lines_numbers_and_verdict(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("explain", own_run.folder, "--split", "train", "--epoch", "1", "--json")
    assert (answer.code, answer.err) == (0, "")
    content = answer.json
    assert (content["split"], content["epoch"], content["passed"]) == ("train", 1, True)
    assert [stage["key"] for stage in content["stages"]][:4] == ["disk", "picture", "fractions", "augmented"]
    for stage in content["stages"]:
        assert stage["check"]["difference"] <= stage["check"]["tolerance"]
        assert all(stage[line]["code"] and ":" in stage[line]["place"] for line in ("production", "by_hand"))


def test_the_picture_asked_for_is_the_one_explained(snellen: Snellen, own_run: Run) -> None:
    ids = Predictions.load(own_run.folder / "predictions_val.npz").ids
    assert snellen("explain", own_run.folder, "--image", ids[4], "--json").json["image"] == ids[4]


def test_a_stored_answer_that_was_changed_is_exit_code_1_and_named(snellen: Snellen, own_run: Run) -> None:
    path = own_run.folder / "predictions_val.npz"
    stored = Predictions.load(path)
    replace(stored, logits=np.roll(stored.logits, 1, axis=1)).save(path)
    answer = snellen("explain", own_run.folder)
    assert answer.code == 1
    assert "✗ What was written down" in answer.out
    assert "otherwise by hand: What was written down" in " ".join(answer.out.split())


def test_out_writes_one_sheet_of_all_pictures(snellen: Snellen, own_run: Run, tmp_path: Path) -> None:
    answer = snellen("explain", own_run.folder, "--out", tmp_path / "walk.png")
    assert answer.code == 0
    with Image.open(tmp_path / "walk.png") as sheet:
        assert sheet.height > sheet.width > 1000
        assert len(np.unique(np.asarray(sheet.convert("RGB")).reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--image", "99999"), 2, "--image 99999 is not in val"),
        (("--epoch", "2"), 2, "--epoch 2 is not possible: this training has epochs 0 to 1."),
        (("--epoch", "-1"), 2, "--epoch -1 is not possible"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(
    snellen: Snellen, own_run: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    answer = snellen("explain", own_run.folder, *arguments)
    assert (answer.code, words in answer.sentence) == (code, True)


def test_test_pictures_are_not_on_offer(snellen: Snellen, own_run: Run) -> None:
    assert snellen("explain", own_run.folder, "--split", "test").code == 2
