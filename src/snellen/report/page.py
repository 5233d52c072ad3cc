"""From run folders to the detective page: gather everything, write one file.

Report and viewer show the same page from the same data; only the live parts differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Ledger
from snellen.data.pictures import PictureForm
from snellen.data.run_images import RunImages, images_of_each
from snellen.errors import RunError, UsageError
from snellen.evaluate.test_set import ledger_of
from snellen.inspect.feature_space import METHODS, Method, require_library, spread_over_classes
from snellen.inspect.features import features_of
from snellen.inspect.layers import layers_of
from snellen.models.device import answers_in_bf16, choose_device
from snellen.models.weights import restore
from snellen.predict.predictions import Predictions
from snellen.report.bundle import bundle_html
from snellen.report.encoding import Sprite
from snellen.report.layer_views import InspectedModel, LayerViews, chosen_pictures, layer_views
from snellen.report.originals import Originals, originals_of
from snellen.report.pipeline import trace_some
from snellen.report.predictions import geometry_json, predictions_json, versus_json
from snellen.report.record import record_json
from snellen.report.shown import Shown, answered, shown_doubts, shown_split
from snellen.runs.atomic import write_text
from snellen.runs.environment import redact_paths
from snellen.runs.run import Run
from snellen.train.out_of_fold import doubted_labels
from snellen.version import VERSION

_LEARNED, _FEWEST_LEARNED = 5_000, 500
"""Training pictures among which neighbours and patches are sought: a tenth of CIFAR-10, and fewer the larger they are,
for these cost most of the time."""
_LEARNED_PIXELS = 5_000 * 64 * 64
LAYER_VIEWS = 60
_ORIGINAL = 640  # pixels of the longer side of an original that is put into a file


@dataclass(frozen=True)
class Options:
    """How to build a page.

    Attributes:
        data: where the data are, if not where they were, or they themselves.
        device: for the features and maps.
        layer_views: pictures to look at closely; 0 leaves the models unread.
        map: a second map of feature space beside the principal components, or None.
        ledger: the ledger's file, if not the usual one.
        say: told what is being done.
        live: for a viewer, which has the originals at hand: every picture, and small where they are many.
        originals: put the mistakes' own files into the page, made smaller.
        labels: look for wrong labels in train and val, and show those that are doubted.
    """

    data: Path | Dataset | None = None
    device: str = "auto"
    layer_views: int = LAYER_VIEWS
    map: Method | None = None
    ledger: Path | None = None
    say: Callable[[str], None] = lambda _: None
    live: bool = False
    originals: bool = False
    labels: bool = False


@dataclass(frozen=True)
class Page:
    """Everything the front end shows: JSON-able content, sheets of pictures by name, the files behind each split.

    `looked` is the first run's model as it was looked at closely, for a viewer to go on with.
    """

    title: str
    content: dict[str, Any]
    sprites: dict[str, Sprite]
    originals: dict[str, Originals] = field(default_factory=dict)
    looked: InspectedModel | None = None


def write_report(runs: Sequence[Run], *, out: Path | None = None, options: Options | None = None) -> Path:
    """Write the page of one or more runs as one file and return where it is.

    Args:
        runs: on the same data; the first one is looked at closely.
        out: the file; by default `report.html` in the first run's folder.
        options: see there.

    Raises:
        UsageError: no run, runs on different data, or a map whose library is not installed.
        RunError: a run has nothing to show yet.
        DataError: the data are not those the runs were trained on.
        StorageError: the file could not be written.
    """
    page = build_page(runs, options or Options())
    path = out or runs[0].folder / "report.html"
    write_text(path, bundle_html(page.title, page.content, page.sprites))
    return path


def build_page(runs: Sequence[Run], options: Options, images: Sequence[RunImages] | None = None) -> Page:
    """Gather what the front end shows, from each run's `images` where they are read already; as `write_report`."""
    _require_one_data_set(runs)
    choose_device(options.device)  # one that is not here is refused, also where the model is left unread
    if options.map:
        require_library(options.map)  # now: after a minute of features it would be too late to say so
    info = runs[0].info["data"]
    ledgers = [ledger_of(run, options.ledger) for run in runs]
    by_split = answered(runs, ledgers)
    if not by_split:
        raise RunError(f"{runs[0].folder} has no predictions to show. Grade it first: snellen evaluate {runs[0].typed}")
    images = images or images_of_each(runs, options.data)
    found = _Gathered(runs, images, ledgers, options)
    for name, by_run in by_split.items():
        found.add(name, by_run)
    on_val, pipeline = by_split.get("val", {}).get(0), None
    if options.layer_views and on_val is not None:
        pipeline, sheets = trace_some(runs[0], images[0], on_val)
        found.sprites |= sheets
    doubted = None
    if options.labels:
        doubted = found.add_doubts(images[0].dataset)
    content = {
        "format": 1,
        "snellen": VERSION,
        "data": {
            "name": info["name"],
            "source": redact_paths(images[0].dataset.source),
            "classes": list(info["class_names"]),
            "fit": PictureForm.of_run(info).fit,
            "has_test": info["test"] is not None,
            "corrections": info.get("corrections", {}).get("rows", []),
        },
        "runs": [record_json(run, ledger) for run, ledger in zip(runs, ledgers, strict=True)],
        "splits": found.splits,
        "doubted": doubted,
        "originals": found.originals,
        "layer_views": found.views,
        "pipeline": pipeline,
        "sprites": {name: sprite.about() for name, sprite in found.sprites.items()},
    }
    return Page(f"{runs[0].name} · Snellen", content, found.sprites, found.files, found.looked)


