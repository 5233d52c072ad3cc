"""A folder of one's own pictures from the first command to a grade on record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mixed_pictures import KINDS, write_folder
from snellen.data.eyechart import make_eyechart
from snellen.predict.predictions import Predictions

Snellen = Callable[..., Any]
QUICK = ("--set", "epochs=2", "widths=[24,24,24]", "--device", "cpu")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """330 letters in all formats, and what else lies about in such folders."""
    root = tmp_path_factory.mktemp("own") / "my letters"
    write_folder(make_eyechart(0, train=330, test=0).train, root)
    (root / "K" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "K" / "[red]notes.txt").write_text("mine")
    (root / "C" / ".DS_Store").write_bytes(b"\0")
    return root


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one training of this file is kept for all that start from it."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def trained(snellen: Snellen, letters: Path, kept: Path, tmp_path: Path) -> str:
    """What training printed; a run of this test's own is runs/first."""
    told = kept / "told"
    if not told.exists():
        answer = snellen(
            "train", letters, "--size", "32", "--fit", "pad", "--test-fraction", "0.15", "--name", "first", *QUICK,
            "--precision", "fp32",
        )  # fmt: skip
        assert answer.code == 0, answer.err
        for name in ("runs", "cache"):
            shutil.copytree(tmp_path / name, kept / name)
        told.write_text(answer.err, encoding="utf-8")
    else:
        for name in ("runs", "cache"):
            shutil.copytree(kept / name, tmp_path / name)
    return told.read_text(encoding="utf-8")


def test_from_a_folder_to_a_grade_on_record(snellen: Snellen, trained: str, letters: Path, tmp_path: Path) -> None:
    assert {path.name.split("-", 1)[1] for path in letters.glob("*/*-*.*")} == set(KINDS)
    for words in (
        "one folder per class", "10: C, D, H, K, N, O, R, S, V, Z", "32x32 px, fit pad", "sealed, set apart by content",
        "1 unreadable: K/broken.jpg", "hidden files (1), notes and tables beside the pictures (1)",
    ):  # fmt: skip
        assert words in trained
    info = json.loads((tmp_path / "runs/first/run.json").read_text())
    assert info["data"]["loading"].items() >= {"side": 32, "fit": "pad", "test_fraction": 0.15}.items()
    assert info["data"]["image_shape"] == [32, 32, 3]

    val = snellen("evaluate", "runs/first", "--json").json
    assert val["plain"]["accuracy"] == info["val"]["accuracy"]
    again = snellen("evaluate", "runs/first", "--tta", "none", "--json").json  # predicts anew, from the cache
    assert again["plain"]["accuracy"] == info["val"]["accuracy"]

    # Every picture is called by its file, below the folder, whatever shows it.
    answers = Predictions.load(tmp_path / "runs/first/predictions_val.npz")
    assert all((letters / name).is_file() for name in answers.names)
    doubted, wrong = val["confidence"]["label_issues"]["first_issues"], val["confidence"]["groups"][2]
    assert {*(row["name"] for row in doubted), *wrong["first_names"]} <= set(answers.names)
    assert [answers.names[list(answers.ids).index(one)] for one in wrong["first_ids"]] == wrong["first_names"]
    traced = snellen("explain", "runs/first", "--image", answers.names[3], "--json").json
    assert (traced["name"], traced["image"]) == (answers.names[3], answers.ids[3])
    assert "such as " + answers.names[0] in snellen("explain", "runs/first", "--image", "nowhere.png").err

    first = snellen("evaluate", "runs/first", "--split", "test", "--json").json
    repeated = snellen("evaluate", "runs/first", "--split", "test", "--json").json
    assert (first["look"], first["repeated"], repeated["repeated"]) == (1, False, True)
    parts = [info["data"][part]["count"] for part in ("train", "val")]
    assert first["runs"][0]["plain"]["accuracy"]["n"] == 330 - sum(parts)
    kinds = [line["kind"] for line in snellen("ledger", "--json").json["lines"]]
    assert kinds == ["intent", "result"]

    verdicts = json.loads((tmp_path / "runs/first/guards.json").read_text())["results"]
    assert {"exact-duplicates", "near-duplicates", "test-duplicates"} <= {verdict["name"] for verdict in verdicts}
    assert snellen("doctor", "runs/first", "--json").code in (0, 1)
    assert snellen("report", "runs/first").code == 0


def test_predict_makes_pictures_square_as_training_did(snellen: Snellen, trained: str, tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (30, 90, 3), dtype=np.uint8)
    Image.fromarray(wide).save(tmp_path / "wide.png")

    def answer(*options: str) -> Any:
        return snellen("predict", "runs/first", "wide.png", *options, "--json").json[0]["top"]

    assert answer() == answer("--fit", "pad")
    assert answer() != answer("--fit", "crop")


def test_a_folder_that_changed_is_not_graded_as_if_it_had_not(snellen: Snellen, letters: Path, tmp_path: Path) -> None:
    shutil.copytree(letters, tmp_path / "mine")
    assert snellen("train", "mine", "--size", "16", "--name", "first", *QUICK).code == 0
    for path in sorted((tmp_path / "mine" / "C").iterdir())[:12]:
        path.unlink()
    for command in (("evaluate", "runs/first", "--tta", "none"), ("report", "runs/first")):
        answer = snellen(*command)
        assert answer.code == 1
        assert "first" in answer.sentence or "fingerprint" in answer.sentence


def test_without_a_test_part_the_way_to_one_is_said(snellen: Snellen, letters: Path) -> None:
    trained = snellen("train", letters, "--size", "16", "--name", "first", *QUICK)
    assert "test      none" in trained.err
    answer = snellen("evaluate", "runs/first", "--split", "test")
    assert "Train again with --test-fraction 0.1, or add a test folder" in answer.sentence


