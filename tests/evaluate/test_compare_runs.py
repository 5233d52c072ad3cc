"""`snellen compare OLD NEW`: models by pictures, recipes by seeds, on what all of them have in val."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snellen.errors import UsageError
from snellen.evaluate.compare_runs import Comparison, compare_runs
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

    @property
    def folder(self) -> Path:
        return Path("runs") / self.name

    @property
    def info(self) -> dict[str, Any]:
        data = {"name": "made", "train": {"count": 900, "fingerprint": self.train}, "loading": self.loading}
        data |= {"corrections": self.corrections} if self.corrections else {}
        return {"seed": self.seed, "data": data, "precision": "fp32"}

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


def test_one_picture_that_was_relabelled_is_spoken_of_as_one() -> None:
    labels = LABELS.copy()
    labels[5] = 1
    mended = Graded("mended", SMALL_CNN, 0, "bbbbbbbb", started="2026-02-01")
    found = compared((NEW, answers(range(700))), (mended, answers(range(700), labels=labels)))
    assert "1 of these carries another label in one of them; the labels of mended, the newest, count." in found.notes


def test_recipes_with_the_same_seeds_are_compared_seed_by_seed() -> None:
    sides = [
        (Graded(f"{name}{seed}", recipe, seed), answers(range(hits)))
        for name, recipe, scores in (("old", SMALL_CNN_BASELINE, (700, 710, 705)), ("new", SMALL_CNN, (760, 771, 765)))
        for seed, hits in enumerate(scores)
    ]
    found = compared(*(sides[at] for at in (0, 4, 2, 5, 1, 3)))  # whatever the order they are named in
    row = found.rows[1]
    assert (found.kind, row.seeds, row.runs) == ("recipes", (0, 1, 2), ("new0", "new1", "new2"))
    assert row.difference.mean == pytest.approx(0.0603333)  # type: ignore[union-attr]
    assert found.verdict.startswith("small_cnn is better than small_cnn_baseline, seed by seed: +6.03")
    header, rows = found.table()
    assert header[-1] == "points (95 % over seeds)"
    assert [cells[-1] for cells in rows] == [each.points_text for each in found.rows]  # no p-value over seeds
    third = [(Graded(f"far{seed}", SMALL_CNN, seed, "bbbbbbbb"), answers(range(500 + seed))) for seed in (0, 1, 2)]
    three = compared(*sides, *third)
    assert three.rows[2].name == "small_cnn"
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
    assert "seeds would decide, if the difference is what it seems" in found.verdict


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
