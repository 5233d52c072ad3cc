"""`snellen compare OLD NEW`: models by pictures, recipes by seeds, on what all of them have in val."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snellen.errors import UsageError
from snellen.evaluate.compare_runs import Comparison, compare_runs
from snellen.metrics.compare import PairedDifference, seeds_needed
from snellen.predict.predictions import Predictions
from snellen.recipes.cifar10 import SMALL_CNN, SMALL_CNN_BASELINE
from snellen.recipes.recipe import Recipe
from snellen.serialize import to_json

LABELS = np.zeros(1000, dtype=np.int64)


@dataclass(frozen=True)
class Graded:
    """As much of a run as a comparison looks at."""

    name: str
    recipe: Recipe
    seed: int
    train: str = "aaaaaaaa"
    started: str = ""
    loading: dict[str, Any] = field(default_factory=dict)
    corrections: dict[str, Any] | None = None
    start: dict[str, str] = field(default_factory=dict)
    precision: str = "fp32"
    where: str = "runs"

    @property
    def folder(self) -> Path:
        return Path(self.where) / self.name

    @property
    def info(self) -> dict[str, Any]:
        data = {"name": "made", "train": {"count": 900, "fingerprint": self.train}, "loading": self.loading}
        data |= {"corrections": self.corrections} if self.corrections else {}
        return {"seed": self.seed, "data": data, "precision": self.precision, "start": self.start}

    def read(self, name: str) -> dict[str, Any]:
        assert name == "environment.json"
        return {"started": self.started}


def answers(*right: range, identities: range = range(1000), labels: np.ndarray = LABELS) -> Predictions:
    """Predictions that are right on the pictures with these identities, if their label is 0."""
    known = np.array(identities)
    logits = np.zeros((len(known), 2), dtype=np.float32)
    logits[:, 1] = 1.0
    for images in right:
        logits[(known >= images.start) & (known < images.stop)] = (2.0, 0.0)
    return Predictions(
        logits, labels[: len(known)], np.arange(len(known)), ("a", "b"), "val", data="made",
        identities=known.astype(np.uint64),
    )  # fmt: skip


def compared(*sides: tuple[Graded, Predictions]) -> Comparison:
    return compare_runs([run for run, _ in sides], [graded for _, graded in sides])  # type: ignore[arg-type]


OLD, NEW = Graded("old", SMALL_CNN_BASELINE, 0), Graded("new", SMALL_CNN, 0)


def test_two_models_are_compared_picture_by_picture_and_the_verdict_comes_first() -> None:
    found = compared((OLD, answers(range(700))), (NEW, answers(range(10, 760))))
    row = to_json(found)["rows"][1]
    assert (row["difference"]["only_first"], row["difference"]["only_second"]) == (10, 60)
    assert found.rows[1].decided is True
    assert repr(found).startswith(
        "new is better than old: +5.00 (+3.40 to +6.60) points; 10 pictures only old has right, 60 only new; McNemar p"
    )
    assert "Graded on the same 1,000 val pictures." in found.notes


def test_the_worse_one_is_called_so_and_each_is_the_best_of_its_own_epochs() -> None:
    old, new = replace(answers(range(700)), best_of=3), replace(answers(range(10, 760)), best_of=5)
    found = compared((NEW, new), (OLD, old))
    assert found.verdict.startswith("old is worse than new: -5.00 (-6.60 to -3.40) points; 60 pictures only new has")
    difference = found.rows[1].difference
    assert isinstance(difference, PairedDifference)
    assert [row.accuracy for row in found.rows] == [difference.first, difference.second]
    assert (difference.first.best_of, difference.second.best_of) == (5, 3)


def test_what_is_undecided_says_how_many_pictures_would_decide() -> None:
    found = compared((OLD, answers(range(700))), (NEW, answers(range(40, 750))))
    assert found.rows[1].decided is False
    assert found.verdict.startswith("Undecided between old and new: +1.00")
    assert f"About {found.rows[1].difference.images_needed:,} pictures would decide" in found.verdict  # type: ignore
    same = compared((OLD, answers(range(700))), (NEW, answers(range(700))))
    assert "No number of pictures would tell two equally good models apart" in same.verdict


def test_a_row_is_named_by_what_differs() -> None:
    other = Graded("big", SMALL_CNN.replace(epochs=3, label_smoothing=0.2), 7, "bbbbbbbb", loading={"side": 96})
    found = compared((NEW, answers(range(700))), (other, answers(range(701))))
    assert found.rows[0].changes == ()
    epochs = f"epochs {SMALL_CNN.epochs:g} → 3"
    smoothing = f"label_smoothing {SMALL_CNN.label_smoothing:g} → 0.2"
    changed = {epochs, smoothing, "train 900 pictures (aaaaaa) → 900 pictures (bbbbbb)", "size – → 96", "seed 0 → 7"}
    assert {str(change) for change in found.rows[1].changes} == changed
    assert found.rows[1].differs_by.endswith("; 1 more")
    header, rows = found.table()
    assert (header, rows[1][0]) == (["", "val", "points (95 %)", "p"], f"big: {found.rows[1].differs_by}")


def test_runs_of_one_name_are_told_apart_by_folder_or_else_by_number() -> None:
    for where, names in ((("there", "here"), ["there/old", "here/old"]), (("here", "here"), ["old (1)", "old (2)"])):
        first, second = (replace(OLD, where=folder, seed=at) for at, folder in enumerate(where))
        found = compared((first, answers(range(700))), (second, answers(range(760), identities=range(5, 900))))
        assert [row.name for row in found.rows] == names
        assert found.notes[0].endswith(f"{names[0]} 1,000, {names[1]} 895.")


def test_weights_that_a_run_began_with_and_its_precision_are_named_and_no_other_recipe() -> None:
    begun = replace(NEW, name="begun", start={"file": "there.safetensors", "sha256": "c0ffee00"})
    found = compared((NEW, answers(range(700))), (begun, answers(range(701))))
    assert found.rows[1].differs_by == "weights – → there.safetensors (c0ffee)"
    assert "another seed may differ by more" in found.notes[-1]
    half = compared((NEW, answers(range(700))), (replace(NEW, name="half", precision="bf16"), answers(range(701))))
    assert half.rows[1].differs_by == "precision fp32 → bf16"
    assert "runs of one recipe on the same data: what differs is the luck of the seed, or rounding" in half.notes[-1]


def test_corrections_are_named_by_how_many_and_which() -> None:
    mended = Graded("mended", SMALL_CNN, 0, "bbbbbbbb", corrections={"rows": [["a"] * 5] * 9, "sha256": "0c55d2ff"})
    found = compared((NEW, answers(range(700))), (mended, answers(range(701))))
    assert found.rows[1].differs_by.startswith("corrections – → 9 rows (0c55d2); train ")


def test_two_models_are_not_two_recipes_and_the_ladder_is_named_where_the_data_are_the_same() -> None:
    command = "snellen ladder made --rungs runs/old/recipe.json runs/new/recipe.json"
    assert command in compared((OLD, answers(range(700))), (NEW, answers(range(760)))).notes[-1]
    mended = Graded("mended", SMALL_CNN, 0, "bbbbbbbb")
    assert "Train each with --seed 1" in compared((NEW, answers(range(700))), (mended, answers(range(760)))).notes[-1]


def test_two_seeds_of_one_recipe_differ_by_luck_also_under_another_name() -> None:
    renamed = Graded("other", SMALL_CNN.replace(name="renamed", note=""), 1)
    assert "the luck of the seed" in compared((NEW, answers(range(700))), (renamed, answers(range(760)))).notes[-1]


def test_runs_on_data_that_changed_are_compared_on_the_pictures_that_both_have() -> None:
    """Old has 0 to 999, new 200 to 1099 in another order; both know 200 to 999."""
    corrected = LABELS.copy()
    corrected[800:810] = 1  # of what new has: the pictures 299 to 290, which old labels 0
    mended = Graded("new", SMALL_CNN, 0, "bbbbbbbb", started="2026-02-01")
    backwards = range(1099, 199, -1)
    found = compared(
        (Graded("old", SMALL_CNN, 0, started="2026-01-01"), answers(range(300, 700))),
        (mended, answers(range(300, 760), identities=backwards, labels=corrected)),
    )
    assert to_json(found)["shared"] == {"n": 800, "asked": [1000, 900], "relabelled": 10}
    # Both are wrong on the ten that old calls 0 and right by what new calls them, for both answer 1 there.
    assert [row.accuracy.hits for row in found.rows] == [410, 470]  # type: ignore[union-attr]
    assert found.notes[:2] == (
        "Graded on the 800 val pictures that all of them have, known by content: old 1,000, new 900.",
        "10 of these carry other labels in one of them; the labels of new, the newest, count.",
    )


def test_the_newest_says_the_labels_wherever_it_stands_and_the_last_given_where_none_is_newer() -> None:
    relabelled = LABELS.copy()
    relabelled[3] = 1
    for started, counts in (("2026-02-01", "new"), ("2025-01-01", "old"), ("2026-01-01", "old")):
        found = compared(
            (replace(NEW, started=started), answers(range(700), labels=relabelled)),
            (replace(OLD, started="2026-01-01"), answers(range(700))),
        )
        said = f"1 of these carries another label in one of them; the labels of {counts}, the newest, count."
        assert found.notes[1] == said
        assert found.rows[0].accuracy.hits == 700 - (counts == "new")  # type: ignore[union-attr]


def test_recipes_with_the_same_seeds_are_compared_seed_by_seed() -> None:
    sides = [
        (Graded(f"{name}{seed}", recipe, seed), answers(range(hits)))
        for name, recipe, scores in (("old", SMALL_CNN_BASELINE, (700, 710, 705)), ("new", SMALL_CNN, (760, 771, 765)))
        for seed, hits in enumerate(scores)
    ]
    sides[5] = (replace(sides[5][0], recipe=SMALL_CNN.replace(name="renamed")), sides[5][1])
    found = compared(*(sides[at] for at in (0, 5, 4, 2, 1, 3)))  # whatever the order they are named in
    row = found.rows[1]
    assert row.name == "small_cnn"  # of the first seed
    assert (found.kind, row.seeds, row.runs) == ("recipes", (0, 1, 2), ("new0", "new1", "new2"))
    assert row.difference.mean == pytest.approx(0.0603333)  # type: ignore[union-attr]
    assert found.verdict.startswith("small_cnn is better than small_cnn_baseline, seed by seed: +6.03")
    header, rows = found.table()
    assert header[-1] == "points (95 % over seeds)"
    assert [cells[-1] for cells in rows] == [each.points_text for each in found.rows]  # no p-value over seeds
    assert not any("Each interval" in note for note in found.notes)
    third = [(Graded(f"far{seed}", SMALL_CNN, seed, "bbbbbbbb"), answers(range(500 + seed))) for seed in (0, 1, 2)]
    three = compared(*sides, *third)
    assert three.rows[2].name == "small_cnn"
    again = compared(*third, *sides[3:])
    assert again.verdict.startswith("small_cnn with train 900 pictures (bbbbbb) → 900 pictures (aaaaaa) is better than")
    assert any("97.5 %" in note for note in three.notes)
    assert three.rows[1].difference.half_width == pytest.approx(1.442 * row.difference.half_width, rel=1e-3)  # type: ignore


def test_seeds_that_would_decide_between_two_recipes_are_counted() -> None:
    sides = [
        (Graded(f"{name}{seed}", recipe, seed), answers(range(hits)))
        for name, recipe, scores in (("old", SMALL_CNN_BASELINE, (700, 720)), ("new", SMALL_CNN, (730, 715)))
        for seed, hits in enumerate(scores)
    ]
    found = compared(*sides)
    assert found.rows[1].decided is False
    needed = seeds_needed(0.0125, float(np.std([0.03, -0.005], ddof=1)))
    assert f"about {needed} seeds would decide, if the difference is what it seems" in found.verdict


def test_recipes_that_differ_by_equal_steps_have_no_interval_and_no_number_of_seeds() -> None:
    """Equal but for the rounding of a fraction."""
    found = compared(
        *((Graded(f"old{seed}", SMALL_CNN_BASELINE, seed), answers(range(60 + 80 * seed))) for seed in (0, 1, 2)),
        *((Graded(f"new{seed}", SMALL_CNN, seed), answers(range(120 + 80 * seed))) for seed in (0, 1, 2)),
    )
    assert [row.points_text for row in found.rows] == ["", "+6.00"]
    assert found.rows[0].points == 0
    assert found.verdict.endswith("(the same in 3 pairs of seeds); too few to tell how much seeds differ.")
    alike = compared(
        *((Graded(f"old{seed}", SMALL_CNN_BASELINE, seed), answers(range(700 + seed % 2))) for seed in range(4)),
        *((Graded(f"new{seed}", SMALL_CNN, seed), answers(range(700 + seed // 2))) for seed in range(4)),
    )
    assert alike.verdict.endswith("; no number of seeds in sight would decide.")


def test_many_seeds_of_one_recipe_are_summed_up() -> None:
    found = compared(*((Graded(f"new{seed}", SMALL_CNN, seed), answers(range(700 + 10 * seed))) for seed in range(3)))
    assert (found.kind, found.rows[0].accuracy.mean) == ("seeds", pytest.approx(0.71))  # type: ignore[union-attr]
    assert "over 3 seeds: 71.00 ±" in found.verdict


def test_more_than_two_models_are_held_against_the_first_with_raised_p_values() -> None:
    third = Graded("third", SMALL_CNN.replace(epochs=1), 0)
    found = compared((OLD, answers(range(700))), (NEW, answers(range(760))), (third, answers(range(705))))
    assert [row.decided for row in found.rows] == [False, True, False]
    assert found.rows[2].p_value == pytest.approx(found.rows[2].difference.p_value)  # type: ignore[union-attr]
    assert found.rows[1].p_value == pytest.approx(2 * found.rows[1].difference.p_value)  # type: ignore[union-attr]
    assert found.verdict == "1 of 2 differ from old after Holm: new is better by 6.00 points."
    alike = compared((OLD, answers(range(700))), (NEW, answers(range(701))), (third, answers(range(702))))
    assert alike.verdict == "0 of 2 differ from old after Holm."
    header, rows = found.table()
    assert [header[-1], *(cells[-1] for cells in rows)] == [
        "p, Holm",
        "",
        *(f"{r.p_value:.2g}" for r in found.rows[1:]),
    ]
    assert {len(cells) for cells in rows} == {len(header)}


def test_one_run_and_other_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match="at least two runs, got 1"):
        compared((OLD, answers(range(700))))
    with pytest.raises(UsageError, match="no picture in common"):
        compared((OLD, answers(range(700))), (NEW, answers(range(300), identities=range(2000, 2500))))
