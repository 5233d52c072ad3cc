"""The table: arithmetic by hand, 80 columns, and nothing said that the runs do not hold."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from snellen.ladder.results import LadderResults, TestResults
from snellen.ladder.rungs import Plan, grid, preset
from snellen.ladder.table import markdown, print_table, write_results
from snellen.ladder.verdict import judge
from snellen.metrics.intervals import Rate, mean_over_seeds, paired_difference_over_seeds
from snellen.metrics.learning_curves import Curve
from snellen.recipes.cifar10 import SMALL_CNN

Made = Callable[..., Any]


@pytest.fixture
def results(tmp_path: Path, made: Made) -> LadderResults:
    rungs = preset("lesson")
    plan = Plan(
        "lesson", rungs, folder=tmp_path / "ladder-x", data="made", fingerprints=("t", "v"), device="cpu",
        precision="fp32", seed_counts=(3,),
    )  # fmt: skip
    rows = [made("a", 70.0, 71.0, 72.0), made("b", 75.0, 77.0, 76.0), made("c", 75.0, 76.4, 77.2)]
    return LadderResults(
        plan, judge(rungs, rows), rungs[2].name, (), 3000, tuple(Curve(rung.name, ([],)) for rung in rungs)
    )


def printed(results: LadderResults, width: int = 80) -> str:
    out = io.StringIO()
    print_table(Console(file=out, width=width, highlight=False), results)
    return out.getvalue()


def row(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}  ")]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_each_rung_is_one_row_with_mean_sd_difference_interval_and_verdict(results: LadderResults) -> None:
    text = printed(results)
    assert row(text, "baseline") == ["baseline", "71.00 ± 1.00"]
    assert row(text, "+ crop and flip") == [
        "+ crop and flip", "76.00 ± 1.00", "+5.00 (+2.52 to +7.48)", "kept",
    ]  # fmt: skip
    assert row(text, "+ cosine, momentum, decay")[3] == "undecided"


def test_it_fits_into_80_columns(results: LadderResults) -> None:
    assert max(map(len, printed(results).splitlines())) <= 80


def test_it_says_what_was_changed_and_what_would_decide(results: LadderResults) -> None:
    text = " ".join(printed(results).split())
    assert "+ crop and flip: augment.crop_pixels 0 → 4; augment.flip none → random" in text
    assert "+ cosine, momentum, decay is undecided: the interval holds 0; about" in text
    assert "after the last epoch: 70.00, 75.00, 75.20 %" in text
    assert "seed 0 same00000000, seed 1 same10000000" in text


def test_shared_settings_stand_in_the_headline(results: LadderResults) -> None:
    changed = replace(results, plan=replace(results.plan, settings=("epochs=30", "widths=[16,16,32,32]")))
    headline = "lesson on made, 3 seeds, changed on every rung: epochs=30 widths=[16,16,32,32]"
    assert headline in " ".join(printed(changed).split())
    assert markdown(changed).startswith(f"# {headline}\n")


def test_one_rung_is_a_mean_with_its_interval_and_no_run_is_the_result(results: LadderResults) -> None:
    alone = replace(results, rungs=results.rungs[:1], top="baseline")
    text = printed(alone)
    assert row(text, "baseline") == ["baseline", "71.00 ± 1.00"]
    words = " ".join(text.split())
    assert "baseline: 71.00 ± 2.48 % (sd 1.00, n=3 seeds): the mean and its 95 % interval over seeds. " in words
    assert "Seed by seed 70.00, 71.00, 72.00 %." in words
    assert "verdict" not in words
    assert "All rungs begin" not in words


def test_seeds_added_after_a_look_are_confessed(results: LadderResults) -> None:
    assert "3, then 5 seeds" not in printed(results)
    later = replace(results, plan=replace(results.plan, seed_counts=(5, 3)))
    assert "Tables were made with 5, then 3 seeds" in printed(later)


def test_one_seed_names_the_other_kind_of_interval(tmp_path: Path, made: Made, results: LadderResults) -> None:
    rungs = preset("lesson")
    single = judge(rungs, [made("a", 70.0), made("b", 75.0), made("c", 76.0)])
    text = printed(replace(results, rungs=single, plan=replace(results.plan, seed_counts=(1,))))
    assert "95 % over images" in text
    assert "nothing is decided" in " ".join(text.split())
    assert "kept" not in text
    assert "±" not in text


def test_leave_one_out_explains_what_kept_means(tmp_path: Path, made: Made, results: LadderResults) -> None:
    rungs = preset("leave-one-out")[:2]
    judged = judge(rungs, [made("a", 80.0, 80.5, 81.0), made("b", 75.0, 75.6, 76.1)])
    text = printed(replace(results, rungs=judged, plan=replace(results.plan, rungs=rungs)))
    assert "kept means that what is left out earns its place" in " ".join(text.split())


def test_the_best_of_a_grid_is_told_to_be_chosen_and_a_ladder_has_none(made: Made, results: LadderResults) -> None:
    def said(*rows: Any) -> str:
        looked = [
            tuple(replace(one, accuracy=one.accuracy and replace(one.accuracy, best_of=7)) for one in row)
            for row in rows
        ]
        plan = replace(results.plan, rungs=rungs, seed_counts=(len(rows[0]),))
        found = replace(results, rungs=judge(rungs, looked), plan=plan)
        assert (
            " ".join(printed(found).split()).count("which flatters it; with")
            == markdown(found).count("flatters it; with")
            == 1
        )
        return " ".join(printed(found).split())

    assert "which flatters it" not in printed(results)
    rungs = grid(SMALL_CNN, ["epochs=5,10,20"]).rungs
    best = Rate(765, 1000, best_of=14)  # the diverged run could not be chosen
    assert f"epochs=10 is the best of 2 on val, which flatters it; with the choice counted in: {best}." in said(
        made("a", 70.0), made("b", 76.5), made("c", None)
    )
    wide = mean_over_seeds([0.75, 0.76], level=1 - 0.05 / 3)
    assert f"epochs=20 is the best of 3 on val, which flatters it; with the choice counted in: {wide}." in said(
        made("a", 70.0, 76.2), made("b", 77.0, 71.0), made("c", 75.0, 76.0)
    )


def test_a_diverged_rung_shows_no_number(made: Made, results: LadderResults) -> None:
    rungs = preset("lesson")
    judged = judge(rungs, [made("a", 70.0, 71.0), made("b", 75.0, None), made("c", 76.0, 77.0)])
    text = printed(replace(results, rungs=judged))
    assert row(text, "+ crop and flip") == ["+ crop and flip", "diverged", "undecided"]


def test_the_test_column_says_which_look_it_is(results: LadderResults) -> None:
    scores = [[0.70, 0.70, 0.71], [0.75, 0.76, 0.77], [0.76, 0.76, 0.78]]
    test = TestResults(
        look=1,
        repeated=False,
        ledger=Path("runs/ledger.jsonl"),
        images=10_000,
        accuracy=tuple(mean_over_seeds(row) for row in scores),
        with_tta=tuple(mean_over_seeds(row) for row in scores),
        tta="flip",
        differences=(
            None,
            paired_difference_over_seeds(scores[0], scores[1]),
            paired_difference_over_seeds(scores[1], scores[2]),
        ),
    )
    text = printed(replace(results, test=test))
    assert "Test, 10,000 images" in text
    assert "First look at this test set" in text
    assert "70.33 ± 0.58" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "## Test" in markdown(replace(results, test=test))
    assert "Look 2 at this test set" in printed(replace(results, test=replace(test, look=2)))


def test_the_files_hold_the_same_numbers(results: LadderResults) -> None:
    write_results(results)
    stored = json.loads((results.plan.folder / "results.json").read_text())
    assert [rung["verdict"] and rung["verdict"]["word"] for rung in stored["rungs"]] == [None, "kept", "undecided"]
    assert stored["rungs"][1]["verdict"]["difference"]["mean"] == pytest.approx(0.05)
    page = (results.plan.folder / "ladder.md").read_text()
    assert "| + crop and flip | augment.crop_pixels 0 → 4; augment.flip none → random | 76.00 ± 1.00 |" in page
    assert "| b-s1 | 77.0 % (74.3-79.5, n=1000) | 76.00 % | 2 | same10000000 | 1m00s |" in page
    curves = json.loads((results.plan.folder / "curves.json").read_text())
    assert [curve["name"] for curve in curves["curves"]] == [rung.name for rung in results.plan.rungs]
