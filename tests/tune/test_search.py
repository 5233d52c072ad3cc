"""A search: honest about what was chosen, the same after a kill, and nothing weak trained to its end."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, MissingExtra, RunError, UsageError
from snellen.ladder import engines
from snellen.ladder.one_run import Trained, Weak
from snellen.ladder.rungs import Plan, Rung
from snellen.metrics.intervals import Rate
from snellen.recipes.catalog import find_recipe
from snellen.recipes.json_form import changes, with_settings
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run, create_run, open_run
from snellen.serialize import to_json
from snellen.show import figures
from snellen.show.progress import Progress
from snellen.tune.search import SEARCH_SEED, Search, Trial, _settings, parse_space, search

if not find_spec("optuna"):
    pytest.skip("Optuna is an extra: pip install 'snellen[tune]'", allow_module_level=True)
import optuna

LR = "optimizer.lr=log:1e-9:0.1"


class Killed(BaseException):
    """Stands for kill -9: nothing is caught, nothing is saved."""


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "save_png", lambda figure, path: None)


@pytest.fixture
def looked_for(tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path) -> Callable[..., Search]:
    def find(*space: str, folder: Path = tmp_path, recipe: Recipe = tiny_recipe, **options: Any) -> Search:
        where = {"device": "cpu", "precision": "fp32", "confirm": 0} | options
        return search(recipe, space, tiny_dataset, folder / "tune-x", **where)

    return find


EPOCHS, BEST = 6, 0.02


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Runs that learn in no time, best at one rate; the last number is that of epochs before the next kill."""
    left = [10**9]

    def train_one(
        plan: Plan, rung: Rung, seed: int, dataset: Dataset, reuse: Sequence[Path], progress: Progress
    ) -> Trained:
        run, rate = Run(plan.folder / plan.run_name(rung, seed)), rung.recipe.optimizer.lr  # type: ignore[union-attr]
        if not run.folder.exists():
            create_run(plan.folder, run.name, rung.recipe, {"data": {"train": {"count": 270}}}, {})
        run.journal.keep_until(0)
        far = abs(math.log10(rate / BEST))
        hits = [round(1000 * (epoch / EPOCHS) * max(0.1, 0.95 - 0.2 * far)) for epoch in range(1, EPOCHS + 1)]
        run.update_info(status="diverged" if rate > 0.9 else "finished")
        try:
            for epoch, right in enumerate(hits if rate <= 0.9 else [], start=1):
                row = {"epoch": epoch, "step": epoch, "val/accuracy": right / 1000, "seconds": 1.0}
                run.journal.append(row)
                progress.epoch({**row, "lr": rate, "train/loss": 1.0})
                left[-1] -= 1
                if left[-1] == 0:
                    left.pop()
                    raise Killed
        except Weak:
            run.update_info(status="interrupted")
        run.update_info(val={"accuracy": to_json(Rate(hits[-1], 1000))})
        return Trained(rung, seed, run, reused=False)

    monkeypatch.setattr(engines, "train_one", train_one)
    return left


@pytest.fixture
def six(tiny_recipe: Recipe) -> Recipe:
    return tiny_recipe.replace(epochs=float(EPOCHS))


def test_it_finds_gives_up_and_says_of_how_many_the_best_is_the_best(
    looked_for: Callable[..., Search], made_up: list[int], six: Recipe
) -> None:
    found = looked_for(LR, trials=20, recipe=six)
    assert [trial.number for trial in found.trials] == list(range(20))
    assert found.trials[0].settings == ("optimizer.lr=0.05",)  # what the recipe has comes first
    assert found.found is not None
    assert abs(math.log10(rate_of(found.found) / BEST)) < 0.2  # from nine powers of ten
    graded = {trial.number: trial.accuracy.hits for trial in found.trials if trial.accuracy}
    assert found.accuracy == Rate(max(graded.values()), 1000, best_of=sum(trial.looks for trial in found.trials))
    assert graded[found.found.number] == max(graded.values())
    weak = [trial for trial in found.trials if trial.state == "given up"]
    assert weak
    for trial in weak:
        assert EPOCHS / 3 <= trial.looks < EPOCHS  # a third is left alone
        assert abs(math.log10(rate_of(trial) / BEST)) > 0.2
    best = find_recipe(str(found.folder / "best.json"))
    assert (best, best.name) == (found.best, "tiny_tuned")
    assert {each.field for each in changes(six, best)} == {"optimizer.lr"}
    assert json.loads((found.folder / "results.json").read_text())["accuracy"]["n"] == 1000


