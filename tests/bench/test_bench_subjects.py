"""The subjects, on sizes that take a blink: which lines come, and that their figures fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snellen.bench import augment, load, predict, step
from snellen.bench.catalog import Settings
from snellen.export.onnx_file import missing_packages
from snellen.recipes.recipe import Recipe, Resolution

QUICK = Settings(device="cpu", quick=True)


@pytest.fixture(autouse=True)
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "_QUICK_IMAGES", 64)


def growing(recipe: Recipe) -> Recipe:
    return recipe.replace(resolutions=(Resolution(side=16, until=0.5),))


def test_step_has_a_line_for_each_precision_and_stage(tiny_recipe: Recipe) -> None:
    lines = list(step.measure(QUICK, [growing(tiny_recipe)]))
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
    line = next(step.measure(QUICK, [tiny_recipe]))
    assert set(line.figures.values()) == {None}
    assert line.note == "failed: no kernel for this"


def test_augment_tells_the_share_of_a_step_for_each_stage_and_over_the_training(tiny_recipe: Recipe) -> None:
    lines = list(augment.measure(QUICK, [growing(tiny_recipe)]))
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


def test_predict_compares_each_way_with_plain_pytorch_and_tells_the_gap(tiny_recipe: Recipe) -> None:
    lines = list(predict.measure(QUICK, [tiny_recipe]))
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
    cases = [line.case for line in predict.measure(QUICK, [tiny_recipe])]
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
