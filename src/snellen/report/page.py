"""From run folders to the detective page: gather everything, write one file.

Report and viewer show the same page from the same data; only the live parts differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import snellen
from snellen.data.catalog import load
from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Ledger, TestSet
from snellen.data.splits import split
from snellen.errors import DataError, RunError, SealError, UsageError
from snellen.evaluate.predictions import Predictions
from snellen.inspection.depths import depths_of
from snellen.inspection.features import Features, features_of
from snellen.inspection.neighbours import spread_over_classes
from snellen.models.device import choose_device
from snellen.models.restore import restore
from snellen.report.answers import answers_json, chosen_rows
from snellen.report.bundle import bundle_html
from snellen.report.geometry import geometry_json
from snellen.report.glasses import Subject, chosen_pictures, look_through
from snellen.report.pack import packed
from snellen.report.record import graded_on_test, record_json
from snellen.report.sprite import Sprite, make_sprite
from snellen.runs.atomic import write_text
from snellen.runs.run import Run
from snellen.train.judge import ledger_of

_PIXELS = 5_000 * 32 * 32
"""Pixels of one split's pictures in a file: all CIFAR-10 val images, about 12 MB as text."""
_LEARNED = 5_000
GLASSES = 60


@dataclass(frozen=True)
class Options:
    """How to build a page.

    Attributes:
        data: where the data are, if not where they were.
        device: for the features and maps.
        glasses: pictures to look at closely; 0 leaves the models unread.
        ledger: the ledger's file, if not the usual one.
        say: told what is being done.
    """

    data: Path | None = None
    device: str = "auto"
    glasses: int = GLASSES
    ledger: Path | None = None
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Page:
    """Everything the front end shows: JSON-able content and sheets of pictures by name."""

    title: str
    content: dict[str, Any]
    sprites: dict[str, Sprite]


@dataclass(frozen=True)
class _Shown:
    """One split with its pictures: all of them, and the rows that go into the page."""

    images: LabeledImages
    rows: np.ndarray[Any, np.dtype[np.int64]]


def write_report(runs: Sequence[Run], *, out: Path | None = None, options: Options | None = None) -> Path:
    """Write the page of one or more runs as one file and return where it is.

    Args:
        runs: on the same data; the first one is looked at closely.
        out: the file; by default `report.html` in the first run's folder.
        options: see there.

    Raises:
        UsageError: no run, or runs on different data.
        RunError: a run has nothing to show yet.
        DataError: the data are not those the runs were trained on.
        StorageError: the file could not be written.
    """
    page = build_page(runs, options or Options())
    path = out or runs[0].folder / "report.html"
    write_text(path, bundle_html(page.title, page.content, page.sprites))
    return path


def build_page(runs: Sequence[Run], options: Options) -> Page:
    """Gather what the front end shows; raises as `write_report`."""
    _require_one_data_set(runs)
    info = runs[0].info["data"]
    dataset = load(info["name"], data=options.data)
    ledgers = [ledger_of(run, options.ledger) for run in runs]
    answered = {
        "val": {n: Predictions.load(run.folder / "predictions_val.npz") for n, run in enumerate(runs) if _has_val(run)},
        "test": {
            n: Predictions.load(run.folder / "predictions_test.npz")
            for n, run in enumerate(runs)
            if graded_on_test(run, ledgers[n])
        },
    }
    if not any(answered.values()):
        raise RunError(f"{runs[0].folder} has no predictions to show. Grade it first: snellen evaluate {runs[0].folder}")
    splits: dict[str, Any] = {}
    sprites: dict[str, Sprite] = {}
    glasses: dict[str, Any] | None = None
    for name, by_run in answered.items():
        if not by_run:
            continue
        shown = _shown(dataset, name, by_run, runs, ledgers)
        options.say(f"{name}: {len(shown.rows):,} pictures")
        sprites[name] = make_sprite(shown.images.images[shown.rows])
        splits[name] = {
            "sprite": sprites[name].about(),
            "ids": packed(shown.images.ids[shown.rows], "i4"),
            "labels": packed(shown.images.labels[shown.rows], "u2"),
            "runs": {str(n): answers_json(predictions, shown.rows) for n, predictions in by_run.items()},
        }
        if options.glasses:
            looked = _look_inside(runs, by_run, shown, dataset, options, splits[name], closely=glasses is None)
            if looked is not None:
                glasses = {"split": name, **looked[0]}
                sprites |= looked[1]
    content = {
        "format": 1,
        "snellen": snellen.__version__,
        "live": False,
        "data": {"name": info["name"], "source": dataset.source, "classes": list(info["class_names"])},
        "runs": [record_json(run, ledger) for run, ledger in zip(runs, ledgers, strict=True)],
        "splits": splits,
        "glasses": glasses,
        "sprites": {name: sprite.about() for name, sprite in sprites.items()},
    }
    return Page(f"{runs[0].name} · Snellen", content, sprites)


