"""The subjects, on sizes that take a blink: which lines come, and that their figures fit together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from snellen.bench import augment, imports, load, memory, predict, scale, scale_probe, step
from snellen.bench.process import Finished
from snellen.bench.scale_plot import scale_png
from snellen.bench.settings import Settings
from snellen.export.onnx_file import missing_packages
from snellen.recipes.recipe import Recipe, Resolution

QUICK = Settings(device="cpu", quick=True)
Commands = list[Sequence[str]]


@pytest.fixture(autouse=True)
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "_QUICK_IMAGES", 64)
    monkeypatch.setattr(augment, "_QUICK_PEER_IMAGES", 4)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The processes that were asked for; none is started."""
    asked: Commands = []

    def run(arguments: Sequence[str], **_: Any) -> Finished:
        asked.append(arguments)
        return Finished(json.dumps(dict.fromkeys(scale.FIGURES[:-1], 1.0)), 2.0, 3_000_000_000, (1.0,))

    for subject in (imports, memory, scale):
        monkeypatch.setattr(subject, "run_python", run)
    return asked


def growing(recipe: Recipe) -> Recipe:
    return recipe.replace(resolutions=(Resolution(side=16, until=0.5),))


def test_step_has_a_line_for_each_precision_and_stage(tiny_recipe: Recipe) -> None:
    lines = list(step.measure_recipes([growing(tiny_recipe)], QUICK))
    assert [line.case for line in lines] == [
        f"tiny {precision} {side} px, batch 32" for precision in ("fp32", "bf16") for side in (16, 32)
    ]
    for line in lines:
        assert line.timing is not None
        assert line.figures["images/s"] == pytest.approx(32 / line.timing.median)
        assert line.figures["GFLOP/s"] == pytest.approx(line.figures["images/s"] * line.figures["GFLOP/image"])
        assert line.conditions.precision == line.case.split()[1]
        assert line.conditions.batch == 32


