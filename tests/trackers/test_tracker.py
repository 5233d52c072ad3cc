"""What a tracker is told: the run folder's own words, flat, with nothing of this machine's folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from snellen.errors import RunError
from snellen.recipes.json_form import with_settings
from snellen.runs.run import Run
from snellen.trackers.tracker import facts_of, outcome_of


def test_a_recipe_is_told_under_the_names_that_set_takes(finished_run: Run) -> None:
    recipe = facts_of(finished_run).recipe
    assert (recipe["optimizer.lr"], recipe["batch_size"], recipe["widths"]) == (0.05, 32, "[4, 4, 8, 8]")
    plain = {key: value for key, value in recipe.items() if isinstance(value, int | float) and ".kind" not in key}
    settings = [f"{key}={json.dumps(value)}" for key, value in plain.items()]
    assert with_settings(finished_run.recipe, settings) == finished_run.recipe


def test_conditions_say_data_seed_and_versions(finished_run: Run) -> None:
    conditions = facts_of(finished_run).conditions
    assert (conditions["data"], conditions["seed"], conditions["training_images"]) == ("eyechart", 0, 270)
    assert conditions["packages.torch"] == finished_run.read("environment.json")["packages"]["torch"]


def test_no_folder_of_this_machine_is_told(own_run: Run) -> None:
    environment = own_run.read("environment.json")
    own_run.write("environment.json", environment | {"command": "snellen train /mnt/patients/eyes --seed 3"})
    assert facts_of(own_run).conditions["command"] == "snellen train eyes --seed 3"


def test_the_id_stays_when_the_run_goes_on_and_differs_between_runs(own_run: Run, tmp_path: Path) -> None:
    before = facts_of(own_run).id
    own_run.update_info(status="interrupted", best_epoch=1)
    assert facts_of(own_run).id == before
    shutil.copytree(own_run.folder, tmp_path / "elsewhere" / own_run.name)
    assert facts_of(Run(tmp_path / "elsewhere" / own_run.name)).id == before
    shutil.copytree(own_run.folder, tmp_path / "other")
    other = Run(tmp_path / "other")
    assert facts_of(other).id != before


def test_an_outcome_has_the_accuracy_with_its_interval_and_its_n(finished_run: Run) -> None:
    outcome, accuracy = outcome_of(finished_run), finished_run.info["val"]["accuracy"]
    assert outcome.status == "finished"
    assert outcome.numbers["result/val_accuracy"] == accuracy["value"]
    assert outcome.numbers["result/val_accuracy_low"] < accuracy["value"] < outcome.numbers["result/val_accuracy_high"]
    assert outcome.numbers["result/val_images"] == 30
    assert {path.name for path in outcome.files} == {
        "recipe.json", "metrics.jsonl", "scorecard_val.json", "curves.png", "confusion.png",
    }  # fmt: skip


def test_a_run_without_a_grade_has_an_outcome_too(own_run: Run) -> None:
    info = own_run.info
    del info["val"], info["best_epoch"]
    own_run.write("run.json", info | {"status": "interrupted"})
    (own_run.folder / "curves.png").unlink()
    outcome = outcome_of(own_run)
    assert (outcome.status, set(outcome.numbers)) == ("interrupted", {"result/seconds"})
    assert "curves.png" not in {path.name for path in outcome.files}


@pytest.mark.parametrize("started", [None, 3, "yesterday"])
def test_a_folder_that_does_not_say_when_it_began_is_one_sentence(own_run: Run, started: object) -> None:
    own_run.write("environment.json", {"started": started})
    with pytest.raises(RunError, match=r"environment.json does not say when the run was started"):
        facts_of(own_run)
