"""Each guard's mistake, made on purpose with a few eyechart letters, as docs/gotchas.md shows it.

Nothing is acted: pictures are really scrambled, models really trained (for a second), ledgers really written, and the
result is the guard's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from snellen.augment.batched import to_float
from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Candidate, Ledger, TestSet
from snellen.data.splits import split
from snellen.guards.cifar10_near_duplicates import cifar10_test_duplicates
from snellen.guards.copies import find_copies
from snellen.guards.data_guards import (
    class_balance,
    labels_match_images,
    pixel_order,
    pixel_statistics,
)
from snellen.guards.duplicates import exact_duplicates, near_duplicates
from snellen.guards.guard import GuardResult
from snellen.guards.model_guards import initial_loss, repeatable_evaluation, small_image_stem
from snellen.guards.run_guards import class_answers, finite_loss, overfit_gap, stuck_at_chance, used_once
from snellen.metrics.classification import hard_cross_entropy
from snellen.models.catalog import ModelSpec, build
from snellen.models.normalized import Classifier
from snellen.models.resnet18 import ResNet18
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import SGD, Recipe
from snellen.runs.run import Row

_RECIPE = Recipe(name="shown", model="mlp", epochs=1, batch_size=128)
_ROUNDS = 5


@dataclass(frozen=True)
class Mistake:
    """A mistake in one sentence, and the function that makes it and asks the guard."""

    sentence: str
    make: Callable[[], GuardResult]


def _letters(count: int = 1_200) -> tuple[LabeledImages, LabeledImages]:
    parts = split(make_eyechart(train=count, test=10), val_fraction=0.25)
    assert parts.val is not None
    return parts.train, parts.val


def _scrambled() -> GuardResult:
    train, _ = _letters()
    channels_first = np.ascontiguousarray(train.images.transpose(0, 3, 1, 2))
    return pixel_order(replace(train, images=channels_first.reshape(train.images.shape)))


def _rare_letters() -> LabeledImages:
    train, _ = _letters(4_000)
    kept = np.flatnonzero((train.labels == 0) | (np.arange(len(train)) % 20 == 0))
    return train.take(kept.astype(np.int64), "train")


def _shuffled(images: LabeledImages) -> LabeledImages:
    return replace(images, labels=np.random.default_rng(0).permutation(images.labels))


def _copied() -> GuardResult:
    train, val = _letters()
    return exact_duplicates(find_copies(train, _with_first(val, train.images[:30], train.labels[:30])))


def _nearly_copied() -> GuardResult:
    train, val = _letters()
    moved = np.roll(train.images[:30], 1, axis=2).astype(np.int16) + 12
    copies = np.clip(moved, 0, 255).astype(np.uint8)
    return near_duplicates(find_copies(train, _with_first(val, copies, train.labels[:30])))


def _with_first(images: LabeledImages, first: NDArray[np.uint8], labels: NDArray[np.int64]) -> LabeledImages:
    rest = len(first)
    return replace(
        images,
        images=np.concatenate([first, images.images[rest:]]),
        labels=np.concatenate([labels, images.labels[rest:]]),
    )


def _listed_duplicates() -> GuardResult:
    labels = np.arange(1_000, dtype=np.int64) % 10
    answers = np.where(np.arange(1_000) % 20 == 7, (labels + 1) % 10, labels)  # 95 % right; the listed all are
    logits = np.eye(10, dtype=np.float32)[answers]
    names = tuple("0123456789")
    made_up = Predictions(logits, labels, np.arange(1_000, dtype=np.int64), names, "test", data="cifar10")
    return cifar10_test_duplicates("cifar10", frozenset(range(0, 1_000, 25)), made_up)


def _foreign_statistics() -> GuardResult:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return pixel_statistics(mean, std, measured_on="train", train=_letters()[0])


def _stock_stem() -> GuardResult:
    # Built by hand: `catalog.build` refuses this stem for images under 64 px.
    net = ResNet18((64, 64, 3), 10, widths=(8, 16, 32, 64), stem="stock", residual=True)
    return small_image_stem(net, (32, 32, 3))


def _sure_of_itself() -> GuardResult:
    train, val = _letters()
    model = _model("small_cnn", train, widths=(8, 8, 16, 16))
    with torch.no_grad():
        model.get_parameter("net.fc.weight").mul_(100)
    return initial_loss(model, val)


class _Jittery(nn.Module):
    """A model that shifts its images by chance inside `forward`, whatever its mode."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> logits (N, K), other ones each time."""
        shift = int(torch.randint(1, 5, ()))
        logits: torch.Tensor = self.model(images.roll(shift * (1 if torch.rand(()) < 0.5 else -1), dims=3))
        return logits


def _augmented_evaluation() -> GuardResult:
    train, val = _letters()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return repeatable_evaluation(_Jittery(_model("small_cnn", train, widths=(8, 8, 16, 16))), val)