def test_a_step_that_fails_is_a_line_that_says_so(tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_kernel(*_: Any, **__: Any) -> None:
        raise RuntimeError("no kernel for this\nmore")

    monkeypatch.setattr(step, "TrainingStep", no_kernel)
    line = next(step.measure_recipes([tiny_recipe], QUICK))
    assert set(line.figures.values()) == {None}
    assert line.note == "failed: no kernel for this"


def test_augment_tells_the_share_of_a_step_for_each_stage_and_over_the_training(tiny_recipe: Recipe) -> None:
    lines = list(augment.measure_recipes([growing(tiny_recipe)], QUICK))
    (epoch,) = [line for line in lines if "images/s" in line.figures]
    assert epoch.timing is not None
    assert epoch.figures["images/s"] == pytest.approx(64 / epoch.timing.median)
    shares = [line for line in lines if "share of step %" in line.figures]
    assert [line.case.split(", ")[1] for line in shares] == ["step at 16 px", "step at 32 px", "mean over the training"]
    for line in shares:
        making, step_time = line.figures["batch µs/image"], line.figures["step µs/image"]
        assert 0 < making < step_time
        assert 0 < line.figures["share of step %"] < 100
    small, large, mean = (line.figures["step µs/image"] for line in shares)
    assert mean == pytest.approx((small + large) / 2)


def test_a_peer_that_is_not_at_hand_is_not_measured(tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("snellen.bench.peers.import_module", missing)
    lines = list(augment.measure_peers(tiny_recipe, device=torch.device("cpu"), settings=QUICK))
    assert [line.note for line in lines] == ["torchvision is not installed here.", "kornia is not installed here."]
    assert {value for line in lines for value in line.figures.values()} == {None}


def test_a_peer_that_is_at_hand_takes_turns_with_ours(tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    peer = {"other": lambda *_: (lambda: calls.append("theirs"), "other 1.0")}
    monkeypatch.setattr("snellen.bench.peers.AUGMENTATIONS", peer)
    (line,) = augment.measure_peers(tiny_recipe, device=torch.device("cpu"), settings=QUICK)
    assert len(calls) == 2 + QUICK.repeats
    assert line.comparison is not None
    assert line.figures["ours is × as fast"] == line.comparison.ratio
    assert line.note == "other 1.0"


def test_predict_compares_each_way_with_plain_pytorch_and_tells_the_gap(tiny_recipe: Recipe) -> None:
    lines = list(predict.measure_recipes([tiny_recipe], QUICK))
    ways = 3 + 2 * (not missing_packages())
    assert len(lines) == 2 * ways
    for line in lines:
        assert line.comparison is not None
        assert line.figures["× plain"] == line.comparison.ratio
        assert line.comparison.b.conditions.precision == "fp32"
        limit = {"fp32": 1e-5, "bf16": 0.1, "int8": 0.3}
        assert line.figures["largest gap"] < limit[line.conditions.precision]


def test_predict_measures_onnx_runtime_in_fp32_and_int8_where_it_is_installed(tiny_recipe: Recipe) -> None:
    pytest.importorskip("onnxruntime")
    cases = [line.case for line in predict.measure_recipes([tiny_recipe], QUICK)]
    assert sum("fp32 onnxruntime" in case for case in cases) == 2
    assert sum("int8 onnxruntime" in case for case in cases) == 2


def test_load_makes_letters_and_says_where_cifar10_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(load, "_QUICK_LETTERS", 100)
    lines = list(load.measure(Settings(quick=True, data=tmp_path)))
    assert "CIFAR-10 was not found" in lines[0].note
    assert lines[0].figures == {"seconds": None, "images/s": None}
    assert [line.case for line in lines[1:]] == [
        "eyechart: make 100 images",
        "eyechart: split",
        "eyechart: mean and std",
    ]
    assert all(line.figures["seconds"] > 0 for line in lines[1:])


def test_import_times_whole_processes_in_turns_with_an_empty_one(commands: Commands) -> None:
    lines = list(imports.measure(QUICK))
    assert lines[0].case == "snellen --help"
    assert list(commands[:4]) == [("-m", "snellen", "--help"), ("-c", "pass")] * 2


def test_memory_weighs_a_training_of_a_few_steps(commands: Commands) -> None:
    (line,) = memory.measure(Settings(recipe="sprint", dataset="eyechart", device="cpu"))
    assert line.figures == {"peak GB": 3.0, "seconds": 2.0}
    (command,) = commands
    assert " ".join(command).startswith("-m snellen train eyechart --recipe sprint --set epochs=")
    (epochs,) = [word for word in command if word.startswith("epochs=")]
    assert round(float(epochs.removeprefix("epochs=")) * (45_000 // 1536)) == 12


def test_scale_changes_one_axis_at_a_time(commands: Commands) -> None:
    lines = list(scale.measure(Settings()))
    assert len(lines) == len(commands) == sum(map(len, scale.AXES.values()))
    start = scale.Size()
    for line in lines:
        axis = line.details["axis"]
        others = {name: value for name, value in line.details.items() if name not in ("axis", axis)}
        assert others == {name: getattr(start, name) for name in others}
    assert tuple(lines[0].figures) == scale.FIGURES


def test_the_picture_of_scale_has_a_column_for_each_axis(commands: Commands, tmp_path: Path) -> None:
    lines = list(scale.measure(QUICK))
    scale_png(tmp_path / "scale.png", lines)
    with Image.open(tmp_path / "scale.png") as picture:
        assert picture.size == (round(2 * 3.2 * 160), round(5.6 * 160))


def test_the_probe_of_scale_gives_the_figures_that_scale_names() -> None:
    figures = scale_probe.probe(images=60, side=16, batch=8, classes=3)
    assert (*figures, "peak GB") == scale.FIGURES
    assert all(value > 0 for value in figures.values())
