"""The functions of the shop window: `snellen.load`, `fit`, `open_run`, `recipe`, `compare`, `list_runs`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from snellen.api.trained_run import TrainedRun
from snellen.data import catalog
from snellen.data.arrays import from_arrays as from_arrays
from snellen.data.corrections import corrected, read_corrections
from snellen.data.dataset import Dataset
from snellen.data.default_recipe import default_recipe
from snellen.data.folder_dataset import ImageOptions
from snellen.data.hugging_face import on_disk
from snellen.data.pictures import PictureForm
from snellen.errors import RunError, checked
from snellen.evaluate.compare_runs import Comparison, compare_runs
from snellen.models.device import default_settings
from snellen.parts import allow, give
from snellen.paths import user_path
from snellen.recipes.catalog import find_recipe
from snellen.recipes.json_form import with_values
from snellen.recipes.recipe import Recipe
from snellen.runs import list as lists
from snellen.runs import run as runs_on_disk
from snellen.show.progress import Progress
from snellen.train.fit import FitOptions
from snellen.train.fit import fit as fit_run
from snellen.tune.search import Search, search


@checked
def load(
    name_or_path: Any,
    *,
    data: str | Path | None = None,
    download: bool = False,
    size: int | None = None,
    corrections: str | Path | None = None,
    subset: int | None = None,
) -> Dataset:
    """A data set, its test half sealed.

    Args:
        name_or_path: a name that `snellen data list` has, a reference such as "mine.py:pictures", or a path;
            or a `datasets.Dataset` or `DatasetDict` of Hugging Face.
        data: the folder to look in; None looks in $SNELLEN_DATA, ./data and the cache.
        download: fetch it where it is nowhere found.
        size: pixels of the square that each of your own pictures becomes; None: as their usual recipe takes them.
        corrections: a .csv file of labels to change and pictures to leave out; the data stay as they are.
        subset: only so many pictures, of each class its share, known by content: for trials, without a test set.

    Raises:
        UnknownName: there is no such data set.
        DataError: it is not found, or is not what it should be.
    """
    name, place = _named(name_or_path, "name_or_path"), None if data is None else user_path(data)
    options = None if size is None else ImageOptions(size)
    side = PictureForm.side if catalog.reference(name) else size or default_recipe(name).recipe.side
    given = None if corrections is None else read_corrections(user_path(corrections))
    dataset = catalog.load(name, data=place, download=download, options=options, side=side, subset=subset)
    return dataset if given is None else corrected(dataset, given)


@checked
def recipe(name: str, **settings: Any) -> Recipe:
    """A recipe by name (or a .json file), with fields changed: `recipe("sprint", epochs=3, optimizer__lr=0.1)`.

    Two underscores reach into a field, as `--set optimizer.lr=0.1` does with a dot. A part may be given whole:
    `recipe("sprint", augment=Augment(flip="random"))`.

    Raises:
        UnknownName: no such recipe.
        InvalidSetting: no such field (the nearest one is named), or an impossible value.
    """
    return with_values(find_recipe(name), settings)


@checked
@default_settings()
def fit(
    recipe: Recipe | str | None,
    data: Any,
    *,
    seed: int = 0,
    final: bool = False,
    device: str = "auto",
    precision: str = "auto",
    runs: str | Path = "runs",
    name: str | None = None,
    weights: str | Path | None = None,
    track: Sequence[str] = (),
    quiet: bool = False,
    **settings: Any,
) -> TrainedRun:
    """Train, grade on val and write the run folder, as `snellen train` does.

    Args:
        recipe: a recipe, its name, or None for the fast one of this data set.
        data: a `Dataset`, or what `load` takes.
        seed: of initialisation, order and augmentation; the same seed gives the same bits on the same CPU.
        final: train on train + val and choose nothing.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "fp32" or "bf16".
        runs: folder that holds the run folders.
        name: of the run folder; by default DATA-RECIPE-sSEED.
        weights: a .safetensors file to begin with, or "pretrained" for those that timm or torchvision publish.
        track: trackers that follow it: "tensorboard", "wandb", "mlflow".
        quiet: show no progress.
        settings: fields of the recipe to change, as in `recipe`.

    Whatever is wrong is a `SnellenError` with one sentence.
    """
    chosen, dataset = _chosen(recipe, data)
    options = FitOptions(
        seed=int(seed), final=final, device=device, precision=precision, runs=user_path(runs), name=name, track=track,
        weights=weights,
    )  # fmt: skip
    trained = fit_run(with_values(chosen, settings), dataset, options, Progress(quiet=quiet))
    return TrainedRun(trained, dataset)


@checked
def tune(
    recipe: Recipe | str | None,
    data: Any,
    space: Sequence[str],
    folder: str | Path,
    *,
    quiet: bool = False,
    **options: Any,
) -> Search:
    """Search better values of a recipe's fields, as `snellen tune` does; `.best` is the recipe that was found.

    Args:
        recipe: a recipe, its name, or None for the fast one of this data set.
        data: a `Dataset`, or what `load` takes.
        space: such as ["optimizer.lr=log:1e-3:1", "augment.flip=none,random"].
        folder: of the search, such as "runs/tune-rate"; one that was begun there goes on.
        options: trials, seconds, confirm and the like, as `snellen.tune.search.search` has them.

    Whatever is wrong is a `SnellenError` with one sentence.
    """
    chosen, dataset = _chosen(recipe, data)
    return search(chosen, space, dataset, user_path(folder), quiet=quiet, **options)


def _named(given: Any, called: str = "data") -> str:
    return catalog.named_by_user(str(given if isinstance(given, str | Path) else on_disk(given, called)))


def _chosen(recipe: Recipe | str | None, data: Any) -> tuple[Recipe, Dataset]:
    named = find_recipe(recipe) if isinstance(recipe, str) else recipe
    given = data if isinstance(data, Dataset) else _named(data)
    chosen = named or default_recipe(given).recipe
    return chosen, given if isinstance(given, Dataset) else catalog.load(given, side=chosen.side)


@checked
def open_run(
    path: str | Path, *, code: str | Path | Sequence[str | Path] = (), model: nn.Module | None = None
) -> TrainedRun:
    """A run folder that exists. One that was trained on arrays in memory is asked with them: `data=dataset`.

    Args:
        path: of the folder.
        code: files or modules that its parts are in and that may run; nothing runs because a run folder names it.
        model: the network that it was trained with, where that was handed over as an object; its weights do not count.

    Raises:
        RunError: no such folder, or it is not a run; or its network was not handed over.
        InvalidSetting: the code cannot be imported.
    """
    for each in [code] if isinstance(code, str | Path) else code:
        allow(each)
    opened = runs_on_disk.open_run(user_path(path))
    if model is not None:
        if not opened.recipe.model.startswith("given:"):
            raise RunError(f"{path} was trained with {opened.recipe.model}, not with a network that was handed over.")
        give(model, opened.recipe.model)
    return TrainedRun(opened)


@checked
def compare(*runs: TrainedRun | str | Path) -> Comparison:
    """Is one better? Models picture by picture, recipes seed by seed, on the val pictures that all of them have.

    Args:
        runs: two or more, opened or by the paths of their folders; all are held against the first.

    Raises:
        RunError: a path is that of no run.
        UsageError: fewer than two runs, or runs that have no val picture in common.
    """
    opened = [one if isinstance(one, TrainedRun) else open_run(one) for one in runs]
    return compare_runs([one._run for one in opened], [one.predictions() for one in opened])


@checked
def list_runs(folder: str | Path = "runs") -> list[dict[str, Any]]:
    """The runs in a folder, the newest last, each as `snellen runs --json` has it; a warning for each unreadable one.

    Raises:
        RunError: there is no such folder.
    """
    found, problems = lists.list_runs(user_path(folder))
    for problem in problems:
        warnings.warn(problem, stacklevel=3)
    return found
