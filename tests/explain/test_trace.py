"""Every check of the trace passes on real runs of every model family, and fails where a step is tampered with."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from snellen.data.arrays import from_arrays
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.run_images import images_of
from snellen.errors import DataError, InvalidSetting, RunError
from snellen.explain import by_hand, network_stages, picture_stages
from snellen.explain.context import Context, context_of
from snellen.explain.stage import Stage, show_signed
from snellen.explain.trace import Trace, trace, write_png
from snellen.predict import predict
from snellen.recipes.recipe import SGD, Augment, DataPruning, Recipe, ResizedBy, Resolution
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.show import figures
from snellen.train.batches import Batches
from snellen.train.fit import FitOptions, fit

_ALL = Recipe(
    name="traced", model="mlp", epochs=2, batch_size=64, label_smoothing=0.1, tta="shift", optimizer=SGD(lr=0.02),
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
    "small_cnn": _ALL.replace(model="small_cnn", widths=(4, 4, 6, 6), resolutions=_SMALLER, data_pruning=DataPruning()),
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

Contexts = Callable[[str], Context]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Dataset) -> Contexts:
    """A finished run of each family with its data, trained once; sprint_net in bf16, the others in fp32."""
    made: dict[str, Context] = {}

    def of(family: str) -> Context:
        if family not in made:
            precision = "bf16" if family == "sprint_net" else "fp32"
            folder = tmp_path_factory.mktemp(family)
            run = fit(
                FAMILIES[family], tiny_dataset, FitOptions(seed=3, device="cpu", precision=precision, runs=folder)
            )
            made[family] = context_of(run, images_of(run, tiny_dataset))
        return made[family]

    return of


def failed(traced: Trace) -> set[str]:
    return {stage.key for stage in traced.stages if not stage.check.passed}


def with_other_model(context: Context) -> Context:
    """The same context with a copy of the model that may be broken."""
    return dataclasses.replace(context, model=copy.deepcopy(context.model))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_step_comes_out_the_same_by_hand(contexts: Contexts, family: str) -> None:
    context = contexts(family)
    assert context.images.val is not None
    for image_id in context.images.val.ids[:3].tolist():
        traced = trace(context, image=image_id)
        assert failed(traced) == set()
        keys = [key for key in [*_PIXELS, *_NETWORK, *_ANSWER] if key not in _LEFT_OUT.get(family, set())]
        assert [stage.key for stage in traced.stages] == keys
        assert all(stage.pictures for stage in traced.stages)
        require_true(context, family, {stage.key: stage for stage in traced.stages})


def require_true(context: Context, family: str, steps: dict[str, Stage]) -> None:
    """What is said and shown beside the network's steps is so."""
    names, logits = context.images.train.class_names, steps["logits"].values
    facts = list(steps["logits"].facts.items())
    assert facts[-3:] == [(names[k], f"{logits[k]:.3f}") for k in np.argsort(-logits, kind="stable")[:3]]
    assert ("divided by" in dict(facts)) == (family == "sprint_net")
    for key in ("early", "middle", "late"):
        if key in steps:
            count, high, wide = steps[key].values.shape
            assert f"{count} maps of {high}x{wide} positions" in steps[key].says
            assert ("Done again: its last batch norm" in steps[key].says) == (family != "plain_cnn")
            assert (steps[key].values.min() >= 0) == (family != "sprint_net")  # there a GELU is the activation
    if family == "mlp":
        output = steps["first"].values
        strongest = np.argsort(-output, kind="stable")[:6]
        assert [each.caption for each in steps["first"].pictures] == [f"weights of unit {unit}" for unit in strongest]
        weights = context.model.get_submodule("net.hidden").weight.detach().reshape(-1, 3, 32, 32)  # type: ignore[union-attr, operator]
        assert np.array_equal(steps["first"].pictures[0].pixels, show_signed(weights[strongest[0]]))
    precision = "bf16" if family == "sprint_net" else "fp32"
    rounding = {"fp32": 2e-3, "bf16": 5e-2}[precision] * max(1, np.abs(steps["stored"].by_hand.result).max())
    assert steps["stored"].check.tolerance == pytest.approx(rounding)
    assert steps["stored"].facts == {
        "precision": precision, "device": "cpu", "stored answer": names[steps["stored"].values.argmax()],
    }  # fmt: skip
    if "views" in steps:
        assert ("Only the 50 % least sure pictures get them." in steps["views"].says) == (family == "sprint_net")
        assert f"say {names[steps['views'].values.argmax()]}." in steps["views"].says
        captions = [
            f"{fact.split(',')[0].removeprefix('view ')}: {said}" for fact, said in steps["views"].facts.items()
        ]
        assert [each.caption for each in steps["views"].pictures] == captions
        assert captions[0].startswith("1: ")