def test_a_picture_in_train_and_test_is_said_before_training(snellen: Snellen, tmp_path: Path) -> None:
    letters = make_eyechart(0, train=60, test=0).train
    for part in ("train", "val", "test"):
        write_folder(letters, tmp_path / "mine" / part, kinds=("rgb.png",))
    trained = snellen("train", "mine", "--size", "16", *QUICK)
    assert trained.code == 0
    assert trained.err.index("test-duplicates error: 60 of 60 test pictures are in train or val") < trained.err.index(
        "epoch"
    )
    assert "60 of 60 val images are also in train" in trained.err


def test_data_info_shows_a_folder_as_it_will_be_trained_on(snellen: Snellen, letters: Path, tmp_path: Path) -> None:
    answer = snellen("data", "info", letters, "--size", "24", "--json")
    assert answer.json["image"]["height"] == 24
    assert any("K/broken.jpg" in line for line in answer.json["found"])
    assert (tmp_path / "my-letters.png").stat().st_size > 1_000
    assert "layout" in snellen("data", "info", letters, "--size", "24").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("eyechart", "--size", "32"), 2, "have no effect on eyechart"),
        (("./nowhere",), 1, "nowhere is not there"),
        (("LETTERS", "--strict"), 1, "1 of 331 files cannot be read: K/broken.jpg"),
        (("LETTERS", "--size", "5"), 2, "--size 5 is not possible: 16 to 512"),
        (("LETTERS", "--data", "x"), 2, "which is a path already"),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(
    snellen: Snellen, letters: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    given = [str(letters) if argument == "LETTERS" else argument for argument in arguments]
    answer = snellen("train", *given)
    assert (answer.code, words in answer.sentence) == (code, True), answer.err


def test_an_interrupted_run_on_a_folder_is_resumed_on_the_same_pictures(
    snellen: Snellen, letters: Path, tmp_path: Path, trained: str
) -> None:
    run = tmp_path / "runs" / "first"
    information = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**information, "status": "interrupted"}))
    answer = snellen("train", "--resume", "runs/first")
    assert answer.code == 0, answer.err
    assert json.loads((run / "run.json").read_text())["data"] == information["data"]


def test_the_doctor_and_a_ladder_read_the_pictures_as_a_training_does(
    snellen: Snellen, letters: Path, tmp_path: Path
) -> None:
    as_trained = ("--size", "16", "--fit", "pad", "--test-fraction", "0.15")
    judged = snellen("doctor", letters, *as_trained, "--json").json
    assert {one["name"] for one in judged["results"] if one["passed"] is False} <= {"near-duplicates"}
    steps = ("--rungs", "mlp", "plain", "--seeds", "1", "--set", "epochs=0.1", "--device", "cpu", "--precision", "fp32")
    assert snellen("ladder", letters, *as_trained, *steps, "--name", "mine", "--json").code == 0
    (first, _) = sorted(path for path in (tmp_path / "runs" / "ladder-mine").iterdir() if path.is_dir())
    about = json.loads((first / "run.json").read_text())["data"]
    assert about["loading"].items() >= {"side": 16, "fit": "pad", "test_fraction": 0.15}.items()
    other = snellen("ladder", letters, "--size", "24", *steps, "--name", "mine", "--json")
    assert (other.code, "holds a ladder with other images" in other.json["error"]) == (1, True), other.json


@pytest.mark.parametrize("verb", ["doctor", "ladder", "lr", "train"])
def test_each_verb_refuses_a_way_of_reading_that_has_no_effect(snellen: Snellen, verb: str) -> None:
    answer = snellen(verb, "eyechart", "--size", "32")
    assert (answer.code, "have no effect on eyechart" in answer.sentence) == (2, True)


def test_a_runs_pictures_are_read_as_they_were(snellen: Snellen, trained: str) -> None:
    answer = snellen("doctor", "runs/first", "--size", "32")
    assert (answer.code, "read as they were for its training" in answer.sentence) == (2, True)


def test_corrections_reach_the_training_the_run_and_what_is_asked_of_it(
    snellen: Snellen, letters: Path, tmp_path: Path
) -> None:
    wrong = next(path for path in sorted((letters / "C").iterdir()) if path.suffix == ".png")
    (tmp_path / "mine.csv").write_text(f"file,new\nC/{wrong.name},K\nC/gone.png,K\n")
    size, mine = ("--size", "16"), ("--corrections", "mine.csv")
    plain = snellen("data", "info", letters, *size, "--json").json["splits"]
    info = snellen("data", "info", letters, *size, *mine, "--json").json
    counts = [sum(parts[part]["per_class"]["K"] for part in ("train", "val")) for parts in (plain, info["splits"])]
    assert counts[1] == counts[0] + 1
    assert "corrected 1 labels changed, 0 pictures left out, by 1 of 2 rows of mine.csv" in info["found"]
    assert snellen("doctor", letters, *size, *mine, "--json").code in (0, 1)
    trained = snellen("train", letters, *size, *mine, "--name", "first", *QUICK)
    assert "1 rows no longer fit: C/gone.png is not there" in trained.err
    (tmp_path / "mine.csv").unlink()  # the run knows what it was trained on
    kept = json.loads((tmp_path / "runs/first/run.json").read_text())["data"]
    assert kept["corrections"]["rows"][0] == [f"C/{wrong.name}", "", "", "K", ""]
    assert snellen("evaluate", "runs/first", "--tta", "none", "--json").code == 0
    refused = snellen("doctor", "runs/first", *mine)
    assert "--corrections have no effect on" in refused.sentence
