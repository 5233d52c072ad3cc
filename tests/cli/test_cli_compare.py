"""`snellen compare OLD NEW`: the verdict, one table, what to know about the numbers; also after the data changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snellen.predict.predictions import Predictions
from snellen.runs.run import Run


@pytest.fixture
def mended(own_run: Run) -> Run:
    """The run as if trained later on mended data: some pictures gone, renamed and relabelled, most answers right."""
    run = Run(own_run.folder.parent / "mended")
    shutil.copytree(own_run.folder, run.folder)
    stored = Predictions.load(run.folder / "predictions_val.npz")
    labels = stored.labels.copy()
    labels[20:23] = (labels[20:23] + 1) % 10
    logits = np.eye(10, dtype=np.float32)[labels] + stored.logits / 100
    at = np.arange(len(stored) - 1, 9, -1)
    changed: Any = Predictions(
        logits, labels, stored.ids, stored.class_names, "val", data="mended", names=stored.names,
        identities=stored.identities,
    ).take(at)  # fmt: skip
    changed.save(run.folder / "predictions_val.npz")
    data = run.info["data"]
    data["train"] |= {"count": data["train"]["count"] - 7, "fingerprint": "b" * 64}
    run.update_info(data=data, val={"accuracy": {"hits": len(at), "n": len(at), "value": 1.0}})
    run.write("environment.json", {**run.read("environment.json"), "started": "2099-01-01T00:00:00+00:00"})
    return run


def test_verdict_table_and_notes_in_80_columns(
    snellen: Any, own_run: Run, mended: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(own_run.folder.parent)
    answer = snellen("compare", own_run.name, mended.name)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("mended is better than tiny: +")
    val = own_run.info["data"]["val"]["count"]
    said = " ".join(answer.out.split())
    for sentence in (
        f"Graded on the {val - 10} val pictures that all of them have, known by content: tiny {val}, mended "
        f"{val - 10}.",
        "3 of these carry other labels in one of them; the labels of mended, the newest, count.",
        "pictures (bbbbbb)",
    ):
        assert sentence in said


def test_json_says_the_same(snellen: Any, own_run: Run, mended: Run) -> None:
    found = snellen("compare", own_run.folder, mended.folder, own_run.folder, "--json").json
    assert [row["decided"] for row in found["rows"]] == [False, True, False]
    assert found["rows"][1]["changes"][0]["field"] == "train"
    assert found["shared"]["relabelled"] == 3


def test_what_cannot_be_compared_is_said_in_a_sentence(snellen: Any, own_run: Run, tmp_path: Path) -> None:
    assert snellen("compare", own_run.folder).sentence.endswith("snellen compare runs/OLD runs/NEW")
    assert "There is no run at" in snellen("compare", own_run.folder, tmp_path / "nowhere").sentence
    other = Run(own_run.folder.parent / "other")
    shutil.copytree(own_run.folder, other.folder)
    stored = Predictions.load(other.folder / "predictions_val.npz")
    object.__setattr__(stored, "identities", np.arange(len(stored), dtype=np.uint64))
    stored.save(other.folder / "predictions_val.npz")
    answer = snellen("compare", own_run.folder, other.folder)
    assert (answer.code, "no picture in common" in answer.sentence) == (2, True)
