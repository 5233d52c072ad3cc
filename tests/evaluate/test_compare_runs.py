"""`snellen evaluate A B`: two models by images, two recipes by seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snellen.errors import UsageError
from snellen.evaluate.compare_runs import compare_runs
from snellen.predict.predictions import Predictions
from snellen.recipes.cifar10 import SMALL_CNN, SMALL_CNN_BASELINE
from snellen.recipes.recipe import Recipe


@dataclass(frozen=True)
class Graded:
    """As much of a run as a comparison looks at."""

    name: str
    recipe: Recipe
    seed: int

    @property
    def folder(self) -> Path:
        return Path("runs") / self.name

    @property
    def info(self) -> dict[str, Any]:
        return {"seed": self.seed, "data": {"name": "made"}}


def answers(*right: range, n: int = 1000) -> Predictions:
    """Predictions that are right on these images of n."""
    logits = np.zeros((n, 2), dtype=np.float32)
    logits[:, 1] = 1.0
    for images in right:
        logits[images.start : images.stop] = (2.0, 0.0)
    return Predictions(logits, np.zeros(n, dtype=np.int64), np.arange(n), ("a", "b"), "val", data="made")


def compared(*sides: tuple[Graded, Predictions]) -> tuple[dict[str, Any], str]:
    found, sentences = compare_runs([run for run, _ in sides], [graded for _, graded in sides])  # type: ignore[misc]
    return found, "\n".join(sentences)


OLD, NEW = Graded("old", SMALL_CNN_BASELINE, 0), Graded("new", SMALL_CNN, 0)


def test_two_models_are_compared_image_by_image() -> None:
    found, text = compared((OLD, answers(range(700))), (NEW, answers(range(10, 760))))
    assert (found["only_first"], found["only_second"], found["value"]) == (10, 60, pytest.approx(0.05))
    assert found["decided"] is True
    assert "new minus old: +5.00 points" in text
    assert "10 images only old has right, 60 only new" in text
    assert "so the two models differ" in text


def test_what_is_undecided_says_how_many_images_would_decide() -> None:
    found, text = compared((OLD, answers(range(700))), (NEW, answers(range(40, 750))))
    assert found["decided"] is False
    assert found["images_needed"] > 1000
    assert f"about {found['images_needed']:,} images would decide" in text


def test_two_models_are_not_two_recipes_and_the_ladder_is_named() -> None:
    _, text = compared((OLD, answers(range(700))), (NEW, answers(range(760))))
    assert "snellen ladder made --rungs runs/old/recipe.json runs/new/recipe.json" in text


def test_two_seeds_of_one_recipe_differ_by_luck_also_under_another_name() -> None:
    renamed = Graded("other", SMALL_CNN.replace(name="renamed", note=""), 1)
    found, text = compared((NEW, answers(range(700))), (renamed, answers(range(760))))
    assert found["one_recipe"] is True
    assert "the luck of the seed" in text


def test_the_same_answers_are_told_apart_by_no_number_of_images() -> None:
    _, text = compared((OLD, answers(range(700))), (NEW, answers(range(700))))
    assert "no number of images would tell two equally good models apart" in text


def test_two_recipes_with_the_same_seeds_are_compared_seed_by_seed() -> None:
    sides = [
        (Graded(f"{name}{seed}", recipe, seed), answers(range(hits)))
        for name, recipe, scores in (("old", SMALL_CNN_BASELINE, (700, 710)), ("new", SMALL_CNN, (760, 771)))
        for seed, hits in enumerate(scores)
    ]
    found, text = compared(*(sides[at] for at in (0, 3, 1, 2)))  # whatever the order they are named in
    assert (found["kind"], found["n"], found["mean"]) == ("two recipes", 2, pytest.approx(0.0605))
    assert found["decided"] is True
    assert "small_cnn minus small_cnn_baseline, seed by seed: +6.05" in text


def test_seeds_that_would_decide_between_two_recipes_are_counted() -> None:
    sides = [
        (Graded(f"{name}{seed}", recipe, seed), answers(range(hits)))
        for name, recipe, scores in (("old", SMALL_CNN_BASELINE, (700, 720)), ("new", SMALL_CNN, (730, 715)))
        for seed, hits in enumerate(scores)
    ]
    found, text = compared(*sides)
    assert found["decided"] is False
    assert f"about {found['seeds_needed']:,} seeds would decide" in text


def test_many_seeds_of_one_recipe_are_summed_up() -> None:
    sides = [(Graded(f"new{seed}", SMALL_CNN, seed), answers(range(700 + 10 * seed))) for seed in range(3)]
    found, text = compared(*sides)
    assert (found["kind"], found["mean"]) == ("seeds of one recipe", pytest.approx(0.71))
    assert "small_cnn over seeds: 71.00 ±" in text


def test_more_than_two_models_are_compared_in_pairs_with_raised_p_values() -> None:
    third = Graded("third", SMALL_CNN.replace(epochs=1), 0)
    found, text = compared((OLD, answers(range(700))), (NEW, answers(range(760))), (third, answers(range(705))))
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [
        ("old", "new"), ("old", "third"), ("new", "third"),
    ]  # fmt: skip
    assert text.count("after Holm") == 3


def test_other_images_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be compared"):
        compared((OLD, answers(range(700))), (NEW, answers(range(300), n=500)))
