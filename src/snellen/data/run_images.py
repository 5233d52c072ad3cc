"""The one door to a run's data: its train, val and sealed test, or one sentence why these are not they.

A folder of one's own changes, parts are dealt anew, one folder is taken for another. Whatever is said about a run is
said of its own pictures, so whoever needs them comes through here, and nothing else loads data for a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snellen.data.arrays import ARRAYS_ENDING, IN_MEMORY, load_arrays
from snellen.data.catalog import load
from snellen.data.corrections import Corrections, corrected
from snellen.data.dataset import MADE_BY, Dataset
from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.labeled_images import LabeledImages
from snellen.data.picture_cache import Progress as Decoding
from snellen.data.splits import Splits, one_fold, split, split_final
from snellen.data.subset import trial
from snellen.errors import DataError, DataNotFound, RunError
from snellen.runs.run import Run


@dataclass(frozen=True)
class RunImages(Splits):
    """What a run learned from and was chosen by, held against what its `run.json` says of them.

    Attributes:
        dataset: all of it as it was loaded, under the name that the run has for it.
    """

    dataset: Dataset

    def to_compare_on(self) -> LabeledImages:
        """Val; or, where a final training kept none, the same pictures out of those it learned from, "train+val"."""
        if self.val is not None:
            return self.val
        again = split(self.dataset).val
        assert again is not None, "only `split_final` leaves no val"
        return replace(again, role="train+val")


def images_of(run: Run, data: Path | Dataset | None = None, *, decoding: Decoding | None = None) -> RunImages:
    """The pictures that a run was trained on, chosen by, and may be graded on.

    Args:
        run: created, or further.
        data: where they are, if not where they were: a folder, table, shards or .npz file, or the data set itself.
        decoding: called with (pictures so far, pictures in all) while pictures are decoded.

    Raises:
        DataNotFound: they are nowhere, or were in memory and are not given.
        DataError: what is there is not the run's own; or as `data.catalog.load`.
        RunError: the run does not say how its pictures were read.
    """
    return images_of_each([run], data, decoding=decoding)[0]


def images_of_each(
    runs: Sequence[Run], data: Path | Dataset | None = None, *, decoding: Decoding | None = None
) -> tuple[RunImages, ...]:
    """The same for several runs on one data set, which is read once and split once; raises as `images_of`."""
    about = runs[0].info["data"]
    loaded = data if isinstance(data, Dataset) else _read_as_before(about, data, decoding)
    loaded = _changed_as_before(loaded, about)
    dataset = loaded.named(about["name"])
    found: dict[tuple[bool, tuple[int, ...]], RunImages] = {}
    for run in runs:
        if (dealt := _dealt(run)) not in found:
            found[dealt] = _parts_of(dataset, *dealt)
        _require_own(run, found[dealt], dataset.source)
    return tuple(found[_dealt(run)] for run in runs)


def _dealt(run: Run) -> tuple[bool, tuple[int, ...]]:
    """What decides how a run's pictures are split: whether it was a final training, and which fold was val."""
    fold = run.info["data"].get("fold", [])
    known = isinstance(fold, list) and (not fold or (len(fold) == 2 and all(type(each) is int for each in fold)))
    if not known or (fold and not 0 <= fold[0] < fold[1]):
        raise RunError(f"{run.folder} does not say which of its pictures were val: fold {fold!r}. Train again.")
    return run.info["final"], tuple(fold)


def _parts_of(dataset: Dataset, final: bool, fold: tuple[int, ...]) -> RunImages:
    dealt = one_fold(dataset, *fold) if fold else dataset
    parts = split_final(dealt) if final else split(dealt)
    return RunImages(parts.train, parts.val, parts.test, dealt)


def load_as_before(about: dict[str, Any], *, data: Path | None = None, decoding: Decoding | None = None) -> Dataset:
    """Data read as they were read before, not yet held against anything.

    Args:
        about: as `Dataset.read_as`: the entry "data" of a `run.json`.
        data: where they are now.
        decoding: as `images_of`.
    """
    return _changed_as_before(_read_as_before(about, data, decoding), about)


def _changed_as_before(dataset: Dataset, about: dict[str, Any]) -> Dataset:
    """The part that a run took, with the labels that it had corrected; what is handed over may be that already."""
    if (subset := _subset_of(about)) and not dataset.subset:
        dataset = trial(dataset, subset).named(about["name"])
    if "corrections" not in about or dataset.corrections:
        return dataset
    return corrected(dataset, Corrections.from_json(about["corrections"]))


def _subset_of(about: dict[str, Any]) -> int | None:
    subset = about.get("subset")
    if subset is not None and (type(subset) is not int or subset < 1):
        raise RunError(f"The run does not say how many of its pictures were taken: {subset!r}. Train again.")
    return subset


def _read_as_before(about: dict[str, Any], data: Path | None, decoding: Decoding | None) -> Dataset:
    loading, source = about.get("loading"), Path(about["source"])
    where = data or source
    if where.suffix == ARRAYS_ENDING:
        return load_arrays(where, about["name"])
    if isinstance(loading, dict) and isinstance(loading.get(MADE_BY), str):
        return load(loading[MADE_BY], data=data)
    if about["source"] == IN_MEMORY:
        raise DataNotFound(
            f"{about['name']} are arrays in memory, which lie in no file. Hand the data set over with data=…, or "
            "save it with numpy.savez(path, images=…, labels=…) and name the .npz file with --data."
        )
    if "loading" in about:
        options = ImageOptions.from_json(about["loading"])
        return load_folder(where, replace(options, subset=_subset_of(about)), decoding)
    name = about["name"].removesuffix(f"-{_subset_of(about)}")
    return load(name, data=data or (source if source.is_dir() else None))


def _require_own(run: Run, parts: Splits, source: str) -> None:
    about = run.info["data"]
    if tuple(about["class_names"]) != parts.train.class_names:
        raise DataError(
            f"{run.folder} knows the classes {', '.join(about['class_names'])}; {source} has "
            f"{', '.join(parts.train.class_names)}. Name the run's own data with --data, or train again."
        )
    for name, images in (("train", parts.train), ("val", parts.val)):
        if images is not None and images.fingerprint != about[name]["fingerprint"]:
            raise DataError(
                f"The {name} images of {source} are not those of {run.folder}: their fingerprint is "
                f"{images.fingerprint[:12]}…, its own is {about[name]['fingerprint'][:12]}…. Files were added, removed "
                "or changed, or the parts were dealt anew. Name the run's own data with --data, or train again."
            )
    test = None if parts.test is None else parts.test.describe()
    if test != about["test"]:
        raise DataError(
            f"The test images of {source} are not those that stood beside the training images of {run.folder}: there "
            f"were {_told(about['test'])}, and here are {_told(test)}. Name the run's own data with --data, or train "
            "again."
        )


def _told(test: dict[str, Any] | None) -> str:
    return "none" if test is None else f"{test['count']:,} ({test['identity'][:24]})"
