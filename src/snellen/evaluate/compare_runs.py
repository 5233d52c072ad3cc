"""Runs held against each other on the val pictures that all of them have: is one better, and what would decide it?

Two runs are two models, compared picture by picture. Recipes trained with the same seeds are compared seed by seed,
because a difference between two models is partly luck of the seed. A picture is known by its content, so runs on data
that were mended in between are compared as well, on what they share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from snellen.errors import UsageError
from snellen.metrics.compare import PairedDifference, Shared, holm, paired_difference, seeds_needed, shared
from snellen.metrics.intervals import Rate, SeedDifference, SeedSummary, mean_over_seeds, paired_difference_over_seeds
from snellen.predict.predictions import Predictions
from snellen.recipes.json_form import Change, changes, first_few
from snellen.runs.run import Run, corrections_of

_WORD = {True: "better", False: "worse"}


@dataclass(frozen=True)
class ComparedRow:
    """One line of the table: a run, or the runs of one recipe and data over seeds; the first is the reference.

    Attributes:
        name: of the run or recipe; `runs` are the folders' names, `seeds` theirs.
        changes: in what it differs from the reference.
        accuracy: plain, on the shared pictures: of the run, or the mean over seeds.
        difference: to the reference, paired by picture or by seed; None for the reference itself.
        p_value: McNemar's, raised by Holm's method where several are compared; None over seeds.
        decided: whether the two differ, all comparisons of the table together at 5 %.
    """

    json_also: ClassVar[tuple[str, ...]] = ("differs_by",)

    name: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    changes: tuple[Change, ...]
    accuracy: Rate | SeedSummary
    difference: PairedDifference | SeedDifference | None
    p_value: float | None
    decided: bool

    @property
    def differs_by(self) -> str:
        """The changes in words, the first few of many."""
        return first_few(self.changes)

    @property
    def points(self) -> float:
        """Difference to the reference, in points; 0 for the reference itself."""
        found = self.difference
        return 0.0 if found is None else 100 * (found.value if isinstance(found, PairedDifference) else found.mean)

    @property
    def points_text(self) -> str:
        """Such as "+1.90 (+0.41 to +3.39)"; empty for the reference."""
        found = self.difference
        if found is None or found.low is None or found.high is None:
            return "" if found is None else f"{self.points:+.2f}"
        return f"{self.points:+.2f} ({100 * found.low:+.2f} to {100 * found.high:+.2f})"


@dataclass(frozen=True)
class Comparison:
    """What several runs say about each other on the same val pictures, plain.

    Attributes:
        kind: models, compared picture by picture; recipes, seed by seed; or the seeds of one recipe.
        rows: the reference first, then the others in the order given.
        shared: the answers to the pictures that all have.
        notes: what a reader must know about the numbers.
    """

    kind: Literal["models", "recipes", "seeds"]
    verdict: str
    rows: tuple[ComparedRow, ...]
    shared: Shared
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        rows = (f"  {'  '.join(cells)}".rstrip() for cells in self.table()[1])
        return "\n".join([self.verdict, *rows, *self.notes])

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows in words, for any medium."""
        several = sum(row.p_value is not None for row in self.rows) > 1
        over = "95 % over seeds" if self.kind != "models" else "95 %"
        header = ["", "val", f"points ({over})"] + [["p", "p, Holm"][several]] * (self.kind == "models")
        rows = []
        for row in self.rows:
            name = f"{row.name}: {row.differs_by}" if row.changes else row.name
            value = row.accuracy.share() if isinstance(row.accuracy, Rate) else str(row.accuracy).partition(" (sd")[0]
            p_value = "" if row.p_value is None else f"{row.p_value:.2g}"
            rows.append([name, value, row.points_text, p_value][: len(header)])
        return header, rows


