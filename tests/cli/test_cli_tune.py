"""`snellen tune`: what it prints is what lies in its folder, and what cannot be searched is one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from snellen.recipes.catalog import find_recipe
from snellen.recipes.recipe import Recipe
from snellen.serialize import to_json
from snellen.show import figures
from snellen.train import fit as fitting

Snellen = Callable[..., Any]
HERE = ("--device", "cpu", "--precision", "fp32")

needs_optuna = pytest.mark.skipif(not find_spec("optuna"), reason="Optuna is an extra: pip install 'snellen[tune]'")


@pytest.fixture
def weak(tmp_path: Path, tiny_recipe: Recipe) -> str:
    """A recipe file that learns hardly anything."""
    (tmp_path / "weak.json").write_text(json.dumps(to_json(tiny_recipe.replace(name="weak", epochs=1.0))))
    return "weak.json"


@needs_optuna
def test_it_searches_compares_and_says_what_comes_next(
    snellen: Snellen, weak: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "save_png", lambda figure, path: None)
    command = (
        "tune", "eyechart", "--recipe", weak, "--set", "optimizer.lr=1e-7", "--space", "optimizer.lr=1e-7,0.1",
        "--trials", 3, "--confirm", 2, "--name", "rates", *HERE,
    )  # fmt: skip
    answer = snellen(*command)
    words = " ".join(answer.out.split())
    assert (answer.code, answer.err.count("trial ")) == (0, 3)
    assert "3 trials: 3 finished. All of them: snellen runs runs/tune-rates" in words
    assert "best of 3 epochs" in words
    assert all(name in words for name in ("weak ", "weak_tuned", "pairs of seeds"))
    assert "next snellen train eyechart --recipe runs/tune-rates/best.json" in words
    assert max(map(len, answer.out.splitlines())) <= 100
    assert find_recipe("runs/tune-rates/best.json").optimizer.lr == 0.1  # type: ignore[union-attr]
    monkeypatch.setattr(fitting, "train", lambda *_: pytest.fail("a finished run was trained again"))
    again = snellen(*command, "--json")
    assert again.json == json.loads(Path("runs/tune-rates/results.json").read_text())
    assert [trial["state"] for trial in again.json["trials"]] == ["finished"] * 3


@needs_optuna
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "What is to be searched? For example: snellen tune eyechart --space"),
        (("eyechart",), "What is to be searched?"),
        (("eyechart", "--space", "optimizer.filter_lr=1:0.1"), "with LOW below HIGH"),
        (("eyechart", "--space", "epoch=1:2"), "Did you mean 'epochs'"),
        (("eyechart", "--space", "epochs=1:2", "--trials", "0"), "--trials 0 --confirm 3 is not possible"),
        (("eyechart", "--space", "epochs=1:2", "--budget", "soon"), "--budget 'soon' is not a duration"),
        (("eyechart", "--space", "epochs=1:2", "--address", "auto"), "--address has no effect without --engine ray"),
        (("eyecart", "--space", "epochs=1:2"), "Did you mean 'eyechart'?"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(snellen: Snellen, arguments: tuple[str, ...], words: str) -> None:
    answer = snellen("tune", *arguments)
    assert (answer.code, words in answer.sentence) == (2, True), answer.sentence
    assert not Path("runs").exists()


def test_without_optuna_the_install_line_is_said(snellen: Snellen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    answer = snellen("tune", "eyechart", "--space", "epochs=1:2")
    assert (answer.code, "pip install 'snellen[tune]'" in answer.err) == (1, True)
