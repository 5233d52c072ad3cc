"""The options that several verbs share, said once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from snellen.errors import InvalidSetting, UsageError
from snellen.paths import user_path

if TYPE_CHECKING:
    from snellen.data.dataset import Dataset
    from snellen.recipes.recipe import Recipe
    from snellen.report.page import Options
    from snellen.show.progress import Progress


LAST = ("device", "data", "ledger", "code", "json")
"""Of whatever verb, these stand last in its help: what it is for comes first."""


@dataclass(frozen=True, kw_only=True)
class AsJson:
    """Of every verb."""

    json: bool = False
    """Print the result as JSON on stdout."""


@dataclass(frozen=True, kw_only=True)
class WithCode(AsJson):
    """Of the verbs that open a run, or take a recipe or data."""

    code: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Let code run from this FILE.py or module, which a run or a recipe names (docs/own.md); may be repeated."""


@dataclass(frozen=True, kw_only=True)
class AboutRuns(WithCode):
    """Of the verbs that ask a run's model about its own data."""

    data: Path | None = None
    """Where the data are, if not where they were."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    ledger: Path | None = None
    """The ledger's file; else $SNELLEN_LEDGER, else ledger.jsonl beside the runs."""


@dataclass(frozen=True, kw_only=True)
class OfPage(AboutRuns):
    """Of the verbs that make the report's page."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Finished run folders on the same data; the first one is looked at closely."""
    layer_views: int = 60
    """Pictures with activations, Grad-CAM and nearest training pictures; 0 leaves the model unread."""
    labels: bool = False
    """Look for wrong labels in train and val too, as doctor --labels does, and show them to be marked."""

    def page_options(self, verb: str) -> Options:
        """How the page is to be made; what it is at is said on stderr.

        Raises:
            UsageError: no run was named.
            InvalidSetting: fewer than 0 layer views.
        """
        if not self.runs:
            raise UsageError(f"Which run? snellen {verb} runs/NAME")
        if self.layer_views < 0:
            raise InvalidSetting(f"--layer-views {self.layer_views} is not possible: 0 or more pictures.")
        from snellen.report.page import Options
        from snellen.show.text import new_console

        console = new_console(stderr=True, quiet=self.json)
        say = lambda text: console.print(text, style="dim")  # noqa: E731
        return Options(self.data, self.device, self.layer_views, None, self.ledger, say, labels=self.labels)


@dataclass(frozen=True)
class OwnPictures:
    """How your own pictures are read; without effect, and refused, for data sets known by name."""

    size: int | None = None
    """Pixels of the square that each picture becomes; else the recipe's side."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How a picture becomes square: the middle, with grey bars, or stretched."""
    test_fraction: float = 0.0
    """Where there is no test part: this share of the pictures is sealed as one."""
    strict: bool = False
    """Refuse unreadable files instead of leaving them out."""


@dataclass(frozen=True, kw_only=True)
class AboutData(WithCode):
    """Of the verbs that take DATA."""

    data: Path | None = None
    """Where the files are; else $SNELLEN_DATA, ./data and the cache are searched."""
    corrections: Path | None = None
    """A .csv file of labels to change and pictures to leave out; the data stay as they are (docs/corrections.md)."""
    subset: int | None = None
    """Only so many pictures to learn from and choose by, of each class its share: for trials, without a test set."""
    own_pictures: OwnPictures = field(default_factory=OwnPictures)
    """How your own pictures are read; for other data without effect, and refused."""

    def load(self, name: str, progress: Progress, *, side: int | None = None, download: bool = False) -> Dataset:
        """The data called `name`, their fetching and decoding shown while they last.

        Own pictures are read at `side` pixels, where no size is asked for; None: as the recipe takes them that is
        theirs where none is named, so that what is decoded for a look at them is what a training needs.

        Raises:
            DataError: they are nowhere, or cannot be read, or the corrections are not theirs.
            InvalidSetting: a size or share that cannot be.
        """
        from snellen.data.catalog import load, named_by_user
        from snellen.data.corrections import corrected, read_corrections
        from snellen.data.default_recipe import default_recipe
        from snellen.data.folder_dataset import ImageOptions

        name, own = named_by_user(name), self.own_pictures
        if side is None:
            side = own.size or default_recipe(name).recipe.side
        options = ImageOptions(own.size, own.fit, own.test_fraction, own.strict)
        shown, decoding = progress.download, progress.decoding
        corrections = None if self.corrections is None else read_corrections(user_path(self.corrections))
        dataset = load(
            name, data=self.data, download=download, progress=shown, options=options, side=side, decoding=decoding,
            subset=self.subset,
        )  # fmt: skip
        return dataset if corrections is None else corrected(dataset, corrections)


@dataclass(frozen=True, kw_only=True)
class WithRecipe(AboutData):
    """Of the verbs that train a recipe, once or many times."""

    dataset: Annotated[str | None, tyro.conf.Positional] = None
    """A name (snellen data list), FILE.py:FUNCTION, or your own pictures: class folders, a table, shards, .npz."""
    recipe: str | None = None
    """A recipe's name (snellen recipes lists them) or a .json file; else the data set's usual one."""
    set: tuple[str, ...] = ()
    """Change fields of the recipe, in every run: --set epochs=3 optimizer.lr=0.05"""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto takes bf16 where it is measured to be faster."""

    def chosen_recipe(self, dataset: str) -> tuple[Recipe, str]:
        """The recipe named, or that of the data set, with the settings; and why it, where nobody named one."""
        from snellen.data.catalog import named_by_user
        from snellen.data.default_recipe import default_recipe
        from snellen.recipes.catalog import find_recipe
        from snellen.recipes.json_form import with_settings

        dataset = named_by_user(dataset)
        recipe, why = (
            (find_recipe(self.recipe), "") if self.recipe else default_recipe(dataset, size=self.own_pictures.size)
        )
        return with_settings(recipe, self.set), why


@dataclass(frozen=True, kw_only=True)
class ToTrainMany(WithRecipe):
    """Of the verbs that train many runs into a folder of their own, here or on the workers of a cluster."""

    engine: Literal["local", "ray"] = "local"
    """local trains here, one run after the other; ray on the workers of a cluster, many at once (docs/scale.md)."""
    address: str | None = None
    """Of a Ray cluster, such as auto or HOST:6379; without it, Ray is started on this machine."""
    download: bool = False
    """Fetch the data set if it is nowhere, into --data or else into the cache."""
    runs: Path = Path("runs")
    """Folder that holds the folder of all these runs."""
    name: str | None = None
    """Of that folder, behind ladder- or tune-; by default DATA with what is trained, and the settings."""

    def folder(self, kind: str, dataset: str, title: str) -> Path:
        """RUNS/KIND-NAME; refuses a name that is none, and an address that nobody asks for."""
        from snellen.ladder.rungs import slug

        if self.address is not None and self.engine != "ray":
            raise UsageError("--address has no effect without --engine ray. Leave it out, or add --engine ray.")
        if self.name is not None and slug(self.name) != self.name:
            raise InvalidSetting(
                f"--name {self.name} is not possible: small letters, digits, '.' and '-', such as {slug(self.name)}."
            )
        return self.runs / f"{kind}-{self.name or slug('-'.join((dataset, title, *self.set)), longest=120)}"


@dataclass(frozen=True, kw_only=True)
class ToTrain(WithRecipe):
    """Of the verbs that train one recipe once."""

    seed: int = 0
    """Of initialisation, order and augmentation."""
