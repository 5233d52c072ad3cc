"""What docs/lesson.md says by arithmetic, computed again by the code that trains; its measured numbers, from results.

A figure that stands in the document and is no longer what the code or the results give fails here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from snellen.augment.draws import draw
from snellen.metrics.classification import smoothing_floor
from snellen.models.catalog import ModelSpec, build
from snellen.models.summary import describe_layers
from snellen.predict.predict import views
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import Augment
from snellen.train.schedules import lr_fraction

ROOT = Path(__file__).resolve().parents[1]
LESSON = (ROOT / "docs" / "lesson.md").read_text(encoding="utf-8")


def says(text: str) -> bool:
    return text in LESSON


def test_the_smoothed_loss_has_the_floor_that_is_given() -> None:
    floor = smoothing_floor(0.1, 10)
    assert says(f"{floor:.4f}")
    printed = [0.4107, 0.1893, 0.0956, 0.0734]
    assert all(loss < floor and says(f"{loss:.4f}") for loss in printed)


def test_the_smoothed_targets_are_those_that_are_given() -> None:
    logits = torch.zeros(1, 10, requires_grad=True)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0]), label_smoothing=0.1).backward()
    assert logits.grad is not None
    targets = (0.1 - logits.grad)[0]
    assert targets.tolist() == pytest.approx([0.91] + 9 * [0.01], abs=1e-6)
    assert says("0.91")
    assert says("0.01")


@pytest.mark.parametrize(("epoch", "claimed"), [(10, "0.095"), (40, "0.050")])
def test_the_learning_rates_are_those_that_are_given(epoch: int, claimed: str) -> None:
    fraction = lr_fraction(RECIPES["resnet18"].schedule, step=352 * epoch, steps=35_200, steps_per_epoch=352)
    assert says(f"epoch {epoch}: {claimed} | {0.1 * fraction:.3f}")


def test_crop_and_flip_make_as_many_views_as_are_given() -> None:
    draws = draw(Augment(crop_pixels=4, flip="random"), seed=0, epoch=0, count=50_000)
    views = {(*map(int, shift), bool(flip)) for shift, flip in zip(draws.shift, draws.flip, strict=True)}
    assert says(f"{len(views)} views")


def test_the_stock_stem_leaves_what_is_given_and_costs_what_is_given() -> None:
    def side_and_macs(stem: str) -> tuple[list[int], int]:
        options = {"stem": stem}
        model = build(
            ModelSpec(
                "resnet18", image_shape=(64, 64, 3), num_classes=10, mean=(0,) * 3, std=(1,) * 3, options=options
            ),
            seed=0,
        )
        rows = describe_layers(model, (32, 32, 3))
        return [row.output_shape[1] for row in rows if row.kind == "Conv2d"], sum(row.macs for row in rows)

    stock, small = side_and_macs("stock"), side_and_macs("small")
    assert says(f"{stock[1] / 1e6:.0f} million")
    assert says(f"{small[1] / 1e6:.0f} million")
    assert stock[0][1] == 8
    assert says("8x8")
    assert says(f"{small[1] / stock[1]:.0f} times")


def test_ten_crop_is_ten_views_and_flip_two() -> None:
    images = torch.zeros(1, 3, 8, 8)
    assert [len(list(views(images, tta))) for tta in ("ten_crop", "flip")] == [10, 2]


# Measured numbers

_QUOTED = re.compile(r"<!-- from (results/\S+) -->\n(.*?)<!-- end -->", re.DOTALL)


def test_every_quoted_line_stands_in_the_results_file_it_is_from() -> None:
    quoted = _QUOTED.findall(LESSON)
    assert len(quoted) >= 3
    for name, block in quoted:
        written = (ROOT / name).read_text(encoding="utf-8").splitlines()
        lines = [line for line in block.splitlines() if line.strip()]
        assert lines
        assert [line for line in lines if line not in written] == [], name