def rate_of(trial: Trial) -> float:
    return float(trial.settings[0].partition("=")[2])


_WHOLE: list[Search] = []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_killed_anywhere_it_ends_as_if_it_had_not_been(
    looked_for: Callable[..., Search],
    made_up: list[int],
    six: Recipe,
    tmp_path_factory: pytest.TempPathFactory,
    kills: list[int],
) -> None:
    space = (LR, "label_smoothing=0.0:0.2")
    if not _WHOLE:
        _WHOLE.append(looked_for(*space, trials=14, recipe=six, folder=tmp_path_factory.mktemp("whole")))
    made_up[:] = [10**9, *kills]
    folder, found = tmp_path_factory.mktemp("killed"), None
    while found is None:
        with suppress(Killed):
            found = looked_for(*space, trials=14, recipe=six, folder=folder)
    assert found.trials == _WHOLE[0].trials
    assert found.best == _WHOLE[0].best


def test_what_diverges_is_the_worst_and_does_not_end_the_search(
    looked_for: Callable[..., Search], made_up: list[int], six: Recipe
) -> None:
    found = looked_for("optimizer.lr=0.05,1", trials=3, recipe=six)
    states = {trial.settings: trial.state for trial in found.trials}
    assert states == {("optimizer.lr=0.05",): "finished", ("optimizer.lr=1",): "diverged"}


def test_where_epochs_are_searched_nothing_is_given_up(
    looked_for: Callable[..., Search], made_up: list[int], six: Recipe
) -> None:
    found = looked_for(LR, "epochs=6:7", trials=12, recipe=six)
    assert {trial.state for trial in found.trials} == {"finished"}


def test_the_comparison_is_with_seeds_that_had_no_part_in_the_choice(
    looked_for: Callable[..., Search], tiny_recipe: Recipe
) -> None:
    slow = with_settings(tiny_recipe, ["optimizer.lr=0.0001"])
    found = looked_for("optimizer.lr=0.0001,0.05", trials=4, confirm=2, recipe=slow)
    assert found.best is not None
    assert [change.field for change in changes(slow, found.best)] == ["optimizer.lr"]
    assert found.comparison is not None
    assert (found.comparison.kind, [row.seeds for row in found.comparison.rows]) == ("recipes", [(0, 1), (0, 1)])
    assert [row.name for row in found.comparison.rows] == ["tiny", "tiny_tuned"]
    assert {open_run(found.folder / trial.run).info["seed"] for trial in found.trials} == {SEARCH_SEED}
    copied = [open_run(found.folder / trial.run).info.get("copied_from") for trial in found.trials]
    assert sum(each is None for each in copied) == 2  # the same values are not trained twice


def test_if_nothing_is_better_nothing_is_compared(
    looked_for: Callable[..., Search], made_up: list[int], six: Recipe
) -> None:
    found = looked_for("optimizer.lr=1e-9,0.05", trials=4, confirm=2, recipe=six)
    assert (found.found and found.found.number, found.comparison) == (0, None)


def test_values_that_cannot_be_trained_together_cost_one_trial(
    looked_for: Callable[..., Search], tiny_recipe: Recipe
) -> None:
    plain = with_settings(tiny_recipe, ["augment.crop_pixels=0", "epochs=1"])
    found = looked_for("augment.crop_pixels=0,4", "augment.resized_crop=0,0.5", trials=10, recipe=plain)
    states = {trial.settings: trial.state for trial in found.trials}
    assert states.pop(("augment.crop_pixels=4", "augment.resized_crop=0.5")) == "refused"
    assert set(states.values()) == {"finished"}


