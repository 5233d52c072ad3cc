"""Answers to all pictures, each by a head that has not learned from it: what doubts of training labels rest on.

The pictures are dealt into folds by content, so that copies of one picture are on one side. A network that knows a
thousand kinds of things, and none of these labels, makes features of each picture once; for each fold a head, a
logistic regression with one best answer, is fitted to the features of the others. The test set takes no part in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
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
from snellen.errors import StorageError
from snellen.metrics.label_issues import LabelIssue, label_issues
from snellen.models.catalog import ModelSpec, build, pixel_range
from snellen.models.device import choose_device, computes_bf16
from snellen.models.external import inputs_of, last_linear
from snellen.models.fuse import optimize_for_inference
from snellen.paths import cache_folder
from snellen.predict.familiarity import direction
from snellen.predict.predictions import Predictions
from snellen.runs.atomic import write_bytes
from snellen.serialize import read_arrays
from snellen.train.head import fit_head

FOLDS = 5
_NETWORK = "efficientnet_lite0"
_SIDE = 224  # what the network was made for; smaller pictures are enlarged
_AT_ONCE = 32
_PENALTY = 500.0  # a head that fits every wrong label doubts none; measured (results/LOG.md)
_COMPARED = 1_000  # pictures, with all others, at a time
_NEIGHBOURS = 3
_MOST_KEPT = 2**29  # bytes of features on the disk: of 100,000 pictures


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


@dataclass(frozen=True)
class Doubts:
    """The labels of train and val that confident learning doubts, and what it rests on.

    Attributes:
        images: all N pictures of train and val.
        answers: to them, out of fold.
        rows: (M,) int64, those that are doubted, the most suspicious first.
        nearest: (M, 3) int64, rows of the pictures that look most like each, nearest first; fewer of a tiny set.
        suspects: the M of them one by one, for lists and tables.
    """

    images: LabeledImages
    answers: Predictions
    rows: NDArray[np.int64]
    nearest: NDArray[np.int64]
    suspects: tuple[SuspectLabel, ...]


def doubted_labels(
    dataset: Dataset, *, device: str = "auto", progress: Callable[[int], None] = lambda done: None
) -> Doubts:
    """Answer train and val out of fold and doubt their labels; the test set stays sealed.

    Labels that the data set's corrections speak of are not doubted again.

    Args:
        dataset: as loaded.
        device: "auto", "cpu", "cuda" or "mps".
        progress: called with the number of pictures that were looked at so far.

    Raises:
        MissingExtra: the package with the pretrained weights is not installed.
    """
    images = dataset.train
    features = kept_features(images, device=device, progress=progress)
    answers = out_of_fold(images, features)
    found, known = label_issues(answers), settled(dataset)
    rows = found.index[~known[found.index]]
    issues = (issue for row, issue in zip(found.index, found.issues, strict=True) if not known[row])
    names, classes, alike = images.names, images.class_names, nearest(images, features, rows)
    suspects = tuple(
        SuspectLabel(
            issue,
            identity_text(images.identities[row]),
            tuple((names[other], classes[images.labels[other]]) for other in others),
        )
        for issue, row, others in zip(issues, rows.tolist(), alike.tolist(), strict=True)
    )
    return Doubts(images, answers, rows, alike, suspects)


def kept_features(
    images: LabeledImages, *, device: str = "auto", progress: Callable[[int], None] = lambda done: None
) -> NDArray[np.float32]:
    """`published_features`, with those of pictures looked at before from the cache, whatever their labels are now."""
    what = f"{_NETWORK} {torch.__version__} {choose_device(device)} {images.name} {images.image_shape}"
    path = cache_folder() / "features" / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.npz"
    try:
        with path.open("rb") as file:
            kept = read_arrays(file, {"content": np.uint64, "features": np.float32})
        known = dict(zip(kept["content"].tolist(), kept["features"], strict=True))
    except (OSError, LookupError, ValueError):  # not there yet, or not whole: made anew
        known = {}
    content = images.content_hashes.tolist()
    new = np.array([row for row, one in enumerate(content) if one not in known], dtype=np.int64)
    if len(new):
        before = len(images) - len(new)
        some = images.take(new, images.role)
        made = published_features(some, device=device, progress=lambda done: progress(before + done))
        known |= dict(zip(some.content_hashes.tolist(), made, strict=True))
    features = np.stack([known[one] for one in content])
    if len(new) and features.nbytes <= _MOST_KEPT:
        buffer = io.BytesIO()
        np.savez(buffer, content=images.content_hashes, features=features)
        with contextlib.suppress(StorageError):  # it is only time that is lost
            write_bytes(path, buffer.getvalue())
    return features


def published_features(
    images: LabeledImages, *, device: str = "auto", progress: Callable[[int], None] = lambda done: None
) -> NDArray[np.float32]:
    """(N, D) float32: what the last layer of the published network is given of each picture, grey ones as RGB."""
    mean, std = pixel_range(_NETWORK)
    shape = (_SIDE, _SIDE, 3)
    model = build(ModelSpec(_NETWORK, shape, 2, mean, std), seed=0, pretrained=True)
    where = choose_device(device)
    # By what the processor has and not by a race: asked again, the same pictures have the same features.
    fast = optimize_for_inference(model, bf16=computes_bf16(where)).to(where)
    pixels = torch.from_numpy(images.images)
    with inputs_of(last_linear(fast.net)[1]) as heard, torch.inference_mode():
        for done in range(0, len(images), _AT_ONCE):
            batch = to_float(pixels[done : done + _AT_ONCE].to(where)).expand(-1, 3, -1, -1)
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