@dataclass
class _Gathered:
    """What the page shows of each split, as far as it was gathered; attributes as the page's content calls them."""

    runs: Sequence[Run]
    images: Sequence[RunImages]
    ledgers: Sequence[Ledger]
    options: Options
    splits: dict[str, Any] = field(default_factory=dict)
    sprites: dict[str, Sprite] = field(default_factory=dict)
    views: dict[str, Any] | None = None
    looked: InspectedModel | None = None
    files: dict[str, Originals] = field(default_factory=dict)
    originals: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, by_run: Mapping[int, Predictions]) -> None:
        """One split: its pictures, what each run says of them, and what is inside the runs."""
        options, runs = self.options, self.runs
        shown = shown_split(name, self.images, by_run, runs, self.ledgers, every=options.live)
        options.say(f"{name}: {len(shown.rows):,} pictures")
        self.sprites[name] = shown.sprite()
        behind = self._keep_files(name, shown)
        if options.originals:
            self.originals[name], sheets = _mistakes(name, behind, shown, by_run.values(), options)
            self.sprites |= sheets
        about = {str(number): predictions_json(predictions, shown.rows) for number, predictions in by_run.items()}
        self.splits[name] = {**shown.to_json(), "runs": about, "versus": versus_json(by_run)}
        for number, predictions in by_run.items() if options.layer_views else ():
            # One run is looked at closely, on val where there is one: more would not fit into the file.
            learned = learned_pictures(self.images[0].train) if self.views is None and number == 0 else None
            about[str(number)]["geometry"], looked = _inside(runs[number], predictions, shown, learned, options)
            if looked is not None:
                views, self.looked = looked
                self.views = {"split": name, "run": number, **views.content}
                self.sprites |= views.sprites

    def add_doubts(self, dataset: Dataset) -> dict[str, Any]:
        """The doubted labels of train and val with their pictures, as the page's content has them."""
        self.options.say(f"labels: {len(dataset.train):,} pictures of train and val")
        found = doubted_labels(dataset, device=self.options.device)
        shown, content, sheets = shown_doubts(found, every=self.options.live)
        self.sprites |= sheets
        self._keep_files("doubted", shown)
        return content

    def _keep_files(self, name: str, shown: Shown) -> Originals | None:
        form = PictureForm.of_run(self.runs[0].info["data"])
        behind = originals_of(self.images[0].dataset.source, shown.names_of_files(), form)
        if behind is not None:
            self.files[name] = behind
        return behind


def _mistakes(
    split: str, behind: Originals | None, shown: Shown, answers: Iterable[Predictions], options: Options
) -> tuple[dict[str, Any], dict[str, Sprite]]:
    """The originals of what any run has wrong, as far as they are in the page: what is said of each by id, and sheets.

    Raises:
        UsageError: the data are not files.
    """
    if behind is None:
        raise UsageError("--originals has no effect: these pictures are not files of their own. Leave it out.")
    wrong = np.logical_or.reduce([~each.correct for each in answers])[shown.rows]
    ids = [number for number in shown.images.ids[shown.rows[wrong]].tolist() if number in behind.names]
    options.say(f"{split}: {len(ids):,} originals")
    about: dict[str, Any] = {}
    sheets = {}
    for number in ids:
        original, sheet = behind.of(number, _ORIGINAL), f"original-{split}-{number}"
        sheets[sheet] = original.sprite()
        about[str(number)] = {"sheet": sheet, **original.about()}
    return about, sheets


def _require_one_data_set(runs: Sequence[Run]) -> None:
    if not runs:
        raise UsageError("Which run? snellen report runs/NAME")
    for run in runs:
        run.require_finished()
    names = {(run.info["data"]["name"], tuple(run.info["data"]["class_names"])) for run in runs}
    if len(names) > 1:
        listed = ", ".join(sorted(name for name, _ in names))
        raise UsageError(f"One page shows one data set; these runs were trained on {listed}. Report them one by one.")


def learned_pictures(train: LabeledImages) -> LabeledImages:
    """Some of the training pictures, as many of each class: among these the nearest are sought."""
    height, width, _ = train.image_shape
    most = min(_LEARNED, max(_FEWEST_LEARNED, _LEARNED_PIXELS // (height * width)))
    return train.take(spread_over_classes(train, most), train.role)


def _inside(
    run: Run, predictions: Predictions, shown: Shown, learned: LabeledImages | None, options: Options
) -> tuple[dict[str, Any], tuple[LayerViews, InspectedModel] | None]:
    """The run's feature geometry; and with training pictures to compare with, a close look."""
    options.say(f"{run.name}: features of {len(shown.images):,} pictures")
    device = choose_device(options.device)
    model, bf16 = restore(run, device), answers_in_bf16(run, device)
    layers = layers_of(run.recipe.model) if learned else ()
    features = features_of(model, shown.images, layers, bf16=bf16)
    if options.map:
        options.say(f"{run.name}: the map of {len(shown.rows):,} pictures by {METHODS[options.map]}")
    geometry = geometry_json(features.last, predictions, shown.rows, options.map)
    if learned is None:
        return geometry, None
    options.say(f"{run.name}: layer views, {len(learned):,} training pictures")
    chosen = chosen_pictures(predictions, shown.rows, options.layer_views)
    known = features_of(model, learned, layers, bf16=bf16)
    inspected = InspectedModel(model, layers, shown.images, predictions, features, learned, known, bf16)
    seen = layer_views(inspected, chosen)
    place = {row: at for at, row in enumerate(shown.rows.tolist())}
    pictures = [{**each, "row": place[each["row"]]} for each in seen.content["pictures"]]
    return geometry, (LayerViews({**seen.content, "pictures": pictures}, seen.sprites), inspected)
