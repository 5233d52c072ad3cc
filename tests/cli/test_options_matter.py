"""Every option of every verb changes what a command does, or is refused: none is taken and forgotten."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import tyro
from PIL import Image

from snellen.cli.main import VERBS
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.evaluate.test_set import evaluate_on_test, ledger_of
from snellen.runs.run import Run

Snellen = Callable[..., Any]
RUN, UNGRADED, FOLDER = "runs/graded", "runs/tiny", "mine"
_QUICK = ("--set", "epochs=1", "widths=[4,4,8,8]", "batch_size=32", "--device", "cpu", "--precision", "fp32")
_CODE = {"--code": "nowhere.py"}
_OF_DATA = _CODE | {
    "--data": "nowhere", "--corrections": "nowhere.csv", "--subset": "50", "--size": "16", "--fit": "pad",
    "--test-fraction": "0.2", "--strict": None,
}  # fmt: skip
_OF_RUNS = _CODE | {"--data": "nowhere", "--device": "tpu", "--ledger": "other.jsonl", "--json": None}
_TO_TRAIN = _OF_DATA | {
    "--recipe": "mlp", "--set": "optimizer.lr=0.01", "--seed": "1", "--device": "tpu", "--precision": "bf16",
    "--json": None,
}  # fmt: skip
_OF_GRADES = _OF_RUNS | {
    "--split": "test", "--on": FOLDER, "--tta": "shift", "--per-class": None, "--label-issues": "2",
    "--robustness": None, "--reason": "why",
}  # fmt: skip
_OF_PAGES = _OF_RUNS | {"--labels": None, "--out": "page.html", "--map": "umap", "--originals": None}
_OF_DOCTOR = _OF_DATA | {
    "--ledger": "other.jsonl", "--labels": None, "--csv": "found.csv", "--device": "tpu", "--json": None,
}  # fmt: skip

# What each verb is called with, and for each of its options a value that must matter. Where nothing else tells, it is
# one that cannot be, and must be refused.
TABLE: list[tuple[tuple[str, ...], dict[str, str | None]]] = [
    (("data", "info", FOLDER, "--size", "32"), _OF_DATA | {"--sheet": "sheet.png", "--json": None}),
    (("data", "info", "eyechart"), _OF_DATA | {"--sheet": "sheet.png", "--json": None}),
    (("data", "list"), _OF_DATA | {"--sheet": "sheet.png", "--json": None}),
    (("data", "download", "eyechart"), _OF_DATA | {"--sheet": "sheet.png", "--json": None}),
    (("train", "eyechart", *_QUICK, "--recipe", "small_cnn"), _TO_TRAIN | {
        "--budget": "soon", "--folds": "1", "--seeds": "0", "--final": None, "--weights": "nowhere.safetensors",
        "--runs": "there", "--name": "other", "--track": "nobody", "--resume": RUN, "--continue": RUN,
        "--dry-run": None,
    }),
    (("train", "--continue", RUN, "--set", "epochs=+1"), _TO_TRAIN | {
        "--name": "other", "--folds": "2", "--seeds": "2", "--budget": "1m", "--download": None,
    }),
    (("lr", "eyechart", *_QUICK, "--steps", "12"), _TO_TRAIN | {"--steps": "14", "--out": "lr.png"}),
    (("evaluate", RUN), _OF_GRADES),
    (("evaluate", UNGRADED, "--split", "test"), {key: value for key, value in _OF_GRADES.items() if key != "--split"}),
    (("evaluate", RUN, "--on", FOLDER), {key: value for key, value in _OF_GRADES.items() if key != "--on"}),
    (("compare", RUN, UNGRADED), _CODE | {"--json": None}),
    (("runs",), {"--json": None}),
    (("predict", RUN, FOLDER), _CODE | {
        "--top": "1", "--fit": "pad", "--tta": None, "--target-accuracy": "0.5", "--csv": "answers.csv",
        "--device": "tpu", "--json": None,
    }),
    (("explain", RUN), _CODE | {
        "--image": "5", "--split": "train", "--epoch": "1", "--out": "there", "--data": "nowhere", "--json": None,
    }),
    (("report", RUN, "--layer-views", "1"), _OF_PAGES | {"--layer-views": "2"}),
    (("report", RUN, "--layer-views", "0"), _OF_PAGES),
    (("track", RUN, "--to", "tensorboard"), _CODE | {
        "--to": "nobody", "--yes": None, "--public": None, "--data": "nowhere", "--ledger": "other.jsonl",
        "--json": None,
    }),
    (("export", RUN, "--to", "safetensors"), _CODE | {
        "--to": "nothing", "--out": "there", "--data": "nowhere", "--ledger": "other.jsonl", "--json": None,
    }),
    (("recipes",), {"--json": None}),  # one recipe is shown as JSON either way
    (("models",), _CODE | {"--json": None}),
    (("doctor", RUN), _OF_DOCTOR),
    (("doctor", "eyechart"), _OF_DOCTOR),
    (("doctor", FOLDER, "--labels"), {
        "--data": "nowhere", "--ledger": "other.jsonl", "--csv": "found.csv", "--device": "tpu", "--json": None,
    }),
    (("ledger",), {"--ledger": "other.jsonl", "--merge": "nowhere.jsonl", "--json": None}),
    (("completion", "bash"), {"--json": None}),
]  # fmt: skip
ELSEWHERE = {
    "demo": "minutes, and its options are handed to train, report and evaluate",
    "view": "serves until it is stopped; tests/viewer",
    "ladder": "tests/cli/test_cli_ladder.py, tests/ladder",
    "tune": "tests/tune",
    "bench": "tests/cli/test_bench.py",
}


def options_of(arguments: type) -> Iterator[str]:
    """Every option of a verb, as it is typed."""
    hints, kinds = get_type_hints(arguments, include_extras=True), get_type_hints(arguments)
    for field in dataclasses.fields(arguments):
        if tyro.conf.Positional in getattr(hints[field.name], "__metadata__", ()):
            continue
        if dataclasses.is_dataclass(kinds[field.name]):
            yield from options_of(kinds[field.name])
        else:
            yield f"--{field.name.strip('_').replace('_', '-')}"


def test_no_option_of_any_verb_is_left_out() -> None:
    assert {base[0] for base, _ in TABLE} | set(ELSEWHERE) == set(VERBS)
    for verb in set(VERBS) - set(ELSEWHERE):
        there = set(options_of(importlib.import_module(f"snellen.cli.{verb}").Args))
        assert {option for base, options in TABLE if base[0] == verb for option in options} == there, verb


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, finished_run: Run, tiny_dataset: Dataset) -> Path:
    """A run twice, graded on test and not, and a folder of letters that are no squares, with a file that is none."""
    folder = tmp_path_factory.mktemp("options")
    for name in (RUN, UNGRADED):
        shutil.copytree(finished_run.folder, folder / name)
    graded = Run(folder / RUN)
    evaluate_on_test([graded], ledger_of(graded), reason="a number", data=tiny_dataset, device="cpu")
    (folder / "other.jsonl").write_text("no line of a ledger\n")
    letters = make_eyechart(seed=3, train=40, test=0).train
    for number, (pixels, label) in enumerate(zip(letters.images, letters.labels, strict=True)):
        path = folder / FOLDER / letters.class_names[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate([pixels, pixels[:, :9]], axis=1)).save(path)
    (path.parent / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    return folder


_TIMES = re.compile(
    r"\d[\d.,]*x? ?(s\b|ms\b|min\b|images/s|in bf16|in fp32)|20\d\d-\d\d-\d\d[T ]?[\d:]*(\+00:00)?|\b[0-9a-f]{24,64}\b"
)
_TIMED = (
    "environment.json",
    "run.json",
    "metrics.jsonl",
    "results.csv",
    "guards.json",
    "curves.png",
    "state.safetensors",
)


@pytest.fixture
def done(
    snellen: Snellen, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Any, ...]]:
    """Run a command in a copy of the place; what it said and left behind."""
    count = itertools.count()

    def run(*arguments: str) -> tuple[Any, ...]:
        here = tmp_path / f"place{next(count)}"
        shutil.copytree(place, here, ignore=shutil.ignore_patterns("cache"))
        monkeypatch.chdir(here)
        monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))  # what a network said of pictures is asked once
        answer = snellen(*arguments)
        files = {
            str(path.relative_to(here)): ""
            if path.name in _TIMED
            else _TIMES.sub("", path.read_bytes().decode("latin-1"))
            for path in here.rglob("*")
            if path.is_file() and "tfevents" not in path.name
        }
        untimed = [_TIMES.sub("", text.replace(str(here), "")) for text in (answer.out, answer.err)]
        return answer.code, *untimed, files

    return run


def _differing(one: tuple[Any, ...], other: tuple[Any, ...]) -> list[str]:
    """The exit code, streams and files in which two commands differ."""
    (*said, files), (*said_there, files_there) = one, other
    streams = [f"{here}\n--- and ---\n{there}" for here, there in zip(said, said_there, strict=True) if here != there]
    return streams + sorted(dict(files.items() ^ files_there.items()))


@pytest.mark.long
@pytest.mark.parametrize(("base", "options"), TABLE, ids=[" ".join(base[:4]) for base, _ in TABLE])
def test_an_option_changes_something_or_is_refused(
    done: Callable[..., tuple[Any, ...]], base: tuple[str, ...], options: dict[str, str | None]
) -> None:
    done(*base)  # decodes what is decoded once
    without, again = done(*base), done(*base)
    assert _differing(again, without) == [], "the same command did not do the same twice"
    for option, value in options.items():
        answer = done(*base, option, *([] if value is None else [value]))
        assert answer[0] == 2 or _differing(answer, without), f"{option} is taken and forgotten"
