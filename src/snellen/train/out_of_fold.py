"""Answers to all pictures, each by a head that has not learned from it: what doubts of training labels rest on.

The pictures are dealt into folds by content, so that copies of one picture are on one side. A network that knows a
thousand kinds of things, and none of these labels, makes features of each picture once; for each fold a head, a
logistic regression with one best answer, is fitted to the features of the others. The test set takes no part in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from snellen.augment.batched import to_float
from snellen.data.corrections import identity_text, settled
from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.splits import folds_of
from snellen.metrics.label_issues import LabelIssue, label_issues
from snellen.models.catalog import ModelSpec, build, pixel_range
from snellen.models.external import inputs_of, last_linear
from snellen.models.fuse import optimize_for_inference
from snellen.predict.familiarity import direction
from snellen.predict.predictions import Predictions
from snellen.train.head import fit_head
from snellen.train.precision import choose_compute

FOLDS = 5
_NETWORK = "efficientnet_lite0"
_SIDE = 224  # what the network was made for; smaller pictures are enlarged
_AT_ONCE = 32
_PENALTY = 500.0  # a head that fits every wrong label doubts none; measured (results/LOG.md)
_COMPARED = 1_000  # pictures, with all others, at a time
_NEIGHBOURS = 3


@dataclass(frozen=True)
class SuspectLabel:
    """A doubted label with what it takes to judge it.

    Attributes:
        issue: name, label given and suggested, and how probable they are.
        hash: the picture's identity, as a file of corrections has it.
        nearest: the pictures that look most like it, copies left out: name and label of each, nearest first.
    """

    issue: LabelIssue
    hash: str
    nearest: tuple[tuple[str, str], ...]

    @property
    def correction(self) -> dict[str, str]:
        """Its row in a file of corrections, which changes nothing until somebody fills in `new`."""
        issue = self.issue
        alike = ", ".join(f"{name} {label}" for name, label in self.nearest)
        why = f"looks like {issue.suggested} ({100 * issue.probability_suggested:.0f} %); most alike: {alike}"
        about = {"file": issue.name, "hash": self.hash, "old": issue.given, "new": "", "why": why}
        return about | {"suggested": issue.suggested}


def suspect_labels(
    dataset: Dataset, *, device: str = "auto", progress: Callable[[int], None] = lambda done: None
) -> tuple[SuspectLabel, ...]:
    """The labels of train and val that confident learning doubts, the most suspicious first.

    Those that the data set's corrections speak of are not doubted again. The test set stays sealed.

    Args:
        dataset: as loaded.
        device: "auto", "cpu", "cuda" or "mps".
        progress: called with the number of pictures that were looked at so far.

    Raises:
        MissingExtra: the package with the pretrained weights is not installed.
    """
    images = dataset.train
    features = published_features(images, device=device, progress=progress)
    found, known = label_issues(out_of_fold(images, features)), settled(dataset)
    rows = found.index[~known[found.index]]
    names, labels, classes = images.names, images.labels, images.class_names
    alike = nearest(images, features, rows)
    issues = [issue for row, issue in zip(found.index, found.issues, strict=True) if not known[row]]
    return tuple(
        SuspectLabel(
            issue,
            identity_text(images.identities[row]),
            tuple((names[other], classes[labels[other]]) for other in others),
        )
        for issue, row, others in zip(issues, rows.tolist(), alike.tolist(), strict=True)
    )


def published_features(
    images: LabeledImages, *, device: str = "auto", progress: Callable[[int], None] = lambda done: None
) -> NDArray[np.float32]:
    """(N, D) float32: what the last layer of the published network is given of each picture, grey ones as RGB."""
    mean, std = pixel_range(_NETWORK)
    shape = (_SIDE, _SIDE, 3)
    model = build(ModelSpec(_NETWORK, shape, 2, mean, std), seed=0, pretrained=True)
    compute = choose_compute(model, shape, device=device, precision="auto")
    fast = optimize_for_inference(model, bf16=compute.bf16).to(compute.device)
    pixels = torch.from_numpy(images.images)
    with inputs_of(last_linear(fast.net)[1]) as heard, torch.inference_mode():
        for done in range(0, len(images), _AT_ONCE):
            batch = to_float(pixels[done : done + _AT_ONCE].to(compute.device)).expand(-1, 3, -1, -1)
            if min(batch.shape[2:]) < _SIDE:
                batch = functional.interpolate(batch, (_SIDE, _SIDE), mode="bilinear", align_corners=False)
            fast(batch.contiguous(memory_format=torch.channels_last))
            progress(min(done + _AT_ONCE, len(images)))
    return torch.cat(heard).numpy()


def out_of_fold(images: LabeledImages, features: NDArray[np.float32]) -> Predictions:
    """Answers to all pictures, each by the head that was fitted without its fold.

    Args:
        images: to learn from: train, or train and val together.
        features: (N, D) of them.
    """
    given, labels = torch.from_numpy(features), torch.from_numpy(images.labels)
    logits = torch.empty(len(images), images.num_classes)
    fold = torch.from_numpy(folds_of(images, FOLDS))
    for held_out in range(FOLDS):
        inside = fold != held_out
        head = torch.nn.Linear(features.shape[1], images.num_classes)
        fit_head(head, given[inside], labels[inside], _PENALTY, None)
        with torch.no_grad():
            logits[~inside] = head(given[~inside])
    return Predictions.of(images, logits.numpy())


def nearest(images: LabeledImages, features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(M, 3) int64: rows of the pictures that look most like those in `rows` (M,), nearest first, copies left out."""
    known, identities = direction(torch.from_numpy(features)), images.identities
    count = min(_NEIGHBOURS, len(known))
    found = [torch.zeros(0, count, dtype=torch.int64)]
    for some in torch.split(torch.from_numpy(rows), _COMPARED):
        copies = torch.from_numpy(identities[some.numpy()][:, None] == identities[None, :])
        found.append((known[some] @ known.T).masked_fill(copies, -2).topk(count, dim=1).indices)
    return torch.cat(found).numpy()