def compare_runs(runs: Sequence[Run], predictions: Sequence[Predictions]) -> Comparison:
    """Hold runs against the first of them.

    Where a picture was relabelled in between, the label of the newest run counts.

    Args:
        runs: two or more.
        predictions: of each, on val.

    Raises:
        UsageError: fewer than two runs, or they have no val picture, or not their classes, in common.
    """
    if len(runs) < 2:
        raise UsageError(f"A comparison needs at least two runs, got {len(runs)}.")
    started = [str(run.read("environment.json").get("started", "")) for run in runs]
    newest = max(range(len(runs)), key=lambda at: (started[at], at))
    common = shared(predictions, labels_of=newest)
    families = _families(runs)
    seeds = [tuple(int(runs[at].info["seed"]) for at in family) for family in families]
    repeated = len(runs) > 2 and len(seeds[0]) > 1 and all(len(set(own)) == len(own) for own in seeds)
    notes = list(_about_pictures(runs, common, newest))
    if repeated and len(families) == 1:
        rows = [_over_seeds(runs, common, families[0], families[0])]
        verdict = f"One recipe over {len(runs)} seeds: {rows[0].accuracy}. What differs is the luck of the seed."
        return Comparison("seeds", verdict, tuple(rows), common, tuple(notes))
    if repeated and len(set(seeds)) == 1:
        level = 1 - 0.05 / (len(families) - 1)
        rows = [_over_seeds(runs, common, family, families[0], level) for family in families]
        if len(rows) > 2:
            notes.append(f"Each interval is one of {100 * level:.4g} %, so that all of them hold together at 95 %.")
        return Comparison("recipes", _verdict_over_seeds(rows), tuple(rows), common, tuple(notes))
    rows = _models(runs, common)
    notes += _about_models(runs, families)
    return Comparison("models", _verdict(rows), tuple(rows), common, tuple(notes))


def _models(runs: Sequence[Run], common: Shared) -> list[ComparedRow]:
    right = [one.correct for one in common.predictions]
    best_of = [one.best_of for one in common.predictions]
    differences = [
        paired_difference(right[0], right[at], best_of=(best_of[0], best_of[at])) for at in range(1, len(runs))
    ]
    p_values = holm([difference.p_value for difference in differences])
    rows = []
    for at, (run, name) in enumerate(zip(runs, _names(runs), strict=True)):
        difference, p_value = (differences[at - 1], p_values[at - 1]) if at else (None, None)
        about = (name, (run.name,), (int(run.info["seed"]),), _differs(runs[0], run))
        accuracy = Rate(int(right[at].sum()), common.n, best_of[at])
        rows.append(ComparedRow(*about, accuracy, difference, p_value, p_value is not None and p_value < 0.05))
    return rows


def _over_seeds(
    runs: Sequence[Run], common: Shared, family: Sequence[int], reference: Sequence[int], level: float = 0.95
) -> ComparedRow:
    """A recipe's runs as one row, held against those of the first recipe, `reference`; both in the order of seeds."""
    own, first = ([float(common.predictions[at].correct.mean()) for at in one] for one in (family, reference))
    difference = None if family == reference else paired_difference_over_seeds(first, own, level=level)
    members = [runs[at] for at in family]
    differs = tuple(change for change in _differs(runs[reference[0]], members[0]) if change.field != "seed")
    return ComparedRow(
        members[0].recipe.name, tuple(run.name for run in members), tuple(int(run.info["seed"]) for run in members),
        differs, mean_over_seeds(own), difference, None, difference is not None and difference.excludes_zero,
    )  # fmt: skip


def _verdict(rows: Sequence[ComparedRow]) -> str:
    first, others = rows[0], rows[1:]
    decided = [row for row in others if row.decided]
    if len(others) > 1:
        which = "; ".join(f"{row.name} is {_WORD[row.points > 0]} by {abs(row.points):.2f} points" for row in decided)
        ending = f": {which}." if which else "."
        return f"{len(decided)} of {len(others)} differ from {first.name} after Holm{ending}"
    (row,) = others
    found = row.difference
    assert isinstance(found, PairedDifference)
    said = (
        f"{row.points_text} points; {found.only_first} pictures only {first.name} has right, {found.only_second} only "
        f"{row.name}; McNemar p = {found.p_value:.2g}"
    )
    if row.decided:
        return f"{row.name} is {_WORD[row.points > 0]} than {first.name}: {said}."
    if found.images_needed is None:
        way = "No number of pictures would tell two equally good models apart"
    else:
        way = f"About {found.images_needed:,} pictures would decide, if they go on differing like this"
    return f"Undecided between {first.name} and {row.name}: {said}. {way}."