def test_what_is_said_beside_a_step_is_true_of_it(contexts: Contexts) -> None:
    context = contexts("plain_cnn")
    steps = {stage.key: stage for stage in trace(context).stages}
    probabilities, names = steps["softmax"].values.ravel(), context.images.train.class_names
    best = np.argsort(-probabilities, kind="stable")[:5]
    assert steps["top"].facts == {names[k]: f"{100 * probabilities[k]:.2f} %" for k in best}
    assert f"The answer is {names[best[0]]}, the label says " in steps["top"].says
    plane = context.images.val.images[0]
    for channel in range(3):
        shown = steps["disk"].pictures[0].pixels[:, 32 * channel : 32 * channel + 32]
        assert (shown == plane[..., channel : channel + 1]).all()
    assert "of the 270 training images and of no others" in steps["normalised"].says
    published = dataclasses.replace(context, statistics=dataclasses.replace(context.statistics, source="published"))
    (normalised,) = (stage for stage in trace(published).stages if stage.key == "normalised")
    assert "those that its pretrained weights were made with, of other pictures" in normalised.says


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_picture_is_traced_as_well_and_has_no_stored_answer(contexts: Contexts, family: str) -> None:
    traced = trace(contexts(family), split="train", epoch=1)
    assert traced.passed
    assert "stored" not in [stage.key for stage in traced.stages]


def test_the_augmented_training_picture_is_the_one_that_training_saw(contexts: Contexts) -> None:
    context = contexts("plain_cnn")
    traced = trace(context, image=int(context.images.train.ids[7]), split="train", epoch=1)
    numbers = next(stage.array for stage in traced.stages if stage.key == "augmented")
    batches = Batches(context.images.train, context.recipe.replace(batch_size=1), seed=3, device=torch.device("cpu"))
    seen = [batch.images[0].double() for batch in batches.epoch(1)]
    equal = [
        one for one in seen if (float(one.mean()), float(one.max())) == pytest.approx((numbers["mean"], numbers["max"]))
    ]
    assert len(equal) == 1
    assert float(equal[0].std(correction=0)) == pytest.approx(numbers["std"])


def test_a_training_picture_that_may_have_been_left_out_is_told_so(contexts: Contexts) -> None:
    def says(family: str, split: Literal["train", "val"], epoch: int) -> str:
        traced = trace(contexts(family), split=split, epoch=epoch)
        return next(stage.says for stage in traced.stages if stage.key == "augmented")

    words = "If it was among the easiest 60% of its batch, it may have been left out of this epoch."
    assert words in says("small_cnn", "train", 1)
    # The first epoch is whole, val is not trained on, and the other recipe leaves nothing out.
    others = [("small_cnn", "train", 0), ("small_cnn", "val", 1), ("plain_cnn", "train", 1)]
    assert not any(words in says(*other) for other in others)


def test_another_epoch_has_other_draws_and_the_full_size(contexts: Contexts) -> None:
    first, second = (trace(contexts("small_cnn"), epoch=epoch) for epoch in (0, 1))
    drawn = [next(s.facts for s in traced.stages if s.key == "augmented") for traced in (first, second)]
    assert drawn[0] != drawn[1]
    assert "resized" in [stage.key for stage in first.stages]
    assert "resized" not in [stage.key for stage in second.stages]  # its half of the training is over


def test_a_mean_in_the_weights_that_is_not_the_training_images_is_found(contexts: Contexts) -> None:
    context = with_other_model(contexts("small_cnn"))
    context.model.normalize.mean += 0.001
    assert failed(trace(context)) - {"stored"} == {"normalised"}


