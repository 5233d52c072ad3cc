"""One call for all GPU measurements, rehearsed on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu_report, gpu_sections, lesson
from benchmarks.gpu_sections import SECTIONS, Plan, Section
from snellen.bench import augment
from snellen.bench.process import Finished
from snellen.bench.protocol import Measurement, conditions_here
from snellen.data.ledger import Ledger

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal smaller still, whose cold process is not started."""
    monkeypatch.setattr(gpu_report, "_STEP_RECIPES", ("sprint", "marathon", "resnet18"))
    monkeypatch.setattr(gpu_report, "_DRY_LETTERS", 100)
    monkeypatch.setattr(augment, "_QUICK_IMAGES", 32)
    monkeypatch.setattr(lesson, "WORKERS", 0)
    told = json.dumps({"warm_part_seconds": 3.0, "train_seconds": 2.0})
    monkeypatch.setattr(gpu_sections, "run_python", lambda *_, **__: Finished(told, 5.0, None))


def measurements(out: Path, section: str) -> list[dict[str, Any]]:
    content = json.loads((out / f"{section}.json").read_text(encoding="utf-8"))
    assert content["environment"]["packages"]["torch"]
    lines: list[dict[str, Any]] = content["measurements"]
    return lines


@pytest.mark.processes
def test_a_rehearsal_writes_every_section_with_conditions(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu_report.main(["--dry-run", "--out", str(tmp_path)]) == 0
    for section in SECTIONS:
        lines = measurements(tmp_path, section)
        assert lines, section
        assert not [line["note"] for line in lines if "failed" in line["note"]], section
        assert all(line["conditions"]["machine"] and line["conditions"]["torch"] for line in lines)
    (cold,) = measurements(tmp_path, "cold")
    assert cold["figures"] == {"seconds": 5.0, "of it start, import, data": 2.0, "processes": 1.0}
    (warm,) = measurements(tmp_path, "warm")
    assert warm["figures"]["seeds"] == 2
    assert warm["figures"]["accuracy %"] is None
    assert "sealed" in warm["note"]
    shown = capsys.readouterr().out
    assert shown.strip() == (tmp_path / "table.txt").read_text(encoding="utf-8").strip()
    assert "not measured" in shown
    assert not (tmp_path / "ledger.jsonl").exists()


def test_without_a_gpu_every_cell_says_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(gpu_report, "_LETTERS", 20)
    assert gpu_report.main(["--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("not measured") == len(SECTIONS)
    assert {line["note"] for name in SECTIONS for line in measurements(tmp_path, name)} == {"no GPU at hand"}


def test_a_folder_without_cifar10_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_report.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith("snellen: CIFAR-10 is in none of the places tried")


def line(case: str) -> Measurement:
    return Measurement("any", case, {"x": 1.0}, conditions_here())


def run_sections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, Section], *, minutes: float = 1.0
) -> list[Measurement]:
    monkeypatch.setattr(gpu_report, "SECTIONS", sections)
    monkeypatch.setattr(gpu_report, "_DRY_LETTERS", 20)
    asked = gpu_report.argparse.Namespace(data=None, dry_run=True, out=tmp_path)
    return gpu_report.report(gpu_report.make_plan(asked), tmp_path, minutes=minutes, available=None)


def test_a_section_that_fails_does_not_cost_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(plan: Plan) -> Iterator[Measurement]:
        yield line("before")
        raise RuntimeError("out of memory\nand a long trace")

    sections = {"one": Section(broken, 0.5), "two": Section(lambda plan: iter([line("after")]), 0.5)}
    found = run_sections(tmp_path, monkeypatch, sections)
    assert [(one.case, one.note) for one in found] == [
        ("before", ""), ("one", "failed: out of memory"), ("after", ""),
    ]  # fmt: skip
    assert [one["case"] for one in measurements(tmp_path, "one")] == ["before", "one"]


def test_a_long_section_is_cut_between_two_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def long(plan: Plan) -> Iterator[Measurement]:
        for number in range(1000):
            time.sleep(0.02)
            yield line(str(number))

    found = run_sections(tmp_path, monkeypatch, {"long": Section(long, 0.5, many=True)}, minutes=0.1 / 60)
    assert 2 <= len(found) < 50
    assert (found[-1].case, found[-1].figures) == ("the rest", {"result": None})


def test_what_comes_after_the_end_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(plan: Plan) -> Iterator[Measurement]:
        time.sleep(0.05)
        yield line("slow")

    sections = {"one": Section(slow, 1.0), "two": Section(slow, 1.0)}
    found = run_sections(tmp_path, monkeypatch, sections, minutes=0.01 / 60)
    assert [(one.case, one.note) for one in found] == [("slow", ""), ("two", "the time was out")]


def test_with_a_reason_the_warm_trainings_are_one_line_in_the_ledger(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = gpu_report.argparse.Namespace(data=None, dry_run=True, out=tmp_path)
    plan = gpu_report.replace(gpu_report.make_plan(asked), reason="the record", until=time.monotonic() + 60)
    (warm,) = gpu_sections.warm(plan)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert [entry.kind for entry in ledger.lines()] == ["intent", "result"]
    assert ledger.problems() == []
    results = ledger.lines()[1].content["results"]
    mean = sum(result["hits_tta"] / result["n"] for result in results) / len(results)
    assert len(results) == 2
    assert warm.figures["accuracy %"] == pytest.approx(100 * mean)


@pytest.mark.processes
def test_it_imports_with_nothing_but_pytorch_numpy_and_pillow() -> None:
    absent = ("safetensors", "rich", "tyro", "matplotlib", "torchvision", "kornia", "scipy", "pandas")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}));"
        "import benchmarks.gpu_report, benchmarks.timed_training"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
