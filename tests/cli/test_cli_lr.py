"""`snellen lr`: a suggestion that can be pasted, a curve, a picture."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

Snellen = Callable[..., Any]
QUICK = ("--set", "widths=[4,4,4]", "batch_size=64", "--steps", "24", "--device", "cpu", "--precision", "fp32")


def test_it_suggests_settings_that_train_takes(snellen: Snellen) -> None:
    answer = snellen("lr", "eyechart", *QUICK)
    assert (answer.code, "epoch" in answer.err) == (0, False)
    command = next(line for line in answer.out.splitlines() if line.startswith("try"))
    _, _, *words = shlex.split(command.removeprefix("try"))
    assert words[:5] == ["eyechart", "--recipe", "glance", "--set", "widths=[4,4,4]"]  # what was given stays
    assert words[-1].startswith("optimizer.")
    assert snellen("train", *words, "--dry-run").json["widths"] == [4, 4, 4]


def test_what_comes_next_names_the_code_that_the_recipe_needs(snellen: Snellen, own_parts_forgotten: None) -> None:
    Path("a b.py").write_text("def even(done):\n    return 1.0\n", encoding="utf-8")
    answer = snellen("lr", "eyechart", *QUICK[:3], "schedule.shape=a b.py:even", *QUICK[3:])
    command = next(line for line in answer.out.splitlines() if line.startswith("try"))
    assert command.endswith(" --code 'a b.py'")
    assert "Which data?" in snellen("lr").sentence


def test_with_json_the_whole_curve_is_on_stdout_and_a_picture_is_drawn_where_asked(
    snellen: Snellen, tmp_path: Path
) -> None:
    answer = snellen("lr", "eyechart", *QUICK, "--json", "--out", str(tmp_path / "lr.png"))
    assert (answer.code, answer.err) == (0, "")
    assert len(answer.json["rates"]) == len(answer.json["losses"]) <= 24
    assert min(answer.json["rates"]) < answer.json["recipe_rate"]
    with Image.open(tmp_path / "lr.png") as picture:
        assert picture.width > 600


def test_a_picture_that_is_no_png_is_refused_before_anything_is_trained(snellen: Snellen) -> None:
    answer = snellen("lr", "eyechart", "--out", "lr.jpg")
    assert answer.code == 2
    assert "--out lr.jpg is not a .png file" in answer.err
