"""Every target reads its corpus and a few seconds of what libFuzzer makes of it; what it once found stays found."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fuzz.__main__ import run_target
from tests.fuzz.harness import TARGETS, place_of, seeds, try_out

from snellen.errors import DataError


def target_of(name: str) -> Any:
    if name == "web":
        pytest.importorskip("h11")
    return importlib.import_module(f"tests.fuzz.{name}")


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_of_the_corpus_is_read_or_refused(name: str) -> None:
    target = target_of(name)
    folder = getattr(target, "FOLDER", Path("/nowhere"))
    for seed, content in seeds(name).items():
        try_out(target.read, content, folder)  # what is imported at the first use is not the input's time
        error = try_out(target.read, content, folder)
        assert error is None, f"{seed}: {place_of(error)}"


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_finds_nothing_in_two_thousand_executions(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: pip install atheris (Linux on x86-64, Python 3.11 to 3.13)")
    outcome = run_target(name, executions=2_000, seconds=5, seed=1, work=tmp_path)
    assert outcome.findings == ()
    assert outcome.executions >= len(seeds(name))
    assert outcome.coverage > 100  # our own code is instrumented


def test_every_corpus_is_small_and_belongs_to_a_target() -> None:
    assert {path.name for path in Path(__file__).with_name("corpus").iterdir()} == set(TARGETS)
    assert all(sum(map(len, seeds(name).values())) < 100_000 for name in TARGETS)


@pytest.mark.parametrize("kind", ["raises", "writes", "dawdles", "refuses", "reads"])
def test_a_finding_is_seen_and_a_refusal_is_none(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.harness.LONGEST_SECONDS", 0.05)

    def read(content: bytes) -> None:
        if kind == "raises":
            raise KeyError(content)
        if kind == "writes":
            (tmp_path.parent / "outside").write_bytes(content)
        if kind == "dawdles":
            sum(number for number in range(10_000_000))
        if kind == "refuses":
            raise DataError("a sentence")

    error = try_out(read, b"x", tmp_path)
    assert (error is None) == (kind in ("refuses", "reads"))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_a_crash_in_a_child_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    outcome = run_target("table", executions=1, seconds=1, seed=1, work=tmp_path)
    assert len(outcome.findings) == 1
