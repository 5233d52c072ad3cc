"""What is kept of a run as evidence: figures, command and machine, and nothing that belongs to one disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.keep_record import evidence, main
from snellen.runs.run import Run


def test_a_run_is_kept_with_its_grades_confidence_and_guards_but_without_lists_of_images(own_run: Run) -> None:
    kept = evidence(own_run)
    assert kept["grades"]["val"]["plain"]["accuracy"]["n"] == 30
    assert kept["confidence_val"]["calibration"]["ece"] == own_run.read("confidence_val.json")["calibration"]["ece"]
    assert kept["guards"]["processor_seconds"] > 0
    assert "ids" not in json.dumps(kept["confidence_val"])
    assert "robustness" not in kept


def test_the_rows_of_a_robustness_card_stay(own_run: Run) -> None:
    card = {"clean": {"value": 0.5}, "rows": [{"corruption": "blur", "severity": "sigma 1 px"}]}
    own_run.write("robustness.json", card)
    assert evidence(own_run)["robustness"] == card


def test_each_run_becomes_a_file_that_names_no_folder_of_this_disk(
    own_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(own_run.folder), "--into", str(tmp_path / "results")]) == 0
    written = (tmp_path / "results" / f"{own_run.name}.json").read_text()
    assert str(tmp_path) not in json.dumps(json.loads(written)["info"])
    assert main([str(tmp_path / "nowhere"), "--into", str(tmp_path / "results")]) == 1
    assert "snellen:" in capsys.readouterr().err


def test_what_a_guard_says_of_a_file_is_kept_without_its_folder(own_run: Run) -> None:
    own_run.write("guards.json", {"results": [{"evidence": "as far as /srv/data/runs/ledger.jsonl knows"}]})
    assert evidence(own_run)["guards"]["results"] == [{"evidence": "as far as ledger.jsonl knows"}]
