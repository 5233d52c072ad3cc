"""Pictures in any form a notebook has them, and the answers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.errors import DataError, InvalidSetting, checked
from snellen.metrics.confidence import RejectRule
from snellen.predict.own_pictures import OwnPicture
from snellen.predict.predictions import Predictions
from snellen.report.encoding import png
from snellen.show import notebook

_SHOWN, _TOP = 12, 3
_SIDE = 48  # pixels of a picture in a notebook's table


@dataclass(frozen=True, repr=False)
class Answers:
    """What a model says about some pictures.

    Attributes:
        predictions: logits, one row per picture, averaged over views where that was asked for; labels are -1.
        images: (N, H, W, C) uint8, the pictures as the model saw them.
        names: the files' names, or the pictures' numbers.
        problems: files of a folder that cannot be read, by name, with one sentence each.
        familiarity: for each picture how far it is from the training pictures, as `snellen predict --json` has it;
            None each where the run does not know.
        rule: by which unsure answers are rejected; None where no accuracy was asked for.
    """

    predictions: Predictions
    images: NDArray[np.uint8]
    names: tuple[str, ...]
    problems: dict[str, str] = field(default_factory=dict)
    familiarity: tuple[dict[str, Any] | None, ...] = ()
    rule: RejectRule | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, K) float64."""
        return self.predictions.probabilities

    @property
    def classes(self) -> list[str]:
        """The most probable class of each picture."""
        return [self.predictions.class_names[answer] for answer in self.predictions.predicted]

    @property
    def rejected(self) -> NDArray[np.bool_] | None:
        """(N,) bool, which answers are not sure enough for the accuracy asked for; None where none was."""
        return None if self.rule is None else self.probabilities.max(axis=1) < self.rule.threshold

    @property
    def unfamiliar(self) -> NDArray[np.bool_] | None:
        """(N,) bool, which pictures are unlike those of the training; None where the run does not know."""
        told = [each["unfamiliar"] for each in self.familiarity if each is not None]
        return np.array(told, dtype=np.bool_) if len(told) == len(self) else None

    def _words(self, at: int) -> str:
        told = self.familiarity[at] if self.familiarity else None
        unsure = "rejected: not sure enough" if self.rejected is not None and self.rejected[at] else ""
        return "; ".join(filter(None, [unsure, str(told["words"]) if told else ""]))

    @checked
    def top(self, k: int = _TOP) -> list[list[tuple[str, float]]]:
        """For each picture the k most probable classes with their probabilities, the most probable first."""
        if k < 1:
            raise InvalidSetting(f"k={k} is not possible: 1 or more.")
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        names = self.predictions.class_names
        return [
            [(names[at], float(row[at])) for at in best]
            for row, best in zip(self.probabilities, order.tolist(), strict=True)
        ]

    def __repr__(self) -> str:
        width = max(map(len, self.names), default=0)
        lines = [
            f"{name:<{width}}  "
            + ", ".join(f"{label} {100 * value:.1f} %" for label, value in best)
            + (f"; {words}" if (words := self._words(at)) else "")
            for at, (name, best) in enumerate(zip(self.names[:_SHOWN], self.top(), strict=False))
        ]
        return "\n".join([*lines, *self._unsaid(len(lines))])

    def _unsaid(self, shown: int) -> list[str]:
        rest = [f"and {len(self) - shown:,} more"] if len(self) > shown else []
        return [*rest, *([f"{len(self.problems):,} unreadable, see .problems"] if self.problems else [])]

    def _repr_html_(self) -> str:
        """For notebooks: each picture as the model saw it, beside its three most probable classes."""
        rows = [self._row(at, best) for at, best in enumerate(self.top()[:_SHOWN])]
        more = map(notebook.line, self._unsaid(len(rows)))
        return notebook.block(notebook.table(("", "picture", "class", "", "sure"), rows, left=4), *more)

    def _row(self, at: int, best: list[tuple[str, float]]) -> tuple[notebook.Text, ...]:
        names = notebook.lines([label for label, _ in best])
        bars = notebook.lines([notebook.bar(value) for _, value in best])
        values = notebook.lines([f"{100 * value:.1f} %" for _, value in best])
        shown = notebook.Markup(notebook.picture(png(self.images[at]), width=_SIDE))
        name = notebook.lines([self.names[at], words]) if (words := self._words(at)) else self.names[at]
        return shown, name, names, bars, values


def answers(
    read: Sequence[OwnPicture],
    predictions: Predictions | None,
    told: Sequence[dict[str, Any] | None],
    rule: RejectRule | None = None,
) -> Answers:
    """What `own_pictures.asked` gives, as a notebook shows it.

    Raises:
        DataError: a picture that was named, or each of a folder, cannot be read.
    """
    for each in read:
        # Answers stand in the order of what was handed over; what a folder holds is not handed over one by one.
        if each.pixels is None and (each.folder is None or predictions is None):
            raise DataError(each.problem)
    assert predictions is not None, "one was read, or its problem was told"
    return Answers(
        predictions,
        np.stack([each.pixels for each in read if each.pixels is not None]),
        tuple(_short_name(each) for each in read if each.pixels is not None),
        {_short_name(each): each.problem for each in read if each.pixels is None},
        tuple(told),
        rule,
    )


def _short_name(picture: OwnPicture) -> str:
    """The file's name, below the folder in which it was found."""
    return Path(picture.name).name if picture.folder is None else str(Path(picture.name).relative_to(picture.folder))
