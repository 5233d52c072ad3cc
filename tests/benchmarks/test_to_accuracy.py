"""Cold and warm clocks, and a test set that stays closed unless the ledger opens it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import seeds, to_accuracy
from benchmarks.interleaved import Trained
from benchmarks.to_accuracy import Options
from snellen.data.dataset import Dataset
from snellen.data.ledger import Ledger
from snellen.errors import InvalidSetting, UnknownName
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run, open_run
from snellen.train import fit

LINE = {"seconds": 10.0, "precision": "bf16", "device": "cpu", "accuracy": 0.9, "accuracy_tta": None, "run": "r"}


@pytest.fixture(autouse=True)
def _empty_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "curves_png", lambda path, *_, **__: path.touch())


def printed(monkeypatch: pytest.MonkeyPatch, *lines: dict[str, Any]) -> list[Sequence[str]]:
    """Instead of training, these lines are told, the first after 60 seconds."""
    asked: list[Sequence[str]] = []

    def run(trainers: Sequence[tuple[Sequence[str], int]]) -> list[Trained]:
        asked.extend(arguments for arguments, _ in trainers)
        return [Trained(tuple({**LINE, **line} for line in lines), 60.0, 2_500_000_000)]

    monkeypatch.setattr(to_accuracy, "train_interleaved", run)
    return asked


def test_cold_is_until_the_first_line_and_warm_the_median_of_the_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    printed(monkeypatch, {"seconds": 55.0}, {"seconds": 40.0}, {"seconds": 42.0})
    (line,) = to_accuracy.measure(Options())
    assert (line.figures["cold s"], line.figures["warm s"]) == (60.0, 41.0)
    assert line.figures["peak GB"] == 2.5
    assert (line.conditions.precision, line.conditions.device) == ("bf16", "cpu")


def test_one_training_is_cold_and_leaves_warm_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    printed(monkeypatch, {})
    (line,) = to_accuracy.measure(Options(seeds=1))
    assert line.figures["warm s"] is None
    assert line.figures["standard error"] is None


def test_the_accuracy_is_the_mean_over_all_seeds_with_its_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    printed(monkeypatch, {"accuracy_tta": 0.93}, {"accuracy_tta": 0.95})
    (line,) = to_accuracy.measure(Options())
    assert line.figures["accuracy %"] == pytest.approx(94.0)
    assert line.figures["standard error"] == pytest.approx(1.0)  # sd 1.414 points over the root of 2
    assert line.case.endswith("accuracy on val")


def test_a_final_training_without_a_reason_has_times_and_no_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = printed(monkeypatch, {}, {})
    monkeypatch.setattr(to_accuracy, "evaluate_on_test", None)  # would fail if it were called
    (line,) = to_accuracy.measure(Options(final=True))
    assert line.figures["accuracy %"] is None
    assert "sealed" in line.note
    assert asked[0][-1] == "--final"


def test_a_final_training_answers_substitutes_and_leaves_the_test_set_sealed(
    tmp_path: Path, tiny_dataset: Dataset, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    whole = seeds.predict

    def noted(model: Any, images: Any, **options: Any) -> Any:
        sizes.append(len(images))
        assert images.role == "train"
        return whole(model, images, **options)

    monkeypatch.setattr(seeds, "predict", noted)
    line = seeds.train_and_grade(
        tiny_recipe, tiny_dataset, seed=0, final=True, device="cpu", precision="fp32", runs=tmp_path
    )
    assert sizes == [60]  # as many as are sealed
    assert line["accuracy"] is None
    assert line["evaluation_seconds"] > 0
    assert not list(tmp_path.rglob("*.jsonl.lock")) + list(tmp_path.rglob("ledger*"))


def test_a_training_with_val_images_is_graded_on_them(
    tmp_path: Path, tiny_dataset: Dataset, tiny_recipe: Recipe
) -> None:
    line = seeds.train_and_grade(
        tiny_recipe, tiny_dataset, seed=1, final=False, device="cpu", precision="fp32", runs=tmp_path
    )
    card = open_run(Path(line["run"])).info["val"]
    assert (line["accuracy"], line["accuracy_tta"]) == (card["accuracy"]["value"], card["tta"]["accuracy"]["value"])
    assert line["seconds"] > 0


def test_with_a_reason_all_runs_are_one_look_in_the_ledger(
    tmp_path: Path,
    tiny_dataset: Dataset,
    tiny_recipe: Recipe,
    small_eyechart: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [
        seeds.train_and_grade(
            tiny_recipe, tiny_dataset, seed=seed, final=True, device="cpu", precision="fp32", runs=tmp_path / "runs"
        )
        for seed in (0, 1)
    ]
    printed(monkeypatch, *lines)
    settings = Options(dataset="eyechart", final=True, reason="the last number", ledger=tmp_path / "ledger.jsonl")
    (line,) = to_accuracy.measure(settings)
    intents = [entry for entry in Ledger(tmp_path / "ledger.jsonl").lines() if entry.kind == "intent"]
    assert [entry.content["reason"] for entry in intents] == ["the last number"]
    assert len(intents[0].content["candidates"]) == 2
    cards = [Run(Path(entry["run"])).read("scorecard_test.json") for entry in lines]
    shown = np.mean([card["with_tta"]["accuracy"]["value"] for card in cards])
    assert line.figures["accuracy %"] == pytest.approx(100 * shown)
    assert line.note.startswith("look 1")


def test_all_seeds_have_the_precision_that_the_first_one_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_eyechart: None
) -> None:
    asked: list[str] = []

    def train(*_: Any, precision: str, **__: Any) -> dict[str, Any]:
        asked.append(precision)
        return {**LINE, "precision": "bf16"}

    monkeypatch.setattr(seeds, "train_and_grade", train)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n" * 9))
    words = ["--dataset", "eyechart", "--recipe", "glance", "--seeds", "3", "--runs", str(tmp_path)]
    assert seeds.main(words) == 0
    assert asked == ["auto", "bf16", "bf16"]
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seeds": 0}, "--seeds 0"),
        ({"reason": "curious"}, "Add --final"),
        ({"ledger": Path("l.jsonl")}, "--ledger has no effect without --reason"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_trained(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        next(to_accuracy.measure(Options(**wrong)))


def test_an_unknown_data_set_is_one_sentence_and_offers_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownName):
        Options(dataset="cifar").require_possible()
    assert to_accuracy.main(["--dataset", "cifar", "--seeds", "2"]) == 2
    assert "Did you mean 'cifar10'?" in capsys.readouterr().err


def test_the_script_keeps_its_lines_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed(monkeypatch, {})
    assert to_accuracy.main(["--out", str(tmp_path / "speed.json")]) == 0
    assert "warm s" in capsys.readouterr().out
    kept = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert [line["subject"] for line in kept["measurements"]] == ["to-accuracy"]
    assert kept["environment"]["packages"]["torch"]
