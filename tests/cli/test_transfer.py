"""A folder of photographs with recipe transfer, from the pictures to every page and file: nothing in between fails."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import Snellen

EXAMPLE = Path(__file__).parents[2] / "examples" / "predict_onnx.py"
COLOURS = {"blue": (50, 70, 210), "green": (60, 190, 70), "red": (200, 60, 50)}


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """60 soft clouds of 40 px in three colours, which a transfer tells apart at once."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "pics" / name).mkdir(parents=True)
        for number in range(20):
            spots = np.clip(np.array(colour) + rng.normal(0, 40, (5, 5, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(spots).resize((40, 40), Image.Resampling.BICUBIC).save(
                tmp_path / "pics" / name / f"{number}.png"
            )
    return tmp_path / "pics"


TRAIN = (
    "--recipe",
    "transfer",
    "--size",
    64,
    "--device",
    "cpu",
    "--precision",
    "fp32",
    "--set",
    "batch_size=16",
    "min_steps=0",
)


@pytest.mark.processes
def test_a_new_users_journey(snellen: Snellen, photographs: Path, tmp_path: Path) -> None:
    trained = snellen("train", photographs, *TRAIN, "epochs=2", "--name", "t", "--json")
    assert trained.code == 0, trained.err
    assert "groups" in snellen("evaluate", "runs/t").out

    verdicts = snellen("doctor", "runs/t")
    assert "✓ pixel-statistics  mean 0.498 0.498 0.498, std 0.502 0.502 0.502" in verdicts.out
    assert "✓ repeatable-evaluation" in verdicts.out

    explained = snellen("explain", "runs/t", "--split", "train", "--epoch", 1)
    assert explained.code == 0, explained.out
    assert "those that its pretrained weights were made with" in " ".join(explained.out.split())
    assert "cut out" in explained.out
    assert "✗" not in explained.out
    plain = snellen("explain", "runs/t", "--split", "train", "--epoch", 0)
    assert "Augmented" not in plain.out  # the first version is the picture itself

    assert "pretrained" in (tmp_path / "runs/t/run.json").read_text()
    named = snellen("predict", "runs/t", photographs, "--csv", "out.csv")
    assert named.code == 0, named.err
    rows = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    assert sum(Path(row["picture"]).parent.name == row["class"] for row in rows) > 40

    exported = snellen("export", "runs/t", "--to", "onnx", "--out", "model")
    assert exported.code == 0, exported.err
    alone = subprocess.run(
        [sys.executable, str(EXAMPLE), "model/model.onnx", str(photographs / "red/3.png")],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "red" in alone.stdout
    assert snellen("report", "runs/t", "--out", "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert re.search(r"(blue|green|red)/\d+\.png", page)
    assert str(tmp_path) not in page  # it is handed on


def test_what_cannot_be_trained_is_one_sentence(snellen: Snellen, photographs: Path) -> None:
    refused = snellen("train", photographs, "--recipe", "finetune", "--size", 64, "--json")
    assert refused.code != 0
    assert "finetune begins with weights of your own, and none are named: snellen train --weights FILE" in refused.out
    finder = snellen("lr", photographs, "--recipe", "finetune", "--size", 64)
    assert finder.code != 0
    assert "none are named" in " ".join(finder.err.split())
    # A dry run shows the recipe and looks at nothing else: neither at the data nor at the weights.
    assert snellen("train", photographs, "--recipe", "finetune", "--dry-run").code == 0
    cut = snellen("train", photographs, *TRAIN, "finetune.frozen=net.classifier", "--json")
    assert "nothing is left to learn" in cut.out
    assert cut.code != 0
