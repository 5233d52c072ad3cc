"""A run that can be asked: grades, answers, verdicts, files for other tools. The folder itself stays torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

from snellen.api.answers import Answers, answers
from snellen.data.dataset import Dataset
from snellen.data.pictures import Fit
from snellen.errors import RunError, UsageError, checked
from snellen.evaluate.new_set import NewEvaluation, evaluate_on_new
from snellen.evaluate.robustness import RobustnessCard, measure_robustness
from snellen.evaluate.test_set import evaluate_on_test, ledger_of
from snellen.evaluate.val import evaluate_on_val
from snellen.export.torch_program import from_pixels
from snellen.export.write import Export, Format, export_run
from snellen.guards.guard import GuardResult, read_guards, summary
from snellen.metrics.confidence import reject_rule_of
from snellen.metrics.intervals import Rate
from snellen.metrics.scorecard import Scorecard, scorecard
from snellen.models.device import choose_device, default_settings
from snellen.models.normalized import Classifier
from snellen.models.weights import restore
from snellen.paths import user_path
from snellen.predict.own_pictures import Pictures, asked
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import TTA, Recipe
from snellen.report.page import Options, write_report
from snellen.runs.run import Row, Run
from snellen.show import notebook
from snellen.show.grade_pictures import complete_pictures


@dataclass(frozen=True, repr=False)
class TrainedRun:
    """A run folder with what one does to it. `snellen.fit` and `snellen.open_run` give one.

    Attributes:
        dataset: what it was trained on, where that is at hand; without it the data are read again where needed.
    """

    _run: Run
    dataset: Dataset | None = field(default=None, compare=False)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._run.folder

    @property
    def name(self) -> str:
        """The folder's name."""
        return self._run.name

    @property
    def recipe(self) -> Recipe:
        """The recipe it was trained with."""
        return self._run.recipe

    @property
    def info(self) -> dict[str, Any]:
        """`run.json`: data, split, seed, precision, status, results."""
        return self._run.info

    @property
    def class_names(self) -> tuple[str, ...]:
        """The K classes, in the order of the probabilities."""
        return tuple(self.info["data"]["class_names"])

    @property
    def history(self) -> list[Row]:
        """One row per epoch: rates, losses, accuracies."""
        return self._run.journal.rows()

    @property
    def accuracy(self) -> Rate | None:
        """Plain val accuracy with n and interval; None after a final training."""
        stored = self.info.get("val")
        return stored and Rate(stored["accuracy"]["hits"], stored["accuracy"]["n"], stored.get("best_of", 1))

    def predictions(self) -> Predictions:
        """Logits, labels and ids of the val images.

        Raises:
            RunError: it is not finished, or was a final training, which keeps no val images.
        """
        return evaluate_on_val(self._run)

    @checked
    @default_settings()
    def evaluate(
        self,
        split: Literal["val", "test"] = "val",
        *,
        tta: TTA | None = None,
        reason: str | None = None,
        ledger: str | Path | None = None,
        data: str | Path | Dataset | None = None,
        device: str = "auto",
    ) -> Scorecard:
        """Grades: on val as often as you like, on test through the ledger, which writes before it opens.

        Args:
            split: "val", or "test" for a last number.
            tta: on val, other test-time views than the recipe's.
            reason: for test, why it is opened; it is written into the ledger, so it has no default.
            ledger: its file; else $SNELLEN_LEDGER, else ledger.jsonl beside the run folders.
            data: where the data are, if not where they were, or they themselves; held against the run in any case.
            device: "auto", "cpu", "cuda" or "mps".

        Raises:
            RunError: it is not finished.
            DataError: the data are not its own.
            UsageError: an argument has no effect on this split, or test was asked for without a reason.
            SealError: the ledger cannot be written; test stays closed.
        """
        where = self._where(data)
        if split == "val":
            if reason is not None or ledger is not None:
                raise UsageError("reason and ledger have no effect on val, which may be looked at freely.")
            return scorecard(evaluate_on_val(self._run, data=where, device=device, tta=tta))
        if tta is not None:
            raise UsageError("tta cannot be chosen on test: the recipe declares the views. Try them on val.")
        if not reason:
            raise UsageError(
                "A look at test is written into the ledger, with its reason: evaluate('test', reason='final number')."
            )
        opened = ledger_of(self._run, None if ledger is None else user_path(ledger))
        evaluation = evaluate_on_test([self._run], opened, reason=reason, data=where, device=device)
        complete_pictures([self._run], evaluation)
        return scorecard(evaluation.predictions[0])

    @checked
    @default_settings()
    def evaluate_on(
        self, path: str | Path, *, data: str | Path | Dataset | None = None, device: str = "auto"
    ) -> NewEvaluation:
        """Grades on any labelled folder, table or shards as a new set, as `snellen evaluate --on` does.

        Raises:
            DataError: no class is the run's, no picture can be read, or none is new to it.
        """
        return evaluate_on_new(self._run, user_path(path), data=self._where(data), device=device)

    @checked
    @default_settings()
    def predict(
        self,
        pictures: Pictures,
        *,
        fit: Fit | None = None,
        tta: bool = False,
        target_accuracy: float | None = None,
        device: str = "auto",
    ) -> Answers:
        """What is in these pictures?

        Args:
            pictures: one or several: a path, bytes, an open file, a Pillow image, or an array (N, H, W, C) or
                (H, W, C) uint8. The path of a folder stands for all pictures in it and its subfolders; those of them
                that cannot be read are in `problems`.
            fit: how a picture of another shape becomes square: "crop", "pad" or "squash"; None is as in training.
            tta: average over the recipe's test-time views.
            target_accuracy: reject unsure answers (`.rejected`): those given reach this fraction on val, such as 0.99.
            device: "auto", "cpu", "cuda" or "mps".

        Raises:
            DataError: a picture that was named cannot be read, or is none.
            InvalidSetting: `tta` was asked for and the recipe has none; or no threshold reaches that accuracy on val.
        """
        rule = None if target_accuracy is None else reject_rule_of(self._run, target_accuracy, tta=tta)
        return answers(*asked(self._run, pictures, fit=fit, tta=tta, device=device), rule)

    @checked
    @default_settings()
    def model(self, device: str = "auto") -> Classifier:
        """The trained network, in eval mode: (N, C, H, W) float32 in [0, 1] in, logits out."""
        self._run.require_finished()
        return restore(self._run, choose_device(device))

    @checked
    def module(self) -> nn.Module:
        """The network with its preprocessing inside, on the CPU: (N, H, W, C) uint8 in, (N, K) probabilities out.

        (H, W, C) is `run.info["data"]["image_shape"]`; other numbers than uint8 are a TypeError.
        """
        return from_pixels(self.model("cpu"))

    def guards(self) -> tuple[GuardResult, ...]:
        """What was looked for: each known mistake with its verdict and evidence."""
        return read_guards(self._run)

    @checked
    @default_settings()
    def robustness(self, *, data: str | Path | Dataset | None = None, device: str = "auto") -> RobustnessCard:
        """Grades on the val images made worse in ten ways, also written as robustness.json.

        Raises:
            RunError: it is not finished, or kept no val images.
            DataError: the data are not its own.
        """
        return measure_robustness(self._run, data=self._where(data), device=device)

    @checked
    @default_settings()
    def report(self, *, out: str | Path | None = None, data: str | Path | Dataset | None = None) -> Path:
        """Writes the page as one file, by default report.html in the run's folder, and returns where it is.

        Raises:
            DataError: the data are not its own.
        """
        options = Options(data=self._where(data))
        return write_report([self._run], out=None if out is None else user_path(out), options=options)

    @checked
    @default_settings()
    def export(
        self, *formats: Format | Literal["all"], out: str | Path | None = None, data: str | Path | Dataset | None = None
    ) -> Export:
        """Files for other tools, compared before they are written: `run.export("onnx", "int8")`, or "all".

        Raises:
            MissingExtra: a package of `snellen[export]` is missing.
            DataError: the data are not its own.
        """
        folder = None if out is None else user_path(out)
        return export_run(self._run, formats or ("onnx",), folder, data=self._where(data))

    def _where(self, data: str | Path | Dataset | None) -> Path | Dataset | None:
        return self.dataset if data is None else data if isinstance(data, Dataset) else user_path(data)

    def __repr__(self) -> str:
        return f"<Run {self.name}: {self._headline()}>"

    def _repr_html_(self) -> str:
        """For notebooks: how good it is, what it is, what the guards found, and its curves."""
        info = self.info
        epochs = self.recipe.epochs_on(info["data"]["train"]["count"])
        rows = [
            ("recipe", f"{self.recipe.name}, {self.recipe.model}, {epochs:g} epochs, seed {info['seed']}"),
            ("data", f"{info['data']['name']}, {info['data']['train']['count']:,} training images"),
            ("where", f"{info['device']}, {info['precision']}, {info.get('seconds', 0):.0f} s"),
            ("guards", self._guards()),
            ("folder", str(self.folder)),
        ]
        parts = [notebook.headline(f"{self.name}: {self._headline()}"), notebook.table(("", ""), rows, left=2)]
        curves = self.folder / "curves.png"
        if curves.exists():
            parts.append(notebook.picture(curves.read_bytes(), width=640))
        return notebook.block(*parts)

    def _headline(self) -> str:
        if self.info["status"] != "finished":
            return str(self.info["status"])
        return "final training, no val images kept" if self.accuracy is None else f"val {self.accuracy.text(2)}"

    def _guards(self) -> str:
        try:
            return summary(self.guards())
        except RunError:
            return "not asked"
