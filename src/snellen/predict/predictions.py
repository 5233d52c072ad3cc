"""The waist of the hourglass: what a model said about each image.

Everything above makes predictions, everything below (metrics, confusion, calibration, report, viewer) is a
NumPy-only function of them. Two places that read the same file cannot disagree.
"""

from __future__ import annotations

import importlib
import io
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages, numbered
from snellen.errors import MissingExtra, RunError
from snellen.paths import visible
from snellen.runs.atomic import write_bytes
from snellen.runs.run import Run
from snellen.serialize import read_arrays

_KINDS = {
    "about": np.uint8, "logits": np.float32, "tta_logits": np.float32, "labels": np.int64, "ids": np.int64,
    "names": None, "identities": np.uint64,
}  # fmt: skip
_MOST_EPOCHS = 10_000  # of any recipe


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, K) logits -> (N, K) float64 probabilities; the largest logit is subtracted first, so nothing overflows."""
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


@dataclass(frozen=True, repr=False)
class Predictions:
    """Logits with the labels they are to be judged by, one row per image.

    Attributes:
        logits: (N, K) float32, one plain view of each image.
        labels: (N,) int64; -1 where no label is known.
        ids: (N,) int64, positions in the source file, as in `LabeledImages.ids`.
        class_names: the K names, in logit order.
        split: "train", "val", "test" or "new".
        tta: name of the test-time augmentation whose logits are in `tta_logits`; "none" where there are none.
        tta_logits: (N, K) float32, the raw logits averaged over the views, each view with its weight, or None.
        data: name of the data set.
        names: what to call each image, as in `LabeledImages.names`; "#ID" each where none are given.
        identities: (N,) uint64, as in `LabeledImages.identities`: which image it is, whatever it is called and wherever
            it stands. None in files written by an older version.
        best_of: how many epochs had these images to be chosen by, of which these answers are the best; 1: none.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    class_names: tuple[str, ...]
    split: str
    tta: str = "none"
    tta_logits: NDArray[np.float32] | None = None
    data: str = ""
    names: tuple[str, ...] = ()
    identities: NDArray[np.uint64] | None = None
    best_of: int = 1

    def __post_init__(self) -> None:
        count, classes = self.logits.shape
        if not self.names:
            object.__setattr__(self, "names", numbered(self.ids.tolist()))
        assert len(self.labels) == len(self.ids) == len(self.names) == count, "one label, id and name per row of logits"
        assert self.identities is None or len(self.identities) == count, "one identity per row of logits"
        assert len(self.class_names) == classes, "one name per logit"

    @staticmethod
    def of(
        images: LabeledImages,
        logits: NDArray[np.float32],
        *,
        tta: str = "none",
        tta_logits: NDArray[np.float32] | None = None,
    ) -> Predictions:
        """What a model answered to `images`: (N, K) logits, row by row."""
        about = (images.labels, images.ids, images.class_names, images.role, tta, tta_logits, images.name)
        return Predictions(logits, *about, names=images.names, identities=images.identities)

    def take(self, rows: NDArray[np.int64]) -> Predictions:
        """The answers in these rows, in that order."""
        return replace(
            self,
            logits=self.logits[rows],
            labels=self.labels[rows],
            ids=self.ids[rows],
            tta_logits=None if self.tta_logits is None else self.tta_logits[rows],
            names=tuple(self.names[row] for row in rows.tolist()),
            identities=None if self.identities is None else self.identities[rows],
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        known = self.labels >= 0
        right = f", {int(self.correct[known].sum())} of {int(known.sum())} right" if known.any() else ""
        where = f" of {self.data}" if self.data else ""
        return f"<Predictions: {len(self)} {self.split} images{where}, {len(self.class_names)} classes{right}>"

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, K) float64, softmax of the plain logits."""
        return softmax(self.logits)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) int64, the class with the largest plain logit."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) bool, whether the plain top-1 is the label."""
        return np.asarray(self.predicted == self.labels)

    def columns(self) -> dict[str, Any]:
        """A table of these answers, a row for each image, by column (docs/api.md)."""
        answers = list(zip(self.correct.tolist(), self.labels.tolist(), strict=True))
        return {
            "name": list(self.names),
            "id": self.ids,
            "split": [self.split] * len(self),
            "label": [self.class_names[label] if label >= 0 else None for label in self.labels.tolist()],
            "predicted": [self.class_names[answer] for answer in self.predicted.tolist()],
            "correct": [right if label >= 0 else None for right, label in answers],
            "confidence": self.probabilities.max(axis=1),
            **{f"p({name})": self.probabilities[:, at] for at, name in enumerate(self.class_names)},
        }

    def to_pandas(self) -> Any:
        """`columns` as a `pandas.DataFrame`; raises MissingExtra where pandas is not installed."""
        return _library("pandas").DataFrame(self.columns())

    def to_arrow(self) -> Any:
        """`columns` as a `pyarrow.Table`; raises MissingExtra where pyarrow is not installed."""
        return _library("pyarrow").table(self.columns())

    def with_tta(self) -> Predictions:
        """The same images judged by the averaged views. Without test-time augmentation: itself."""
        if self.tta_logits is None:
            return self
        return replace(self, logits=self.tta_logits, tta_logits=None)

    def save(self, path: Path) -> None:
        """Write as .npz without pickle, in one rename."""
        about = {
            "class_names": self.class_names,
            "split": self.split,
            "tta": self.tta,
            "data": self.data,
            "best_of": self.best_of,
        }
        arrays = {name: getattr(self, name) for name in ("logits", "labels", "ids", "tta_logits", "identities")}
        arrays = {name: values for name, values in arrays.items() if values is not None}
        arrays["names"] = np.array(self.names, dtype=np.str_)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), **arrays)
        write_bytes(path, buffer.getvalue())

    @staticmethod
    def load(path: Path) -> Predictions:
        """Read what `save` wrote.

        Raises:
            RunError: the file is missing or is not a predictions file.
        """
        try:
            with path.open("rb") as file:
                return Predictions._from_arrays(read_arrays(file, _KINDS))
        except FileNotFoundError:
            raise RunError(f"{path} does not exist. Predict first: snellen evaluate {path.parent}") from None
        except (LookupError, TypeError, ValueError, OSError, RecursionError, AssertionError) as error:
            raise RunError(f"{path} is not a readable predictions file ({str(error)[:200]}).") from error

    @staticmethod
    def _from_arrays(arrays: dict[str, Any]) -> Predictions:
        about = json.loads(bytes(arrays["about"]))
        found = Predictions(
            logits=arrays["logits"],
            labels=arrays["labels"],
            ids=arrays["ids"],
            class_names=_listed(about["class_names"]),
            split=about["split"],
            tta=about["tta"],
            tta_logits=arrays.get("tta_logits"),
            data=about["data"],
            names=tuple(arrays["names"].tolist()) if "names" in arrays else (),
            identities=arrays.get("identities"),
            best_of=about.get("best_of", 1),
        )
        _require_sound(found)
        return found


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingExtra(f"This takes {name}, which is not installed: pip install {name}") from None


