"""Where a trace starts: which picture, which epoch's draws, how far the training had come, which file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.explain.untrained import RECIPE, context_with

from snellen.augment.draws import draw
from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.run_images import images_of
from snellen.errors import InvalidSetting
from snellen.explain.context import TracedImage, context_of, find
from snellen.recipes.recipe import Finetune, Resolution
from snellen.runs.run import Run


@pytest.mark.parametrize(
    ("changed", "done"),
    [
        ({}, [0, 0.4, 0.8]),  # 2 steps an epoch, 5 in all
        ({"epochs": 3}, [0, 1 / 3, 2 / 3]),
        ({"min_steps": 20}, [0, 0.1, 0.2]),
        ({"batch_size": 64}, [0, 0.5]),  # larger than all of train: one step an epoch
        ({"epochs": 0.1}, [0]),  # rounded, not one step
    ],
)
def test_how_much_is_done_before_an_epoch_is_a_part_of_all_steps(
    changed: dict[str, Any], done: list[float], few_images: LabeledImages
) -> None:
    context = context_with(RECIPE.replace(**changed), few_images)
    assert [context.done_before(epoch) for epoch in range(len(done))] == pytest.approx(done)


def test_pictures_are_small_until_their_part_of_the_steps_is_done_and_never_above_their_shorter_side(
    few_images: LabeledImages,
) -> None:
    recipe = RECIPE.replace(resolutions=(Resolution(side=16, until=0.4), Resolution(side=30, until=0.8)))
    for wide in (few_images.images[:, :20], few_images.images[:, :, :20]):
        context = context_with(recipe, dataclasses.replace(few_images, images=np.ascontiguousarray(wide)))
        assert [context.side_in_epoch(epoch) for epoch in range(3)] == [16, 20, 20]


def test_draws_are_those_of_the_picture_in_this_epoch_or_in_the_version_that_is_kept(few_images: LabeledImages) -> None:
    kept = Finetune(frozen="net.hidden", versions=3)
    plain, again = (context_with(RECIPE.replace(finetune=each), few_images) for each in (None, kept))
    whole = {epoch: draw(RECIPE.augment, seed=3, epoch=epoch, count=40) for epoch in range(5)}
    for row in (0, 7, 39):
        for epoch in range(5):
            image = TracedImage(plain, plain.images.train, row, epoch)
            assert (image.version_of, image.version, image.draws[0]) == (0, epoch, whole[epoch][row])
            image = TracedImage(again, again.images.train, row, epoch)
            assert (image.version_of, image.version) == (3, epoch % 3)
            assert image.augment.is_identity == (epoch % 3 == 0)
            assert epoch % 3 == 0 or image.draws[0] == whole[epoch % 3][row]
    none_kept = context_with(RECIPE.replace(finetune=Finetune()), few_images)
    assert TracedImage(none_kept, none_kept.images.train, 0, 4).version == 4


def test_a_picture_is_found_by_id_and_by_name_and_the_first_where_none_is_named(few_images: LabeledImages) -> None:
    context = context_with(RECIPE, few_images)
    found = [find(context, image=image, split="train", epoch=2) for image in (None, 23, "#59")]
    assert [(each.row, each.image_id, each.name) for each in found] == [(0, 20, "#20"), (3, 23, "#23"), (39, 59, "#59")]
    assert found[1].label == "bee"
    assert find(context, image=None, split="val", epoch=0).image_id == 0
    with pytest.raises(InvalidSetting, match=r"#20 is not in val.*--split train$"):
        find(context, image="#20", split="val", epoch=0)
    with pytest.raises(InvalidSetting, match=r"4 is not in train, which .* such as #20, #21, #22\. .*--split val$"):
        find(context, image=4, split="train", epoch=0)
    for epoch in (-1, 3):  # two and a half are three
        with pytest.raises(InvalidSetting, match="epochs 0 to 2"):
            find(context, image=None, split="val", epoch=epoch)


def test_a_file_lies_in_the_folder_or_beside_the_list_and_pictures_without_files_have_none(
    few_images: LabeledImages, tmp_path: Path
) -> None:
    with_files = dataclasses.replace(few_images, files=tuple(f"{n}.png" for n in range(60)))
    (tmp_path / "21.png").touch()
    (tmp_path / "list.csv").touch()
    for source in (tmp_path, tmp_path / "list.csv"):
        context = context_with(RECIPE, with_files, str(source))
        assert find(context, image=21, split="train", epoch=0).file == ("21.png", tmp_path / "21.png")
        assert find(context, image=22, split="train", epoch=0).file == ("22.png", None)
        context = context_with(RECIPE, few_images, str(source))
        assert find(context, image=21, split="train", epoch=0).file == ("", None)


@pytest.mark.parametrize(
    ("name", "source", "rows"), [("cifar10", ".", True), ("cifar10", "x.h5", False), ("own", ".", False)]
)
def test_only_in_cifar10s_own_folder_is_a_picture_a_row_of_a_file(
    name: str, source: str, rows: bool, few_images: LabeledImages
) -> None:
    context = context_with(RECIPE, dataclasses.replace(few_images, name=name), source)
    assert find(context, image=None, split="val", epoch=0).is_cifar10 == rows


def test_statistics_are_measured_again_but_those_of_published_weights_are_taken(
    own_run: Run, tiny_dataset: Dataset
) -> None:
    images = images_of(own_run, tiny_dataset)
    said = own_run.info["statistics"]
    own_run.update_info(statistics={**said, "mean": [0.1, 0.2, 0.3]})
    assert context_of(own_run, images).statistics.mean == pytest.approx(said["mean"])
    own_run.update_info(statistics={**said, "mean": [0.1, 0.2, 0.3], "measured_on": "published"})
    found = context_of(own_run, images).statistics
    assert (found.mean, found.std, found.source) == ((0.1, 0.2, 0.3), tuple(said["std"]), "published")