def test_swapped_channels_are_found(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    real = picture_stages.to_float
    monkeypatch.setattr(picture_stages, "to_float", lambda images: real(images).flip(1))
    assert failed(trace(contexts("small_cnn"))) == {"fractions"}


def test_a_mirror_too_many_in_augmentation_is_found(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    real = picture_stages.augment_batch
    monkeypatch.setattr(picture_stages, "augment_batch", lambda images, draws: real(images, draws).flip(-1))
    assert failed(trace(contexts("small_cnn"))) == {"augmented", "resized"}


def test_picking_pixels_instead_of_averaging_is_found(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    pick = lambda batch, side, by: nn.functional.interpolate(batch, size=(side, side))  # noqa: E731
    monkeypatch.setattr(picture_stages, "resize_side", pick)
    assert failed(trace(contexts("small_cnn"))) == {"resized"}


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
def test_a_layer_that_computes_something_else_is_found(contexts: Contexts, family: str, layer: str, key: str) -> None:
    context = with_other_model(contexts(family))
    broken = context.model.get_submodule(layer)
    real = broken.forward
    broken.forward = lambda images: real(images) * 1.01  # type: ignore[method-assign]
    expected = {"first", "early"} if layer == "net.conv1" else {key}
    assert failed(trace(context)) - {"stored"} == expected


def test_batch_statistics_where_the_kept_ones_belong_are_found(contexts: Contexts) -> None:
    context = with_other_model(contexts("small_cnn"))
    layer = context.model.get_submodule("net.bn3")
    layer.forward = lambda maps: nn.functional.batch_norm(maps, None, None, training=True)  # type: ignore[method-assign]
    assert "middle" in failed(trace(context))


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "key"),
    [
        (network_stages, "softmax", lambda logits: 1 / (1 + np.exp(-logits.astype(float))), "softmax"),
        (network_stages, "most_probable", lambda values, count: np.argsort(values)[:count].tolist(), "top"),
        (nn.functional, "cross_entropy", lambda logits, labels, **_: logits[range(len(labels)), labels], "loss"),
        (by_hand, "cross_entropy", lambda *_: np.zeros(1), "loss"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_answer_is_found(
    contexts: Contexts, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, wrong: object, key: str
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    assert key in failed(trace(contexts("small_cnn")))


def test_views_without_their_mirror_images_are_found(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    real = predict.views
    halves = lambda images, how: ((2 * weight, view) for weight, view in list(real(images, how))[::2])  # noqa: E731
    monkeypatch.setattr(predict, "views", lambda images, how: halves(images, how) if how != "none" else [(1.0, images)])
    assert failed(trace(contexts("plain_cnn"))) == {"views"}


def test_arrays_in_memory_begin_at_the_picture_and_rare_classes_weigh_more_in_the_loss(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    letters = tiny_dataset.train
    kept = np.flatnonzero((letters.labels != 2) | (np.arange(len(letters)) % 3 == 0))
    dataset = from_arrays(letters.images[kept], letters.labels[kept])
    recipe = FAMILIES["mlp"].replace(epochs=1, class_weights="balanced")
    run = fit(recipe, dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path))
    context = context_of(run, images_of(run, dataset))
    assert context.images.val is not None
    rare = context.images.val.ids[context.images.val.labels == 2]
    traced = trace(context, image=int(rare[0]))
    assert traced.passed
    assert traced.stages[0].key == "picture"
    loss = next(stage for stage in traced.stages if stage.key == "loss")
    weight, hard = float(loss.facts["weight of 2"]), float(loss.facts["minus the log of the label's probability"])
    assert weight > 2
    assert float(loss.values[0]) == pytest.approx(weight * hard, rel=5e-3)  # the weight is shown with three digits


@pytest.mark.parametrize(("by", "title"), [("shrink", "Shrunk to 16 pixels"), ("crop", "Cropped to 16 pixels")])
@pytest.mark.parametrize("cut", [(slice(None), slice(20)), (slice(20), slice(None))], ids=["tall", "wide"])
def test_pictures_that_are_no_squares_are_followed_and_shrink_by_their_shorter_side(
    tiny_dataset: Dataset, tmp_path: Path, cut: tuple[slice, slice], by: ResizedBy, title: str
) -> None:
    letters = tiny_dataset.train
    dataset = from_arrays(letters.images[:, *cut], letters.labels)
    recipe = FAMILIES["resnet18"]
    for side, resized in ((20, False), (16, True)):
        run = fit(
            recipe.replace(resolutions=(Resolution(side=side, until=0.5, by=by),)), dataset,
            FitOptions(device="cpu", precision="fp32", runs=tmp_path, name=str(side)),
        )  # fmt: skip
        traced = trace(context_of(run, images_of(run, dataset)))
        assert failed(traced) == set()
        assert [each.title for each in traced.stages if each.key == "resized"] == [title] * resized


def test_an_answer_in_the_file_that_is_not_the_models_is_found(contexts: Contexts) -> None:
    context = contexts("sprint_net")
    assert context.stored is not None
    other = dataclasses.replace(context.stored, logits=np.roll(context.stored.logits, 1, axis=1))
    assert failed(trace(dataclasses.replace(context, stored=other))) == {"stored"}


def test_pictures_with_swapped_channels_are_not_those_it_was_trained_on(own_run: Run, tiny_dataset: Dataset) -> None:
    images = dataclasses.replace(tiny_dataset.train, images=tiny_dataset.train.images[..., ::-1].copy())
    with pytest.raises(DataError, match="--data"):
        images_of(own_run, dataclasses.replace(tiny_dataset, train=images))


def test_what_is_not_there_is_refused_with_a_way_out(contexts: Contexts, own_run: Run, tiny_dataset: Dataset) -> None:
    context = contexts("mlp")
    train, of_val = context.images.train, int(context.images.val.ids[0])
    said = f"{of_val} is not in train, which holds {len(train)} images such as {', '.join(train.names[:3])}. .* val$"
    with pytest.raises(InvalidSetting, match=said):
        trace(context, image=of_val, split="train")
    with pytest.raises(InvalidSetting, match="epochs 0 to 1"):
        trace(context, epoch=2)
    with pytest.raises(RunError, match="snellen evaluate"):
        trace(dataclasses.replace(context, stored=dataclasses.replace(context.stored, ids=context.stored.ids + 10_000)))
    (own_run.folder / "weights.safetensors").unlink()
    with pytest.raises(RunError, match="has no weights"):
        context_of(own_run, images_of(own_run, tiny_dataset))


def test_a_final_run_is_traced_with_its_training_pictures_only(
    contexts: Contexts, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    dataset = make_eyechart(seed=0, train=40, test=10)
    run = fit(
        tiny_recipe.replace(epochs=1), dataset, FitOptions(final=True, device="cpu", precision="fp32", runs=tmp_path)
    )
    context = context_of(run, images_of(run, dataset))
    assert trace(context, split="train").passed
    with pytest.raises(RunError, match="--split train"):
        trace(context)


def test_the_json_is_json_without_pixels(contexts: Contexts) -> None:
    content = json.loads(json.dumps(to_json(trace(contexts("resnet18"))), allow_nan=False))
    assert content["passed"] is True
    assert content["stages"][1]["pictures"] == [{"caption": f"#{content['image']}", "shape": [32, 32, 3]}]


@pytest.mark.cifar10
def test_a_cifar10_picture_begins_with_its_row_on_disk_and_another_row_is_found(
    cifar10_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snellen.data import cifar10
    from snellen.models.weights import save_weights
    from snellen.runs.run import create_run
    from snellen.train.setup import prepare

    dataset = cifar10.read(cifar10_folder)
    setup = prepare(FAMILIES["mlp"], dataset, seed=0, device="cpu", precision="fp32")
    run = create_run(tmp_path, "untrained", setup.recipe, {**setup.describe(), "status": "finished"}, {})
    save_weights(run, setup.new_model())
    context = context_of(run, images_of(run, dataset))
    traced = trace(context, image=int(context.images.val.ids[-1]))
    assert traced.passed
    assert traced.stages[0].title == "Bytes on disk"
    real = picture_stages.stored_row
    monkeypatch.setattr(picture_stages, "stored_row", lambda folder, image_id: real(folder, image_id - 1))
    assert failed(trace(context, image=int(context.images.val.ids[-1]))) == {"disk"}


def test_the_sheet_has_a_row_for_each_stop_with_its_first_six_pictures_and_its_verdict(
    contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    traced = trace(contexts("small_cnn"))
    monkeypatch.setattr(figures, "save_png", lambda figure, path: drawn.append(figure))
    stages = list(traced.stages)
    stages[0] = dataclasses.replace(stages[0], pictures=stages[1].pictures * 9)
    wrong = dataclasses.replace(stages[1].by_hand, result=np.asarray(stages[1].by_hand.result) + 1)
    stages[1] = dataclasses.replace(stages[1], by_hand=wrong)
    write_png(Path("unused.png"), dataclasses.replace(traced, stages=tuple(stages)))
    (axes,) = drawn[-1].axes
    assert len(axes.images) == sum(min(len(stage.pictures), 6) for stage in stages)
    signs = [text.get_text() for text in axes.texts if text.get_text() in "✓✗"]
    assert signs == ["✓", "✗", *"✓" * (len(stages) - 2)]
    rows = [row for row, stage in enumerate(stages) for _ in stage.pictures[:6]]
    before = (-1, 0.0)
    for row, image in zip(rows, axes.images, strict=True):
        left, right, bottom, top = image.get_extent()
        upper = axes.get_ylim()[1] - 0.5 - row
        assert upper - 1 <= bottom < top <= upper  # in its own row, beside the one before
        assert left >= (before[1] if before[0] == row else 2.9)
        assert right <= axes.get_xlim()[1]
        before = (row, right)
        high, wide = image.get_array().shape[:2]
        assert (right - left) / (top - bottom) == pytest.approx(wide / high)
