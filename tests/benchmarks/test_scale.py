"""How the pipeline grows: one axis at a time, in processes of their own, and the picture of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import scale, scale_probe
from benchmarks.scale_plot import scale_png
from snellen.bench.process import Finished

Commands = list[Sequence[str]]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The processes that were asked for; none is started."""
    asked: Commands = []

    def run(arguments: Sequence[str], **_: Any) -> Finished:
        asked.append(arguments)
        return Finished(json.dumps(dict.fromkeys(scale.FIGURES[:-1], 1.0)), 2.0, 3_000_000_000)

    monkeypatch.setattr(scale, "run_python", run)
    return asked


def test_scale_changes_one_axis_at_a_time(commands: Commands) -> None:
    lines = list(scale.measure(quick=False))
    assert len(lines) == len(commands) == sum(map(len, scale.AXES.values()))
    start = scale.Size()
    for line in lines:
        axis = line.details["axis"]
        others = {name: value for name, value in line.details.items() if name not in ("axis", axis)}
        assert others == {name: getattr(start, name) for name in others}
    assert tuple(lines[0].figures) == scale.FIGURES


def test_the_picture_of_scale_has_a_column_for_each_axis(commands: Commands, tmp_path: Path) -> None:
    lines = list(scale.measure(quick=True))
    scale_png(tmp_path / "scale.png", lines)
    with Image.open(tmp_path / "scale.png") as picture:
        assert picture.size == (round(2 * 3.2 * 160), round(5.6 * 160))


def test_the_probe_of_scale_gives_the_figures_that_scale_names() -> None:
    figures = scale_probe.probe(images=60, side=16, batch=8, classes=3)
    assert (*figures, "peak GB") == scale.FIGURES
    assert all(value > 0 for value in figures.values())


def test_the_script_keeps_its_lines_and_its_picture(
    commands: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scale.main(["--quick", "--out", str(tmp_path / "scale.json")]) == 0
    assert len(json.loads((tmp_path / "scale.json").read_text(encoding="utf-8"))["measurements"]) == 4
    assert (tmp_path / "scale.png").is_file()
    assert "training images/s" in capsys.readouterr().out
