"""`--budget`: durations in words, and a schedule that fits."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.train.thin_network import Thin, transfer_of

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting
from snellen.parts import registered
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import DataPruning, Expect, Recipe
from snellen.show.progress import Progress
from snellen.train import budget
from snellen.train.budget import fit_into, parse_duration
from snellen.train.fit import FitOptions
from snellen.train.kept_activations import KeptActivations
from snellen.train.setup import prepare


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h", 3600), ("1.5h", 5400), ("5m30s", 330), ("1h0.5m", 3630)]
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5d", "1e3s", "5m x", "5M", "0s", "0h0m"])
def test_anything_else_is_refused_with_the_value(text: str) -> None:
    with pytest.raises(InvalidSetting, match="--budget"):
        parse_duration(text)


def fitted(recipe: Recipe, dataset: Dataset, seconds: float, *, final: bool = False, already: float = 0.0) -> Recipe:
    options = FitOptions(device="cpu", precision="fp32", final=final)
    return fit_into(
        recipe,
        dataset,
        options,
        seconds=seconds,
        since=budget.time.monotonic() - already,
        progress=Progress(quiet=True),
    )


@pytest.fixture
def an_epoch_takes_a_hundred_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    # 270 training images, and 30 val images seen with as many training images at a third of a step's price.
    monkeypatch.setattr(budget, "_images_per_second", lambda setup: 2.9)
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: 0.0))  # preparing takes none


@pytest.mark.usefixtures("an_epoch_takes_a_hundred_seconds")
@pytest.mark.parametrize(
    ("seconds", "epochs"),
    [
        (2_000, 8),  # not beyond four times the recipe's two epochs
        (562, 5),  # whole epochs; a tenth of the time, and two seconds, held back
        (500, 4),
        (342, 3),
    ],
)
def test_as_many_whole_epochs_as_fit(tiny_recipe: Recipe, tiny_dataset: Dataset, seconds: float, epochs: float) -> None:
    changed = fitted(tiny_recipe, tiny_dataset, seconds)
    assert changed == tiny_recipe.replace(epochs=float(epochs))


@pytest.mark.usefixtures("an_epoch_takes_a_hundred_seconds")
def test_what_was_spent_before_the_training_counts(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    assert fitted(tiny_recipe, tiny_dataset, 562, already=60).epochs == 4


@pytest.mark.usefixtures("an_epoch_takes_a_hundred_seconds")
def test_what_preparing_takes_counts_twice_for_it_is_done_again(
    tiny_recipe: Recipe, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds, epochs in ((500, 3), (475, 2.95)):  # less a tenth, 2 s, 60 s to prepare and 70 s until then
        looks = iter([0.0, 10.0, 70.0, 70.0, 70.0])
        monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=looks.__next__))
        assert fitted(tiny_recipe, tiny_dataset, seconds).epochs == pytest.approx(epochs, abs=0.01)


@pytest.mark.usefixtures("an_epoch_takes_a_hundred_seconds")
def test_below_three_epochs_the_last_one_may_be_a_part(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    assert fitted(tiny_recipe, tiny_dataset, 200).epochs == pytest.approx(1.8, abs=0.06)


@pytest.mark.usefixtures("an_epoch_takes_a_hundred_seconds")
def test_fewer_looks_at_val_leave_time_for_training(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    seldom = fitted(tiny_recipe.replace(evaluate_every=100), tiny_dataset, 200).epochs
    assert seldom == pytest.approx(1.8 * 290 / 270, abs=0.06)


@pytest.mark.usefixtures("an_epoch_takes_a_hundred_seconds")
def test_images_that_are_left_out_leave_time_for_more_epochs(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    # Of two epochs the second is thinned: 189 of 270 images.
    pruned = tiny_recipe.replace(evaluate_every=100, data_pruning=DataPruning(after=0.0, until=1.0))
    assert fitted(pruned, tiny_dataset, 200).epochs == pytest.approx(1.8 * 290 / ((270 + 189) / 2), abs=0.06)


@pytest.mark.usefixtures("an_epoch_takes_a_hundred_seconds")
def test_a_final_training_has_more_images_and_no_looks_at_val(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    assert len(tiny_dataset.train) == 300
    final = fitted(tiny_recipe, tiny_dataset, 200, final=True).epochs
    assert final == pytest.approx(1.8 * 290 / 300, abs=0.06)


@pytest.mark.usefixtures("an_epoch_takes_a_hundred_seconds")
def test_a_budget_for_nothing_is_refused_with_what_an_epoch_takes(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    with pytest.raises(InvalidSetting, match="an epoch of tiny takes 100 s here. Give it more time"):
        fitted(tiny_recipe, tiny_dataset, 4)


@pytest.mark.usefixtures("an_epoch_takes_a_hundred_seconds")
def test_a_shorter_training_does_not_promise_what_the_published_one_gave(
    tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    expect = Expect(data="d", split="val", accuracy=(0.9, 0.95), minutes=1.0, machine="m", runs=3, evidence="e")
    assert fitted(tiny_recipe.replace(expect=expect), tiny_dataset, 300).expect is None


def test_the_speed_is_measured_by_real_steps(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    changed = fitted(tiny_recipe, tiny_dataset, 3_600)
    assert changed.epochs == 8  # an hour is plenty here


def test_the_speed_is_that_of_all_pictures_also_where_the_recipe_leaves_some_out(
    tiny_recipe: Recipe, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[Recipe] = []
    monkeypatch.setattr(budget, "_step_seconds", lambda training: [timed.append(training.setup.recipe) or 0.5] * 2)
    recipe = tiny_recipe.replace(data_pruning=DataPruning())
    rate = budget._images_per_second(prepare(recipe, tiny_dataset, seed=0, device="cpu", precision="fp32"))
    assert timed == [recipe.replace(data_pruning=None)]
    assert rate == recipe.batch_size * 2 / 1.0


@pytest.mark.parametrize(("most", "few"), [(20, 20), (64, 64), (1_000, 270)])
def test_the_frozen_part_and_what_is_behind_it_are_timed_on_a_few_pictures(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, few: int
) -> None:
    timed: list[int] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(registered("model"), "thin", Thin)
    monkeypatch.setattr(budget, "_MEASURED_IMAGES", most)
    monkeypatch.setattr(KeptActivations, "seconds_per_image", lambda self, images: (timed.append(len(images)), 0.1)[1])
    monkeypatch.setattr(budget, "_step_seconds", lambda training: (timed.append(training.batch_size), [0.1, 0.1])[1])
    fitted(transfer_of(tiny_recipe), tiny_dataset, 3_600)
    assert timed == [few, min(few, 64)]


@pytest.fixture
def a_tenth_of_a_second_frozen_or_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    # 270 training images: a version takes 27 s, an epoch 27 s and 60 looks at a third of a step's price 2 s; 30 val
    # images are graded for 12 s, and 9 s are what fitting the head takes.
    monkeypatch.setattr(budget, "_seconds_per_image", lambda setup: budget._Seconds(0.1, 0.1))
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: 0.0))


@pytest.mark.usefixtures("a_tenth_of_a_second_frozen_or_behind")
@pytest.mark.parametrize(
    ("seconds", "epochs", "versions", "head_only"),
    [
        (10_000, 52, 5, 0),  # not beyond four times the recipe's thirteen epochs on so few images
        (374, 6, 5, 0),  # 2 + 12 + 9 + 5 * 27 + 6 * 29 = 332 s of 336
        (360, 5, 5, 0),
        (155, 2, 2, 0),
        (92, 1, 1, 0),
        (70, 1, 1, 0.999),  # 2 + 12 + 9 + 27 s: the head alone
    ],
)
def test_a_frozen_network_is_trained_as_deep_as_the_time_allows(
    tiny_dataset: Dataset, seconds: float, epochs: float, versions: int, head_only: float
) -> None:
    changed = fitted(RECIPES["transfer"], tiny_dataset, seconds)
    assert changed.finetune is not None
    found = (changed.epochs, changed.finetune.versions, changed.finetune.head_only)
    assert found == (epochs, versions, head_only)
    assert changed.min_steps == 0


@pytest.mark.usefixtures("a_tenth_of_a_second_frozen_or_behind")
@pytest.mark.parametrize(("seconds", "epochs"), [(258, 3), (257, 2)])
def test_what_is_frozen_and_what_is_behind_have_prices_of_their_own(
    tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch, seconds: float, epochs: int
) -> None:
    # A version takes 54 s, an epoch 13.5 s and a look 1 s, grading 19.5 s, the head 4.5 s: 231.5 s for three epochs.
    monkeypatch.setattr(budget, "_seconds_per_image", lambda setup: budget._Seconds(0.2, 0.05))
    assert fitted(RECIPES["transfer"], tiny_dataset, seconds).epochs == epochs


@pytest.mark.usefixtures("a_tenth_of_a_second_frozen_or_behind")
def test_a_budget_too_short_for_the_last_layer_is_refused(tiny_dataset: Dataset) -> None:
    with pytest.raises(InvalidSetting, match=r"even the last layer of transfer takes 36 s"):
        fitted(RECIPES["transfer"], tiny_dataset, 40)


def test_both_parts_of_a_frozen_network_are_measured(tiny_dataset: Dataset) -> None:
    setup = prepare(RECIPES["transfer"], tiny_dataset, seed=0, device="cpu", precision="fp32")
    measured = budget._seconds_per_image(setup)
    assert 0 < measured.frozen < 10
    assert 0 < measured.behind < 10
