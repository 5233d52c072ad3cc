"""Is a picture like those a network learned from? Its distance to some of them, held against what val's pictures have.

A network names one of its classes whatever it is shown. This says when the name means little: the input of its last
linear layer is farther from the training pictures' than that of nearly all val pictures. The distance is 1 minus the
cosine to the fifth nearest (Sun et al. 2022), after each feature's fourth root, which keeps a few large ones from
deciding (Perronnin et al. 2010). What else was tried, and how well it tells: results/accuracy/2026-11_familiarity.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snellen.data.labeled_images import LabeledImages
from snellen.errors import RunError
from snellen.models.external import inputs_of, last_linear
from snellen.models.normalized import Classifier
from snellen.predict.predict import predict
from snellen.runs.atomic import write_bytes
from snellen.runs.run import Run

FILE = "familiarity.safetensors"
NEAREST, POWER = 5, 0.25
_A_CLASS, _AT_MOST = 64, 2_000
"""Training pictures kept: with all of them instead, no set was told apart better by more than 0.01 of AUROC."""
_CALLED = 0.01  # of pictures like val's, at most, are called unlike the training pictures
_LEAST_VAL = 20  # with fewer, one in every few familiar pictures would be called unfamiliar


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Training pictures to measure from, and how far val's pictures are from them.

    Attributes:
        known: (M, D) float16, directions of training pictures in the feature space, unit length.
        val: (V,) float32, distances of the val pictures, ascending.
    """

    known: NDArray[np.float16]
    val: NDArray[np.float32]

    @property
    def threshold(self) -> float:
        """The distance beyond which a picture is called unlike the training pictures.

        It is taken so that a new picture like val's is beyond it with a chance of 1 % at most, the val pictures being
        a sample: the 1 - 1 % quantile of V + 1. Under 99 val pictures there is no such distance; it is then the
        farthest of val, and the chance 1 in V + 1 (`chance`).
        """
        count = len(self.val)
        return float(self.val[min(count, int(np.ceil((1 - _CALLED) * (count + 1)))) - 1])

    @property
    def chance(self) -> float:
        """Of a new picture like those of val to be called unlike the training pictures, a fraction, at most."""
        return max(_CALLED, 1 / (len(self.val) + 1))

    def distances(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) inputs of the last linear layer -> (N,) distances in [0, 2].

        Raises:
            RunError: this was measured on another network.
        """
        if features.shape[1:] != self.known.shape[1:]:
            raise RunError(f"{FILE} was measured on another network. Delete it: the run answers without it.")
        return distance_to(torch.from_numpy(features), torch.from_numpy(self.known).float()).numpy()

    def told(self, distance: float) -> dict[str, Any]:
        """JSON-able: `distance`, `farther_than` (the fraction of val that is nearer), `unfamiliar`, and it in words."""
        nearer, count = int(np.searchsorted(self.val, np.float32(distance))), len(self.val)
        unfamiliar = distance > self.threshold
        than = f"all {count:,}" if nearer == count else f"{np.floor(1000 * nearer / count) / 10:g} % of the {count:,}"
        return {
            "distance": round(float(distance), 6),
            "farther_than": nearer / count,
            "unfamiliar": unfamiliar,
            "words": f"unlike the training pictures: farther from them than {than} val pictures" if unfamiliar else "",
        }

    def save(self, run: Run) -> None:
        """Write it into the run's folder, in one rename."""
        from safetensors.numpy import save

        write_bytes(run.folder / FILE, save({"known": self.known, "val": self.val}))


def distance_to(features: Tensor, known: Tensor) -> Tensor:
    """(N, D) features, (M, D) unit directions -> (N,) distances to the fifth nearest, or to the farthest of fewer."""
    similar = direction(features) @ known.T
    return 1 - similar.topk(min(NEAREST, len(known)), dim=1).values[..., -1]  # PyTorch 2.6 cannot export `[:, -1]`


def direction(features: Tensor) -> Tensor:
    """(N, D) features -> their signed fourth roots at unit length; float32."""
    roots = features.float().sign() * features.float().abs().pow(POWER)
    unit: Tensor = roots / roots.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return unit


@contextmanager
def features_heard(model: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, the input of the last linear layer is put into the list, pass after pass: (B, D) float32 on the CPU.

    Nothing is put there for a network of another library that has no such layer.
    """
    try:
        _, layer = last_linear(model)
    except ValueError:
        yield []
        return
    with inputs_of(layer) as heard:
        yield heard


def features_of(model: Classifier, images: LabeledImages, *, bf16: bool) -> NDArray[np.float32]:
    """(N, D) float32: the input of the last linear layer for each picture; (0, 0) where the network has none."""
    with features_heard(model) as heard:
        predict(model, images, bf16=bf16)
    return first_heard(heard, len(images))


def first_heard(heard: list[Tensor], count: int) -> NDArray[np.float32]:
    """(N, D) of the first `count` pictures that were heard, whose plain views `predict` takes first; (0, 0) of none."""
    return (torch.cat(heard)[:count] if heard else torch.zeros(0, 0)).numpy()


def measure_familiarity(
    model: Classifier, train: LabeledImages, val: NDArray[np.float32], *, seed: int, bf16: bool
) -> Familiarity | None:
    """How far val's pictures are from some training pictures; None where they are too few, or the network has no
    last linear layer.

    Args:
        model: trained on `train`, on its device.
        train: of which at most 64 a class, and 2,000 in all, are kept, chosen by the seed.
        val: (V, D), the input of the last linear layer for pictures none of which was trained on; (0, 0) without one.
        seed: of the choice.
        bf16: as for `predict`.
    """
    if len(val) < _LEAST_VAL:
        return None
    kept = train.take(some_of_each(train.labels, seed), role=train.role)
    known = direction(torch.from_numpy(features_of(model, kept, bf16=bf16))).numpy().astype(np.float16)
    found = Familiarity(known, np.zeros(0, dtype=np.float32))
    return Familiarity(known, np.sort(found.distances(val)))


def stored_familiarity(run: Run) -> Familiarity | None:
    """What a run has in its folder; None where it has none: not graded, too few val pictures, or of an older version.

    Raises:
        RunError: the file is broken.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = run.folder / FILE
    try:
        stored = load(path.read_bytes())
        known, val = stored["known"], stored["val"]
        whole = known.dtype == np.float16 and val.dtype == np.float32 and known.ndim == 2 and val.ndim == 1
        if not (whole and len(known) and len(val) and np.isfinite(known).all() and np.isfinite(val).all()):
            raise ValueError("its arrays are not what was written")
        return Familiarity(known, np.sort(val))
    except FileNotFoundError:
        return None
    except (KeyError, ValueError, OSError, SafetensorError) as error:
        raise RunError(
            f"{path} is not readable ({str(error)[:120]}). Delete it: the run answers without it."
        ) from error


def some_of_each(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Positions, ascending: as many of each class as of the others, as far as they go."""
    order = np.random.default_rng(seed).permutation(len(labels))
    classes = np.unique(labels)
    share = max(1, min(_A_CLASS, _AT_MOST // len(classes)))
    return np.sort(np.concatenate([order[labels[order] == label][:share] for label in classes])).astype(np.int64)