def _require_one_data_set(runs: Sequence[Run]) -> None:
    if not runs:
        raise UsageError("Which run? snellen report runs/NAME")
    for run in runs:
        if run.info["status"] not in ("finished",):
            raise RunError(f"{run.folder} is not finished. Go on with it: snellen train --resume {run.folder}")
    names = {(run.info["data"]["name"], tuple(run.info["data"]["class_names"])) for run in runs}
    if len(names) > 1:
        listed = ", ".join(sorted(name for name, _ in names))
        raise UsageError(f"One page shows one data set; these runs were trained on {listed}. Report them one by one.")


def _has_val(run: Run) -> bool:
    return not run.info["final"] and (run.folder / "predictions_val.npz").exists()


def _shown(
    dataset: Dataset, name: str, by_run: dict[int, Predictions], runs: Sequence[Run], ledgers: Sequence[Ledger]
) -> _Shown:
    """The split's pictures, checked to be those that were graded."""
    first = next(iter(by_run))
    if name == "val":
        images = split(dataset).val
        assert images is not None
        graded = runs[first].info["data"]["val"]["fingerprint"]
        if images.fingerprint != graded:
            raise DataError(
                f"The val images of {dataset.name} ({dataset.source}) are not those {runs[first].folder} was graded on. "
                "Name the right ones with --data."
            )
    else:
        images = _graded_test_images(dataset, runs[first], ledgers[first])
    for number, predictions in by_run.items():
        if not np.array_equal(predictions.ids, images.ids) or not np.array_equal(predictions.labels, images.labels):
            raise DataError(f"{runs[number].folder}: its {name} predictions are not of these pictures of {dataset.name}.")
    limit = max(1, _PIXELS // (images.image_shape[0] * images.image_shape[1]))
    return _Shown(images, chosen_rows(by_run[first], limit))


def _graded_test_images(dataset: Dataset, run: Run, ledger: Ledger) -> LabeledImages:
    """The test pictures of a run whose look at them is already in the ledger: shown, not looked at anew."""
    assert dataset.test is not None, "a run was graded on it"

    def require_line(_: TestSet) -> None:
        if not graded_on_test(run, ledger):
            raise SealError(f"{ledger.path} has no result for {run.folder}; its test pictures stay sealed.")

    return dataset.test.open(require_line)


def _look_inside(
    runs: Sequence[Run],
    by_run: dict[int, Predictions],
    shown: _Shown,
    dataset: Dataset,
    options: Options,
    split_content: dict[str, Any],
    *,
    closely: bool,
) -> tuple[dict[str, Any], dict[str, Sprite]] | None:
    """Add each run's feature geometry to `split_content`; look closely at the first run where asked to."""
    device = choose_device(options.device)
    looked = None
    for number, predictions in by_run.items():
        run = runs[number]
        options.say(f"{run.name}: features of {len(shown.images):,} pictures")
        model, model_name = restore(run, device), run.recipe.model
        first = closely and number == 0
        features: Features = features_of(model, shown.images, depths_of(model_name) if first else ())
        split_content["runs"][str(number)]["geometry"] = geometry_json(features.last, predictions, shown.rows)
        if first:
            learned = split(dataset).train
            learned = learned.take(spread_over_classes(learned, _LEARNED), learned.role)
            options.say(f"{run.name}: three pairs of glasses, {len(learned):,} training pictures")
            chosen = chosen_pictures(predictions, shown.rows, options.glasses)
            seen = look_through(Subject(model, model_name, shown.images, predictions, features, learned), chosen)
            place = {row: at for at, row in enumerate(shown.rows.tolist())}
            pictures = [{**each, "row": place[each["row"]]} for each in seen.content["pictures"]]
            looked = ({**seen.content, "run": 0, "pictures": pictures}, seen.sprites)
    return looked
