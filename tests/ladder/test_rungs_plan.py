"""The plan: written before the first run, the same in every sitting."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from snellen.errors import InvalidSetting, RunError, UsageError
from snellen.ladder.run import begin, known_plan
from snellen.ladder.rungs import (
    Plan,
    preset,
    require_one_test_view,
    require_seeds,
    with_shared_settings,
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(
        "lesson", preset("lesson"), folder=tmp_path / "ladder-x", data="made", fingerprints=("t", "v"), device="cpu",
        precision="fp32", seed_counts=(3,),
    )  # fmt: skip


def test_it_says_what_each_rung_changes(plan: Plan) -> None:
    begin(plan)
    content = json.loads((plan.folder / "ladder.json").read_text())
    assert [rung["compared_with"] for rung in content["rungs"]] == [None, "baseline", "+ crop and flip"]
    assert content["rungs"][1]["changes"][0] == {"field": "augment.crop_pixels", "before": 0, "after": 4}
    assert content["seed_counts"] == [3]


def test_beginning_again_changes_nothing(plan: Plan) -> None:
    assert begin(begin(plan)) == plan


def test_more_seeds_go_on_and_are_remembered(plan: Plan) -> None:
    begin(plan)
    more = begin(replace(plan, seed_counts=(5,)))
    assert (more.seeds, more.seed_counts) == ((0, 1, 2, 3, 4), (3, 5))
    assert begin(replace(plan, seed_counts=(5,))).seed_counts == (3, 5)


def test_a_ladder_begun_before_recipes_had_a_field_goes_on(plan: Plan) -> None:
    begin(plan)
    path = plan.folder / "ladder.json"
    content = json.loads(path.read_text())
    for rung in content["rungs"]:
        del rung["recipe"]["tta_fraction"]
    path.write_text(json.dumps(content))
    assert begin(plan) == plan


def test_other_recipes_under_the_same_name_are_refused_with_the_first_difference(plan: Plan) -> None:
    begin(plan)
    shorter = replace(plan, rungs=with_shared_settings(plan.rungs, ["epochs=30"]))
    with pytest.raises(
        RunError, match=r"other rungs \(baseline: epochs 100.0, asked for 30.0\).*choose another --name"
    ):
        begin(shorter)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fingerprints": ("other", "v")}, "other images"),
        ({"device": "cuda"}, "another device"),
        ({"precision": "bf16"}, "another precision"),
        ({"rungs": preset("regularizers")}, "other rungs"),
    ],
)
def test_what_would_confound_the_rungs_is_refused(plan: Plan, change: dict[str, object], words: str) -> None:
    begin(plan)
    with pytest.raises(RunError, match=words):
        begin(replace(plan, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["", "[]", '{"format": 99}', '{"format": 1, "device": "cpu"}'])
def test_a_broken_plan_is_one_sentence(plan: Plan, content: str) -> None:
    plan.folder.mkdir()
    (plan.folder / "ladder.json").write_text(content)
    with pytest.raises(RunError, match="is not the plan of a ladder"):
        known_plan(plan.folder)


def test_a_plan_with_recipes_of_another_version_is_one_true_sentence(plan: Plan) -> None:
    begin(plan)
    path = plan.folder / "ladder.json"
    path.write_text(path.read_text().replace('"data_pruning"', '"prune"'))
    with pytest.raises(RunError, match="another version wrote it, or it is damaged. Choose another --name"):
        begin(plan)


def test_no_plan_is_none(plan: Plan) -> None:
    assert known_plan(plan.folder) is None


@pytest.mark.parametrize("seeds", [0, -1, 1001])
def test_an_impossible_number_of_seeds_is_refused(seeds: int) -> None:
    with pytest.raises(InvalidSetting, match=f"--seeds {seeds} is not possible"):
        require_seeds(seeds)
    require_seeds(min(max(seeds, 1), 1000))


def test_rungs_graded_in_different_ways_cannot_share_a_look() -> None:
    rungs = preset("lesson")
    odd = (*rungs[:2], replace(rungs[2], recipe=rungs[2].recipe.replace(tta="shift")))
    require_one_test_view(rungs)
    with pytest.raises(UsageError, match=r"different test-time views \(flip, shift\)"):
        require_one_test_view(odd)
    some = replace(rungs[2], recipe=rungs[2].recipe.replace(tta_fraction=0.25))
    with pytest.raises(UsageError, match=r"different test-time views \(flip, flip for 25 % of the images\)"):
        require_one_test_view((*rungs[:2], some))
