"""What a look at a test set showed, and how far it may be believed: which look it was, and an interval to match."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snellen.metrics.classification import accuracy
from snellen.metrics.intervals import Rate, SeedSummary, level_among, mean_over_seeds
from snellen.metrics.scorecard import scorecard
from snellen.predict.predictions import Predictions


@dataclass(frozen=True)
class TestEvaluation:
    """One look at a test set: what was graded, what it showed, and which look it was.

    Attributes:
        runs: the graded runs' names.
        predictions: one per run.
        number: 1 for the first look at this test set, more when other weights were looked at before.
        together: models that were graded in this look, those shown here included.
        problems: what is not whole about the ledger.
        repeated: the same weights had been graded before; the stored answer was shown, nothing was opened.
        ledger: the ledger's file.
    """

    runs: tuple[str, ...]
    predictions: tuple[Predictions, ...]
    number: int
    repeated: bool
    ledger: Path
    together: int = 1
    problems: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """Confidence level of the intervals: 95 % at the first look, more where this number is one of several."""
        return level_among(self.number)

    def summary(self, *, tta: bool) -> SeedSummary:
        """Mean over the runs, plain or with test-time augmentation, with its interval at `level`."""
        judged = [one.with_tta() if tta else one for one in self.predictions]
        return mean_over_seeds([float(one.correct.mean()) for one in judged], level=self.level)

    def sentences(self) -> list[str]:
        """What a reader must know about these numbers."""
        lines = []
        if self.repeated:
            lines.append("These weights were graded before: this is the stored answer, not a new look.")
        if self.together > len(self.runs):
            lines.append(
                f"One of {self.together} models graded together in this look: quote all of them, not the best."
            )
        if self.problems:
            lines.append(f"The ledger {self.ledger} is not whole ({self.problems[0]}): looks may be missing from it.")
        elif self.number == 1:
            lines.append(f"First look at this test set, as far as {self.ledger} knows.")
        else:
            lines.append(
                f"Look {self.number} at this test set: the number is chosen among {self.number} looks and may be "
                f"optimistic by a few tenths of a point; its interval is widened to {100 * self.level:.4g} %, so that "
                f"the best of {self.number} keeps 95 %. snellen ledger lists the looks."
            )
        return lines

    def grades(self) -> list[str]:
        """One line for the plain accuracy and one with test-time augmentation, each with its widened interval."""
        if len(self.runs) == 1:
            plain, averaged = (one.text(2, self.level) for one in self._rates(0))
            images = ""
        else:
            plain, averaged = (str(self.summary(tta=tta)) for tta in (False, True))
            images = f", {len(self.predictions[0])} images each"
        lines = [f"test     {plain}{images}, plain, one view per image"]
        if self.predictions[0].tta_logits is not None:
            lines.append(f"         {averaged} with test-time augmentation: {self.predictions[0].tta}")
        return lines

    def _rates(self, run: int) -> tuple[Rate, Rate]:
        answers = self.predictions[run]
        return accuracy(answers), accuracy(answers.with_tta())

    def to_json(self) -> dict[str, Any]:
        """Grades per run and over runs, with the look's number."""
        cards = [scorecard(one).to_json() for one in self.predictions]
        for run, card in enumerate(cards):
            for view, rate in zip(("plain", "with_tta"), self._rates(run), strict=True):
                if card[view] is not None:
                    card[view]["accuracy"] = rate.to_json(self.level)
        return {
            "split": "test",
            "look": self.number,
            "interval_level": self.level,
            "repeated": self.repeated,
            "graded_together": self.together,
            "ledger_problems": list(self.problems),
            "ledger": str(self.ledger),
            "runs": [{"run": run, **card} for run, card in zip(self.runs, cards, strict=True)],
            "mean": self.summary(tta=False).to_json(),
            "mean_tta": self.summary(tta=True).to_json(),
        }