def _looked_twice() -> GuardResult:
    train, _ = _letters(200)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.jsonl")
        for weights in ("one", "another"):
            tried = Candidate(run=weights, weights=weights, recipe="shown", seed=0, recipe_sha256=weights)
            ledger.intend(TestSet.of(train), [tried], tta="none", reason="which is better?", version="0")
        result = used_once(ledger, data="eyechart", recipe=_RECIPE, started="", runs=Path(folder))
    return replace(result, evidence=result.evidence.replace(str(ledger.path), ledger.path.name))


def _diverged() -> GuardResult:
    rows, _ = _brief_training(*_letters(), lr=1e4)
    return finite_loss(rows, status="training", recipe=_RECIPE.replace(optimizer=SGD(lr=1e4)))


def _memorised_few() -> GuardResult:
    train, val = _letters()
    few = train.take(np.arange(200, dtype=np.int64), "train")
    rows, _ = _brief_training(few, val, lr=0.01)
    return overfit_gap(rows, best_epoch=None, recipe=_RECIPE)


def _learnt_noise() -> GuardResult:
    train, val = _letters()
    rows, _ = _brief_training(_shuffled(train), val, lr=0.01)
    return stuck_at_chance(rows, val_per_class=val.counts.tolist(), recipe=_RECIPE)


def _ignored_rare() -> GuardResult:
    train = _rare_letters()
    _, model = _brief_training(train, train, lr=0.01, steps=5)
    return class_answers(predict(model, train))


MISTAKES: dict[str, Mistake] = {
    "pixel-order": Mistake("Channels-first bytes are reshaped to (N, 32, 32, 3) instead of transposed.", _scrambled),
    "class-balance": Mistake(
        "Of nine letters only every twentieth picture is kept.", lambda: class_balance(_rare_letters())
    ),
    "labels-match-images": Mistake(
        "The labels are shuffled, the pictures are not.", lambda: labels_match_images(_shuffled(_letters(4_000)[0]))
    ),
    "exact-duplicates": Mistake("Thirty training pictures are put into val.", _copied),
    "near-duplicates": Mistake(
        "Thirty training pictures, a pixel to the right and a little brighter, are put into val.", _nearly_copied
    ),
    "test-duplicates": Mistake(
        "Made-up answers to 1,000 test images, 40 of which are said to have a near-duplicate.", _listed_duplicates
    ),
    "pixel-statistics": Mistake("A model is given ImageNet's mean and deviation.", _foreign_statistics),
    "small-image-stem": Mistake("A ResNet-18 with the stem for 224 px is built by hand for 32 px.", _stock_stem),
    "initial-loss": Mistake("The untrained last layer is multiplied by 100.", _sure_of_itself),
    "finite-loss": Mistake("An MLP is trained with learning rate 10,000.", _diverged),
    "stuck-at-chance": Mistake("An MLP is trained on shuffled labels.", _learnt_noise),
    "overfit-gap": Mistake("An MLP is trained on 200 pictures, without augmentation.", _memorised_few),
    "class-answers": Mistake("An MLP is trained for five steps on pictures of mostly one letter.", _ignored_rare),
    "repeatable-evaluation": Mistake(
        "A model shifts its images by chance, also when it is graded.", _augmented_evaluation
    ),
    "test-once": Mistake("Two different models are judged on one test set.", _looked_twice),
}
"""By the guards' names, in the order of `guard.GUARDS`."""


def _model(name: str, images: LabeledImages, *, widths: tuple[int, ...]) -> Classifier:
    shape, classes = images.image_shape, images.num_classes
    return build(
        ModelSpec(
            name, image_shape=shape, num_classes=classes, mean=(0.5,) * 3, std=(0.25,) * 3, options={"widths": widths}
        ),
        seed=0,
    )


def _brief_training(
    train: LabeledImages, val: LabeledImages, *, lr: float, steps: int = 40
) -> tuple[list[Row], Classifier]:
    """The journal and the model of an MLP after five rounds of plain gradient steps on batches of 128."""
    model = _model("mlp", train, widths=(64,))
    pixels, labels = to_float(torch.from_numpy(train.images)), torch.from_numpy(train.labels)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    rows: list[Row] = []
    for epoch in range(1, _ROUNDS + 1):
        model.train()
        losses = [_step(model, optimizer, pixels, labels, at) for at in _batches(epoch, len(train), steps)]
        on_train, on_val = predict(model, train, finite=False), predict(model, val, finite=False)
        rows.append(
            {
                "epoch": epoch,
                "step": epoch * steps,
                "train/loss": float(np.mean(losses)),
                "train/accuracy": float(on_train.correct.mean()),
                "val/accuracy": float(on_val.correct.mean()),
                "val/loss": hard_cross_entropy(on_val),
            }
        )
    return rows, model


def _batches(epoch: int, count: int, steps: int) -> NDArray[np.int64]:
    return np.random.default_rng(epoch).integers(0, count, (steps, 128))


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    at: NDArray[np.int64],
) -> float:
    index = torch.from_numpy(at)
    loss = functional.cross_entropy(model(pixels[index]), labels[index])
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())