def test_time_that_is_short_begins_nothing_that_would_not_end(
    looked_for: Callable[..., Search], made_up: list[int], six: Recipe, tmp_path: Path
) -> None:
    # A trial says of itself that it took 6 s; with the comparison of 2 x 3 runs, 7 of them are ahead.
    assert len(looked_for(LR, trials=5, seconds=41.0, recipe=six).trials) == 5
    found = looked_for(LR, trials=9, seconds=41.0, confirm=3, recipe=six.replace(name="six"), folder=tmp_path / "else")
    assert len(found.trials) == 1


def test_more_trials_go_on_and_another_space_is_another_search(
    looked_for: Callable[..., Search], made_up: list[int]
) -> None:
    first = looked_for(LR, trials=2)
    assert looked_for(LR, trials=3).trials[:2] == first.trials
    with pytest.raises(RunError, match=r"holds a search of optimizer.lr=log:1e-9:0.1. Choose another --name"):
        looked_for("optimizer.lr=0.01,0.1", trials=3)
    (first.folder / "study.db").write_bytes(b"SQLite, but broken" * 500)
    with pytest.raises(RunError, match="is not a search's memory that can be gone on with"):
        looked_for(LR, trials=4)


def test_without_optuna_the_install_line_is_said(
    looked_for: Callable[..., Search], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"pip install 'snellen\[tune\]'"):
        looked_for(LR)
    assert not (tmp_path / "tune-x").exists()


# Spaces


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["optimizer.lr"], "FIELD=LOW:HIGH with LOW below HIGH"),
        (["optimizer.lr=0.1"], "FIELD=A,B,C"),
        (["optimizer.lr=1:0.1"], "with LOW below HIGH"),
        (["optimizer.lr=log:0:1"], "LOW above 0"),
        (["optimizer.lr=low:high"], "FIELD=LOW:HIGH"),
        (["optimizer.lr=0.1:0.2:0.3"], "FIELD=A,B,C"),
        (["optimizer.lr=0.1:0.2", "optimizer.lr=1,2"], "has optimizer.lr twice"),
        (["optimizer.lrr=0.1:0.2"], "Did you mean 'optimizer.lr'"),
        (["optimizer.momentum=0.5:1.5"], r"optimizer.momentum=1.5 is not possible"),
        (["augment.flip=none,upside"], "augment.flip"),
        (["batch_size=16.5:32"], "batch_size must be a whole number"),
        ([], "FIELD=LOW:HIGH"),
    ],
)
def test_what_is_no_space_is_said(tiny_recipe: Recipe, texts: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_space(optuna, tiny_recipe, texts)


@given(value=st.floats(1e-12, 1e12), width=st.floats(1e-6, 1e6))
def test_what_is_proposed_lies_in_its_range_and_reads_as_it_was_meant(value: float, width: float) -> None:
    ranges = {"optimizer.lr": optuna.distributions.FloatDistribution(value, value + width)}
    (text,) = _settings(ranges, {"optimizer.lr": value})
    read = json.loads(text.partition("=")[2])
    assert value <= read <= value + width
    assert read == pytest.approx(value, rel=1e-3) or read == value


def test_whole_numbers_stay_whole_and_texts_texts(tiny_recipe: Recipe) -> None:
    texts = ["epochs=5:20", "augment.flip=none,random", "widths=[4,4,4,4],[8,8,8,8]", "optimizer.nesterov=true,false"]
    ranges = parse_space(optuna, tiny_recipe, texts)
    assert isinstance(ranges["epochs"], optuna.distributions.IntDistribution)
    proposed = {"epochs": 7, "augment.flip": "none", "widths": "[8,8,8,8]", "optimizer.nesterov": True}
    recipe = with_settings(tiny_recipe, _settings(ranges, proposed))
    assert (recipe.epochs, recipe.augment.flip, recipe.widths) == (7, "none", (8,) * 4)


@pytest.mark.parametrize("options", [{"trials": 0}, {"confirm": -1}])
def test_impossible_numbers_are_refused(looked_for: Callable[..., Search], options: dict[str, int]) -> None:
    with pytest.raises(InvalidSetting, match="at least 1, and at least 0"):
        looked_for(LR, **options)
