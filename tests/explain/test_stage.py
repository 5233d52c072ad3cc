"""What is named at a stop is the function that ran there, shown as it stands in its file."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch.nn import functional

import snellen
from snellen.augment.batched import augment_batch
from snellen.data.dataset import Dataset
from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.run_images import images_of
from snellen.explain import stage as stages
from snellen.explain.by_hand import linear, unfold
from snellen.explain.context import context_of
from snellen.explain.picture_stages import _channels_first
from snellen.explain.stage import Call, Check, call, compare, show_bars, show_fractions, show_signed, show_strongest
from snellen.explain.trace import Trace, trace
from snellen.models.normalized import Normalized
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.train.fit import FitOptions, fit


def code_that_runs(work: Callable[[], Trace]) -> tuple[Trace, set[CodeType]]:
    """What `work` returns, and every Python function that was entered on the way."""
    entered: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            entered.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        return work(), entered
    finally:
        sys.setprofile(before)


def test_every_function_named_at_a_stop_is_one_that_ran(own_run: Run, tiny_dataset: Dataset) -> None:
    traced, entered = code_that_runs(lambda: trace(context_of(own_run, images_of(own_run, tiny_dataset))))
    for stage in traced.stages:
        for each in (stage.production, stage.by_hand):
            assert each.function.__code__ in entered, f"{stage.key}: {each.name} did not run"
    called = {stage.key: stage.production for stage in traced.stages}
    assert called["augmented"].name == "augment_batch"
    assert called["normalised"].name == "Normalized.forward"
    # The network's own forward, not that of torch's layer, and of its statements the one that calls the layer.
    assert called["logits"].name == "SmallCNN.forward"
    assert called["logits"].code.startswith("logits = self.fc(")


def test_the_place_is_the_line_where_the_function_stands() -> None:
    file, number = Call(augment_batch, None).place.split(":")
    lines = (Path(snellen.__file__).parent / file).read_text().splitlines()
    assert lines[int(number) - 1].startswith("def augment_batch(")
    assert inspect.getsourcelines(augment_batch)[1] == int(number)


def test_a_short_function_is_shown_without_docstring_and_annotations_and_a_long_one_by_its_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert call(linear, np.ones(2), np.eye(2), 1.0).code == "sums = weight @ features + bias\nreturn sums"
    shown = Call(Normalized.forward, None).code
    assert shown == "return (images - self.mean[:, None, None]) / self.std[:, None, None]"
    assert Call(load_folder, None).code.startswith("load_folder(path, ")
    assert Call(unfold, None).code.splitlines()[-2:] == ["picture = row[at]", "return picture"]
    assert Call(_channels_first, None).code == "return image.transpose(2, 0, 1)"  # it has no docstring
    monkeypatch.setattr(stages, "_SHORT", len(shown))
    assert Call(Normalized.forward, None).code == shown
    monkeypatch.setattr(stages, "_SHORT", len(shown) - 1)
    assert Call(Normalized.forward, None).code == "forward(self, images)"
    assert Call(functional.cross_entropy, None).code.startswith("cross_entropy(input, target, ")  # torch's own


def test_bars_reach_from_nought_to_their_numbers_and_the_scale_from_the_least_to_the_most() -> None:
    picture = show_bars(np.array([-1.0, 0.0, 1.0, 3.0]))[..., 0]
    width = picture.shape[1] - 1
    for bar, (start, end) in enumerate([(0, 0.25), (0.25, 0.25), (0.25, 0.5), (0.25, 1)]):
        lit = np.flatnonzero(picture[2 + 6 * bar] == 225)
        assert (lit[0], lit[-1]) == (round(start * width), round(end * width))
        assert len(lit) == lit[-1] - lit[0] + 1
    assert np.array_equal(show_bars(np.array([2.0, 4.0])), show_bars(np.array([1.0, 2.0])))  # from nought, not from 2
    below = show_bars(np.array([-2.0, -4.0]))[..., 0]
    assert [np.flatnonzero(below[2 + 6 * bar] == 225)[[0, -1]].tolist() for bar in (0, 1)] == [[30, 61], [0, 61]]
    many = np.arange(1.0, 21.0)
    assert np.array_equal(show_bars(many), show_bars(many[:10]))  # ten at most
    assert (show_bars(many)[2 + 6 * 9] == 225).all()
    assert len(picture) == len(below) == len(show_bars(many)) == 62


def test_what_is_shown_of_numbers_spans_all_greys_and_keeps_their_order() -> None:
    rng = np.random.default_rng(5)
    signed = rng.normal(size=(3, 4, 5)) * 40
    assert np.array_equal(show_signed(signed), show_fractions(signed / np.abs(signed).max() / 2 + 0.5))
    assert show_signed(signed).shape == (4, 5, 3)
    assert np.unique(show_signed(np.zeros((1, 2, 2)))).tolist() == [128]
    maps = rng.normal(size=(8, 4, 5)) * np.array([1, 5, 2, 8, 3, 7, 4, 6])[:, None, None]
    shown = show_strongest(maps)
    contrast = maps.std(axis=(1, 2))
    assert [each.caption for each in shown] == [
        f"channel {n}" for n in sorted(range(8), key=lambda n: -contrast[n])[:6]
    ]
    for each in shown:
        own = maps[int(each.caption.split()[1])]
        assert np.array_equal(each.pixels[..., 0], np.round((own - own.min()) / np.ptp(own) * 255))


def test_the_largest_difference_may_be_a_part_of_the_largest_size_and_of_one_at_least() -> None:
    check = compare(np.array([2.0, -8.0]), np.array([2.5, -9.0]), relative=0.1)
    assert (check.difference, check.tolerance, check.passed) == (1.0, pytest.approx(0.9), False)
    check = compare(np.array([0.1, 0.0]), np.array([0.2, 0.0]), relative=0.1)
    assert (check.difference, check.tolerance, check.passed) == (0.1, 0.1, True)


def test_results_of_different_shape_or_without_a_number_do_not_agree() -> None:
    shapes = compare(np.zeros(3), np.zeros(4), relative=1)
    broken = compare(np.array([math.nan]), np.zeros(1), relative=1)
    assert (shapes.passed, broken.passed, Check(0.0, 0.0).passed) == (False, False, True)
    assert to_json(shapes) == {"difference": None, "tolerance": 1, "passed": False}


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Twelve photographs in each of two class folders."""
    for name in ("ants", "bees"):
        for number in range(12):
            path = tmp_path / "insects" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    return tmp_path / "insects"


def test_the_first_stop_of_a_folder_is_its_file_decoded_and_names_no_path(
    folder: Path, tmp_path: Path, tiny_recipe: Recipe
) -> None:
    dataset = load_folder(folder, ImageOptions(side=32, fit="pad"))
    run = fit(
        tiny_recipe.replace(epochs=1), dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path / "runs")
    )
    traced = trace(context_of(run, images_of(run, dataset)))
    first = traced.stages[0]
    assert (first.title, first.production.name) == ("Decoded file", "PictureForm.pixels")
    file = traced.stages[1].facts["file"]
    assert first.says.startswith(f"{file} was decoded")
    assert file == dataset.train.files[traced.image]
    assert "grey bars" in first.says
    assert str(tmp_path) not in str(to_json(traced))
    assert traced.passed
    # Another picture in the file than in the cache is found.
    Image.new("RGB", (40, 50)).save(folder / file)
    again = trace(context_of(run, images_of(run, dataset)))
    assert {stage.key for stage in again.stages if not stage.check.passed} == {"disk", "picture"}