def _verdict_over_seeds(rows: Sequence[ComparedRow]) -> str:
    first, others = rows[0], rows[1:]
    sentences = []
    for row in others:
        found = row.difference
        assert isinstance(found, SeedDifference)
        name = row.name if row.name != first.name else f"{row.name} with {row.differs_by}"
        if row.decided:
            sentences.append(f"{name} is {_WORD[row.points > 0]} than {first.name}, seed by seed: {found}.")
            continue
        if found.low is None or found.sd is None:
            way = "too few to tell how much seeds differ"
        elif needed := seeds_needed(found.mean, found.sd):
            way = f"about {needed:,} seeds would decide, if the difference is what it seems"
        else:
            way = "no number of seeds in sight would decide"
        sentences.append(f"Undecided between {first.name} and {name}, seed by seed: {found}; {way}.")
    return " ".join(sentences)


def _about_pictures(runs: Sequence[Run], common: Shared, newest: int) -> Iterator[str]:
    if common.all_of_them:
        yield f"Graded on the same {common.n:,} val pictures."
    else:
        asked = ", ".join(f"{name} {count:,}" for name, count in zip(_names(runs), common.asked, strict=True))
        yield f"Graded on the {common.n:,} val pictures that all of them have, known by content: {asked}."
    if common.relabelled:
        carry = "carries another label" if common.relabelled == 1 else "carry other labels"
        counts = f"the labels of {_names(runs)[newest]}, the newest, count"
        yield f"{common.relabelled:,} of these {carry} in one of them; {counts}."


def _about_models(runs: Sequence[Run], families: Sequence[Sequence[int]]) -> Iterator[str]:
    if len(families) == 1:
        yield "They are runs of one recipe on the same data: what differs is the luck of the seed, or rounding."
    elif len({str(_beside_recipe(run.info)["train"]) for run in runs}) == 1:
        recipes = " ".join(str(run.folder / "recipe.json") for run in runs)
        yield (
            "One run each: another seed may differ by more. Over seeds: snellen ladder "
            f"{runs[0].info['data']['name']} --rungs {recipes}"
        )
    else:
        yield "One run each: another seed may differ by more. Train each with --seed 1 and --seed 2, and compare all."


def _families(runs: Sequence[Run]) -> list[list[int]]:
    """Positions of the runs that share recipe, data and start, by seed; families in order of appearance."""
    found: dict[Any, list[int]] = {}
    for at, run in enumerate(runs):
        differs = [change for change in _differs(runs[0], run) if change.field not in ("seed", "precision")]
        found.setdefault(str([(change.field, str(change.after)) for change in differs]), []).append(at)
    return [sorted(family, key=lambda at: int(runs[at].info["seed"])) for family in found.values()]


def _differs(first: Run, other: Run) -> tuple[Change, ...]:
    """All in which a run differs from the first: recipe, data and how they were read, start, seed, precision."""
    before, after = _beside_recipe(first.info), _beside_recipe(other.info)
    beside = (Change(name, before[name], after[name]) for name in before if before[name] != after[name])
    return (*changes(first.recipe, other.recipe), *beside)


def _beside_recipe(info: dict[str, Any]) -> dict[str, Any]:
    data, loading = info["data"], info["data"].get("loading", {})
    train, start = data.get("train", {}), info.get("start", {})
    return {
        "corrections": corrections_of(info),
        "train": f"{train.get('count', 0):,} pictures ({train.get('fingerprint', '')[:6]})",
        **{"size" if name == "side" else name: loading.get(name) for name in ("side", "fit", "test_fraction", "white")},
        "weights": f"{start['file']} ({str(start.get('sha256', ''))[:6]})" if "file" in start else None,
        "seed": info["seed"],
        "precision": info.get("precision"),
    }


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, or, where two are equal, their paths, or their numbers."""
    for names in ([run.name for run in runs], [str(run.folder) for run in runs]):
        if len(set(names)) == len(runs):
            return names
    return [f"{run.name} ({at})" for at, run in enumerate(runs, start=1)]
