"""`snellen train`: what was asked is what is trained, and what cannot be is refused before it begins."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from snellen.data import catalog
from snellen.data.dataset import Dataset
from snellen.recipes.catalog import RECIPES
from snellen.recipes.json_form import from_json
from snellen.runs.run import Run, open_run
from snellen.serialize import to_json
from snellen.train import fit

Snellen = Callable[..., Any]
QUICK = ("--set", "epochs=0.5", "widths=[4,4,4]", "batch_size=64", "--device", "cpu", "--precision", "fp32")


@pytest.fixture(autouse=True)
def _empty_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("curves_png", "draw_grades"):
        monkeypatch.setattr(fit, name, lambda *_, **__: None)


def test_it_trains_grades_and_says_what_comes_next(snellen: Snellen, tmp_path: Path) -> None:
    answer = snellen("train", "eyechart", *QUICK, "--seed", "3")
    assert answer.code == 0
    run = open_run(tmp_path / "runs" / "eyechart-glance-s3")
    assert run.info["status"] == "finished"
    assert run.recipe == RECIPES["glance"].replace(epochs=0.5, widths=(4, 4, 4), batch_size=64)
    accuracy = run.info["val"]["accuracy"]
    assert f"n={accuracy['n']}" in answer.out
    assert f"{100 * accuracy['value']:.1f} %" in answer.out
    assert "snellen evaluate runs/eyechart-glance-s3 --split test" in answer.out
    assert "270 training images, 30 val images" in answer.err
    assert "Traceback" not in answer.err


def test_a_test_set_that_is_not_there_is_no_next_step(
    snellen: Snellen, monkeypatch: pytest.MonkeyPatch, tiny_dataset: Dataset
) -> None:
    monkeypatch.setitem(catalog._LOADERS, "eyechart", lambda *_: replace(tiny_dataset, test=None))
    for more in ((), ("--final",)):
        answer = snellen("train", "eyechart", *QUICK, *more)
        assert (answer.code, "next " in answer.out, "--split test" in answer.out) == (0, True, False)


def test_with_json_stdout_is_the_result_and_stderr_is_silent(snellen: Snellen) -> None:
    answer = snellen("train", "eyechart", *QUICK, "--name", "mine", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["run"] == "runs/mine"
    assert answer.json["status"] == "finished"
    assert answer.json["val"]["accuracy"]["n"] == 30


def test_a_final_training_says_that_nothing_was_graded(snellen: Snellen, tmp_path: Path) -> None:
    answer = snellen("train", "eyechart", *QUICK, "--final")
    assert answer.code == 0
    assert "no val split was kept" in answer.out
    assert open_run(tmp_path / "runs" / "eyechart-glance-s0-final").info["data"]["train"]["count"] == 300


def test_a_recipe_file_is_taken_like_a_name(snellen: Snellen, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(to_json(RECIPES["mlp"].replace(name="mine", epochs=3))))
    answer = snellen("train", "eyechart", "--recipe", "mine.json", "--set", "batch_size=7", "--dry-run")
    assert from_json(answer.json) == RECIPES["mlp"].replace(
        name="mine", epochs=3, batch_size=7, expect=None
    )  # what was measured was another recipe
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("train",), 2, "Which data? snellen train cifar10, snellen train ./my-pictures"),
        (("train", "eyechrt"), 2, "Unknown data set 'eyechrt'. Did you mean 'eyechart'?"),
        (("train", "eyechart", "--recipe", "resnet-18"), 2, "Unknown recipe 'resnet-18'. Did you mean 'resnet18'?"),
        (("train", "eyechart", "--recipe", "gone.json"), 2, "Cannot read the recipe gone.json"),
        (("train", "eyechart", "--set", "epoch=3"), 2, "No recipe field 'epoch'. Did you mean 'epochs'?"),
        (("train", "eyechart", "--set", "epochs"), 2, "--set takes key=value, got 'epochs'"),
        (("train", "eyechart", "--budget", "soon"), 2, "--budget 'soon' is not a duration"),
        (("train", "eyechart", "--budget", "5m", "--dry-run"), 2, "--budget has no effect with --dry-run"),
        (("train", "eyechart", "--device", "tpu"), 2, "--device tpu is not available here"),
        (("train", "eyechart", "--seed", "-1"), 2, "--seed -1 is not possible"),
        (("train", "cifar10"), 1, "cifar-10"),
        (("train", "cifar10", "--data", "nowhere"), 1, "nowhere"),
        (("train", "--resume", "runs/x", "--seed", "3"), 2, "besides it only --data, --code, --track and --json apply"),
        (
            ("train", "--continue", "runs/x", "--seed", "3"),
            2,
            "besides it only --set, --name, --data, --code, --track and",
        ),
        (("train", "--continue", "runs/x", "--set", "epochs=+1"), 1, "There is no run at runs/x"),
        (("train", "eyechart", "--name", "../escape"), 1, "A run cannot be called '../escape'"),
        (("train", "."), 1, "has no class folders"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_trained_is_one_sentence_and_leaves_nothing(
    snellen: Snellen, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    answer = snellen(*arguments)
    lines = [line for line in answer.err.splitlines() if line.startswith("snellen: ")]
    assert (answer.code, answer.out, len(lines)) == (code, "", 1)
    assert words.lower() in lines[0].lower()
    assert not list(tmp_path.rglob("run.json"))


def test_a_loss_that_is_no_number_is_exit_code_1_and_one_sentence(snellen: Snellen, tmp_path: Path) -> None:
    answer = snellen("train", "eyechart", *QUICK[:4], "optimizer.head_lr=1e30", *QUICK[4:], "--name", "wild")
    assert answer.code == 1
    assert answer.err.splitlines()[-1].startswith("snellen: The loss became")
    assert "Traceback" not in answer.err
    assert open_run(tmp_path / "runs" / "wild").info["status"] == "diverged"
    assert "is not finished (status diverged)" in snellen("evaluate", "runs/wild").sentence
    assert "--resume" not in snellen("predict", "runs/wild", "x.png").sentence


def test_a_run_that_was_stopped_answers_nothing_and_says_how_to_go_on(snellen: Snellen, own_run: Run) -> None:
    own_run.update_info(status="interrupted", best_epoch=1)
    Image.new("RGB", (40, 40)).save("grey.png")
    for asked in (("evaluate", own_run.folder), ("predict", own_run.folder, "grey.png"), ("explain", own_run.folder)):
        refused = snellen(*asked)
        assert refused.code != 0
        assert "is not finished (status interrupted)" in refused.sentence
        assert "--resume" in refused.sentence
    assert "is not finished" in snellen("evaluate", own_run.folder, "--split", "test").sentence


def test_an_interrupted_run_goes_on_and_a_finished_one_does_not(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("train", "--resume", own_run.folder)
    assert (answer.code, "is finished" in answer.sentence) == (1, True)
    own_run.update_info(status="interrupted")
    answer = snellen("train", "--resume", own_run.folder, "--json")
    assert (answer.code, answer.json["status"]) == (0, "finished")


def test_a_finished_run_goes_on_as_a_new_one(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("train", "--continue", own_run.folder, "--set", "epochs=+1", "--json")
    assert (answer.code, answer.json["continues"]["run"]) == (0, own_run.name)
    assert [row["epoch"] for row in open_run(Path(answer.json["run"])).journal.rows()] == [1, 2, 3]
    again = snellen("train", "--continue", own_run.folder, "--set", "epochs=+1", "--name", "on")
    assert "The schedule is now that of 3 epochs, of which 2 are done: the rate was at" in again.err
    assert open_run(own_run.folder.parent / "on").recipe.epochs == 3


def test_a_runs_folder_that_is_a_file_is_one_sentence(snellen: Snellen, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    answer = snellen("train", "eyechart", *QUICK, "--runs", "taken", "--json")
    assert (answer.code, answer.err) == (1, "")
    assert "is a file, not a folder for runs" in answer.json["error"]


def test_a_folder_that_cannot_be_written_is_refused_before_the_data_are_read(
    snellen: Snellen, full_disk: Path, own_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_run.update_info(status="interrupted")
    (full_disk / "mine").mkdir()
    for name in ("run.json", "recipe.json", "environment.json"):
        shutil.copy(own_run.folder / name, full_disk / "mine")
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)

    def read(*_: object) -> None:
        raise AssertionError("the data were read")

    monkeypatch.setitem(catalog._LOADERS, "eyechart", read)
    for command in (("eyechart", *QUICK, "--runs", full_disk / "runs"), ("--resume", full_disk / "mine")):
        began = time.monotonic()
        answer = snellen("train", *command)
        assert time.monotonic() - began < 2
        assert answer.code == 1
        assert answer.sentence.startswith("snellen: Cannot write")
        assert "the file system is read-only" in answer.sentence


def test_a_disk_that_fills_up_is_one_sentence_and_how_to_go_on(snellen: Snellen, full_disk: Path) -> None:
    answer = snellen("train", "eyechart", *QUICK, "--runs", full_disk / "runs", "--name", "mine")
    assert answer.code == 1
    assert "Traceback" not in answer.err
    lines = answer.err.splitlines()
    assert lines[-1].startswith("snellen: Cannot write")
    assert "the disk is full" in lines[-1]
    assert lines[-2] == f"When it can be written again: snellen train --resume {full_disk / 'runs' / 'mine'}"
    assert open_run(full_disk / "runs" / "mine").info["status"] == "training"
    assert not list(full_disk.rglob("*.tmp"))


@pytest.mark.processes
def test_of_two_processes_in_one_run_folder_the_second_is_refused(
    snellen: Snellen, own_run: Run, tmp_path: Path
) -> None:
    own_run.update_info(status="interrupted")
    (own_run.folder / "resume" / "state.safetensors").unlink()
    (own_run.folder / "recipe.json").write_text(json.dumps(to_json(own_run.recipe.replace(epochs=10_000))))
    script = Path(__file__).parents[1] / "small_eyechart.py"
    first = subprocess.Popen([sys.executable, str(script), "train", "--resume", str(own_run.folder), "--json"])
    try:
        deadline = time.monotonic() + 120
        while Run(own_run.folder).info["status"] != "training":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answer = snellen("train", "--resume", own_run.folder)
        assert (answer.code, first.poll()) == (1, None)
        assert "is in use by another process. Wait for it" in answer.sentence
    finally:
        first.kill()
        first.wait()


def test_the_command_says_what_the_folds_gave(snellen: Snellen, tmp_path: Path) -> None:
    small = ("--recipe", "glance", "--set", "epochs=0.2", "widths=[4, 8, 8]", "--folds", 2, "--name", "cv")
    done = snellen("train", "eyechart", *small, "--device", "cpu", "--precision", "fp32")
    assert done.code == 0, done.err
    assert "over 2 folds, which have" in " ".join(done.out.split())
    assert (tmp_path / "runs/cv-final/weights.safetensors").exists()
    refused = snellen("train", "eyechart", *small, "--final")
    assert refused.code != 0
    assert "--folds ends with a final training" in " ".join(refused.err.split())