def stored_predictions(run: Run, split: str) -> Predictions | None:
    """What a run left on "val" or "test", held against its `run.json`; None where it left nothing.

    Raises:
        RunError: the file is broken, or not of this run: other classes, other hits, or logits that are no numbers.
    """
    path = run.folder / f"predictions_{split}.npz"
    if not path.exists() or (split == "val" and run.info["final"]):
        return None
    found, graded = Predictions.load(path), run.info.get(split, {}).get("accuracy")
    fault = None
    if found.split != split or list(found.class_names) != run.info["data"]["class_names"]:
        fault = "its split or its classes are not those of run.json"
    elif not np.isfinite(found.logits).all():
        fault = "its logits are no finite numbers"
    elif graded is not None and (int(found.correct.sum()), len(found)) != (graded["hits"], graded["n"]):
        hits = f"{found.correct.sum():,} of {len(found):,}"
        fault = f"it has {hits} right, where run.json says {graded['hits']:,} of {graded['n']:,}"
    if fault is not None:
        raise RunError(f"{path} is not what this run answered: {fault}. Move it away and grade again.")
    return found


def _listed(names: Any) -> tuple[Any, ...]:
    if not isinstance(names, list):
        raise ValueError("its class names are no list")  # a text is a sequence of letters, too
    return tuple(names)


def _require_sound(stored: Predictions) -> None:
    """Raise ValueError unless a file says what every reader of it relies on: it may come from anywhere.

    Logits that are no numbers pass: a broken training leaves them, and a guard says so.
    """
    texts = (*stored.class_names, stored.split, stored.tta, stored.data)
    averaged = stored.logits if stored.tta_logits is None else stored.tta_logits
    faults = {
        "a name in it is no text": not all(isinstance(text, str) for text in texts),
        "a picture's name cannot be printed": not all(isinstance(n, str) and visible(n) == n for n in stored.names),
        "what it is the best of is no number of epochs": type(stored.best_of) is not int
        or not 1 <= stored.best_of <= _MOST_EPOCHS,
        "it has fewer than two classes": len(stored.class_names) < 2,
        "labels or ids are not one row": stored.labels.ndim != 1 or stored.ids.ndim != 1,
        "a label is of no class": bool(((stored.labels < -1) | (stored.labels >= len(stored.class_names))).any()),
        "the averaged logits are of another shape": averaged.shape != stored.logits.shape,
    }
    for fault, found in faults.items():
        if found:
            raise ValueError(fault)
