"""Every check of the walk passes on real runs of every model family, and fails where a step is tampered with."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.errors import DataError, InvalidSetting, RunError
from snellen.explain.context import Context, context_of
from snellen.explain.stage import Check, compare
from snellen.explain.trace import Walk, walk
from snellen.predict import own_pictures, stages_answer, stages_pixels
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import SGD, Augment, DataPruning, Recipe, Resolution
from snellen.runs.run import Run
from snellen.train.batches import Batches
from snellen.train.fit import fit

_ALL = Recipe(
    name="walked", model="mlp", epochs=2, batch_size=64, label_smoothing=0.1, tta="shift", optimizer=SGD(lr=0.02),
    augment=Augment(crop_pixels=3, flip="random", brightness=0.2, contrast=0.2, saturation=0.2),
)  # fmt: skip
_SMALLER = (Resolution(side=24, until=0.5),)
FAMILIES = {
    "mlp": _ALL.replace(model="mlp", widths=(12,), label_smoothing=0.0, augment=Augment(), tta="none"),
    "plain_cnn": _ALL.replace(
        model="plain_cnn",
        widths=(4, 4, 6),
        tta="ten_crop",
        augment=Augment(crop_pixels=3, randaugment=1, erase=0.5, mixup=0.2, cutmix=1.0),
    ),
    "small_cnn": _ALL.replace(model="small_cnn", widths=(4, 4, 6, 6), resolutions=_SMALLER, prune=DataPruning()),
    "resnet18": _ALL.replace(model="resnet18", widths=(4, 4, 6, 6), tta="flip"),
    "sprint_net": _ALL.replace(model="sprint_net", widths=(24, 24, 24), resolutions=_SMALLER, tta_fraction=0.5),
}
_PIXELS = ["disk", "picture", "fractions", "augmented", "resized", "normalised"]
_NETWORK = ["first", "early", "middle", "late", "logits"]
_ANSWER = ["softmax", "top", "loss", "views", "stored"]
_LEFT_OUT = {
    "mlp": {"augmented", "resized", "early", "middle", "late", "views"},
    "plain_cnn": {"resized"},
    "resnet18": {"resized"},
}

Grounds = Callable[[str], Context]


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Dataset) -> Grounds:
    """A finished run of each family with its data, trained once; sprint_net in bf16, the others in fp32."""
    made: dict[str, Context] = {}

    def of(family: str) -> Context:
        if family not in made:
            precision = "bf16" if family == "sprint_net" else "fp32"
            folder = tmp_path_factory.mktemp(family)
            run = fit(FAMILIES[family], tiny_dataset, seed=3, device="cpu", precision=precision, runs=folder)
            made[family] = context_of(run, tiny_dataset)
        return made[family]

    return of


def failed(walked: Walk) -> set[str]:
    return {stage.key for stage in walked.stages if not stage.check.passed}


def with_other_model(ground: Context) -> Context:
    """The same ground with a copy of the model that may be broken."""
    return dataclasses.replace(ground, model=copy.deepcopy(ground.model))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_step_comes_out_the_same_by_hand(grounds: Grounds, family: str) -> None:
    ground = grounds(family)
    assert ground.val is not None
    for image_id in ground.val.ids[:3].tolist():
        walked = walk(ground, image_id=image_id)
        assert failed(walked) == set()
        keys = [key for key in [*_PIXELS, *_NETWORK, *_ANSWER] if key not in _LEFT_OUT.get(family, set())]
        assert [stage.key for stage in walked.stages] == keys
        assert all(stage.pictures for stage in walked.stages)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_picture_walks_as_well_and_has_no_stored_answer(grounds: Grounds, family: str) -> None:
    walked = walk(grounds(family), split="train", epoch=1)
    assert walked.passed
    assert "stored" not in [stage.key for stage in walked.stages]


def test_the_augmented_training_picture_is_the_one_that_training_saw(grounds: Grounds) -> None:
    ground = grounds("plain_cnn")
    walked = walk(ground, image_id=int(ground.train.ids[7]), split="train", epoch=1)
    numbers = next(stage.numbers for stage in walked.stages if stage.key == "augmented")
    batches = Batches(ground.train, batch_size=1, augment=ground.recipe.augment, seed=3, device=torch.device("cpu"))
    seen = [batch.images[0].double() for batch in batches.epoch(1)]
    equal = [
        one for one in seen if (float(one.mean()), float(one.max())) == pytest.approx((numbers.mean, numbers.high))
    ]
    assert len(equal) == 1
    assert float(equal[0].std(correction=0)) == pytest.approx(numbers.std)


def test_a_training_picture_that_may_have_been_left_out_is_told_so(grounds: Grounds) -> None:
    def says(family: str, split: Literal["train", "val"], epoch: int) -> str:
        walked = walk(grounds(family), split=split, epoch=epoch)
        return next(stage.says for stage in walked.stages if stage.key == "augmented")

    words = "If it was among the easiest 60% of its batch, it may have been left out of this epoch."
    assert words in says("small_cnn", "train", 1)
    # The first epoch is whole, val is not trained on, and the other recipe leaves nothing out.
    others = [("small_cnn", "train", 0), ("small_cnn", "val", 1), ("plain_cnn", "train", 1)]
    assert not any(words in says(*other) for other in others)


def test_another_epoch_has_other_draws_and_the_full_size(grounds: Grounds) -> None:
    first, second = (walk(grounds("small_cnn"), epoch=epoch) for epoch in (0, 1))
    drawn = [dict(next(s.facts for s in walked.stages if s.key == "augmented")) for walked in (first, second)]
    assert drawn[0] != drawn[1]
    assert "resized" in [stage.key for stage in first.stages]
    assert "resized" not in [stage.key for stage in second.stages]  # its half of the training is over


def test_a_mean_in_the_weights_that_is_not_the_training_images_is_found(grounds: Grounds) -> None:
    ground = with_other_model(grounds("small_cnn"))
    ground.model.normalize.mean += 0.001
    assert failed(walk(ground)) - {"stored"} == {"normalised"}


def test_swapped_channels_are_found(grounds: Grounds, monkeypatch: pytest.MonkeyPatch) -> None:
    real = stages_pixels.to_float
    monkeypatch.setattr(stages_pixels, "to_float", lambda images: real(images).flip(1))
    assert failed(walk(grounds("small_cnn"))) == {"fractions"}


def test_a_mirror_too_many_in_augmentation_is_found(grounds: Grounds, monkeypatch: pytest.MonkeyPatch) -> None:
    real = stages_pixels.augment_batch
    monkeypatch.setattr(stages_pixels, "augment_batch", lambda images, draws: real(images, draws).flip(-1))
    assert failed(walk(grounds("small_cnn"))) == {"augmented", "resized"}


def test_picking_pixels_instead_of_averaging_is_found(grounds: Grounds, monkeypatch: pytest.MonkeyPatch) -> None:
    pick = lambda batch, side: nn.functional.interpolate(batch, size=(side, side))  # noqa: E731
    monkeypatch.setattr(stages_pixels, "resize_side", pick)
    assert failed(walk(grounds("small_cnn"))) == {"resized"}


@pytest.mark.parametrize(
    ("family", "layer", "key"),
    [
        ("mlp", "net.hidden", "first"),
        ("plain_cnn", "net.conv1", "first"),  # and "early", which is the same layer
        ("resnet18", "net.layer2.1.bn2", "middle"),
        ("sprint_net", "net.block3.norm2", "late"),
        ("small_cnn", "net.fc", "logits"),
    ],
)
def test_a_layer_that_computes_something_else_is_found(grounds: Grounds, family: str, layer: str, key: str) -> None:
    ground = with_other_model(grounds(family))
    broken = ground.model.get_submodule(layer)
    real = broken.forward
    broken.forward = lambda images: real(images) * 1.01  # type: ignore[method-assign]
    expected = {"first", "early"} if layer == "net.conv1" else {key}
    assert failed(walk(ground)) - {"stored"} == expected


def test_batch_statistics_where_the_kept_ones_belong_are_found(grounds: Grounds) -> None:
    ground = with_other_model(grounds("small_cnn"))
    layer = ground.model.get_submodule("net.bn3")
    layer.forward = lambda maps: nn.functional.batch_norm(maps, None, None, training=True)  # type: ignore[method-assign]
    assert "middle" in failed(walk(ground))


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "key"),
    [
        (Predictions, "probabilities", property(lambda own: 1 / (1 + np.exp(-own.logits.astype(float)))), "softmax"),
        (own_pictures, "most_probable", lambda values, count: np.argsort(values)[:count].tolist(), "top"),
        (nn.functional, "cross_entropy", lambda logits, labels, **_: nn.functional.nll_loss(logits, labels), "loss"),
        (stages_answer, "hard_cross_entropy", lambda predictions: 0.0, "loss"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_answer_is_found(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, wrong: object, key: str
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    assert key in failed(walk(grounds("small_cnn")))


def test_views_without_their_mirror_images_are_found(grounds: Grounds, monkeypatch: pytest.MonkeyPatch) -> None:
    from snellen.predict import predict, views

    halves = lambda images, tta: ((2 * weight, view) for weight, view in list(views.views(images, tta))[::2])  # noqa: E731
    monkeypatch.setattr(predict, "views", lambda images, tta: halves(images, tta) if tta != "none" else [(1.0, images)])
    assert failed(walk(grounds("plain_cnn"))) == {"views"}


def test_an_answer_in_the_file_that_is_not_the_models_is_found(grounds: Grounds) -> None:
    ground = grounds("sprint_net")
    assert ground.stored is not None
    other = dataclasses.replace(ground.stored, logits=np.roll(ground.stored.logits, 1, axis=1))
    assert failed(walk(dataclasses.replace(ground, stored=other))) == {"stored"}


def test_pictures_with_swapped_channels_are_not_those_it_was_trained_on(own_run: Run, tiny_dataset: Dataset) -> None:
    images = dataclasses.replace(tiny_dataset.train, images=tiny_dataset.train.images[..., ::-1].copy())
    with pytest.raises(DataError, match="--data"):
        context_of(own_run, dataclasses.replace(tiny_dataset, train=images))


def test_what_is_not_there_is_refused_with_a_way_out(grounds: Grounds, own_run: Run, tiny_dataset: Dataset) -> None:
    ground = grounds("mlp")
    with pytest.raises(InvalidSetting, match="--split val"):
        walk(ground, image_id=int(ground.val.ids[0]), split="train")
    with pytest.raises(InvalidSetting, match="epochs 0 to 1"):
        walk(ground, epoch=2)
    with pytest.raises(RunError, match="snellen evaluate"):
        walk(dataclasses.replace(ground, stored=dataclasses.replace(ground.stored, ids=ground.stored.ids + 10_000)))
    (own_run.folder / "weights.safetensors").unlink()
    with pytest.raises(RunError, match="no weights yet"):
        context_of(own_run, tiny_dataset)


def test_a_final_run_walks_with_its_training_pictures_only(
    grounds: Grounds, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    dataset = make_eyechart(seed=0, train=40, test=10)
    run = fit(tiny_recipe.replace(epochs=1), dataset, final=True, device="cpu", precision="fp32", runs=tmp_path)
    ground = context_of(run, dataset)
    assert walk(ground, split="train").passed
    with pytest.raises(RunError, match="--split train"):
        walk(ground)


def test_the_json_is_json_without_pixels(grounds: Grounds) -> None:
    content = json.loads(json.dumps(walk(grounds("resnet18")).to_json(), allow_nan=False))
    assert content["passed"] is True
    assert content["stages"][1]["pictures"] == [{"caption": f"id {content['image']}", "shape": [32, 32, 3]}]


def test_results_of_different_shape_or_without_a_number_do_not_agree() -> None:
    shapes = compare(np.zeros(3), np.zeros(4), relative=1)
    broken = compare(np.array([math.nan]), np.zeros(1), relative=1)
    assert (shapes.passed, broken.passed, Check(0.0, 0.0).passed) == (False, False, True)
    assert shapes.to_json() == {"difference": None, "tolerance": 1, "passed": False}


@pytest.mark.cifar10
def test_a_cifar10_picture_begins_with_its_row_on_disk_and_another_row_is_found(
    cifar10_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snellen.data import cifar10
    from snellen.models.restore import save_weights
    from snellen.runs.run import create_run
    from snellen.train.setup import prepare

    dataset = cifar10.read(cifar10_folder)
    job = prepare(FAMILIES["mlp"], dataset, seed=0, device="cpu", precision="fp32")
    run = create_run(tmp_path, "untrained", job.recipe, {**job.describe(), "status": "finished"}, {})
    save_weights(run, job.new_model())
    ground = context_of(run, dataset)
    walked = walk(ground, image_id=int(ground.val.ids[-1]))
    assert walked.passed
    assert walked.stages[0].title == "Bytes on disk"
    real = stages_pixels.stored_row
    monkeypatch.setattr(stages_pixels, "stored_row", lambda folder, image_id: real(folder, image_id - 1))
    assert failed(walk(ground, image_id=int(ground.val.ids[-1]))) == {"disk", "picture"}
