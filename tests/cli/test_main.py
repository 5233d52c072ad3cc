"""Every command: help at any width, the nearest name for a slip, one sentence for an error, one document of JSON."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import snellen as package
from snellen.cli import main as main_file
from snellen.cli.main import VERBS, main
from snellen.errors import DataError
from snellen.runs.run import Run
from snellen.train.interrupt import Interrupted

Snellen = Callable[..., Any]


@pytest.fixture
def verb_that_raises(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make `snellen ledger` raise something."""

    def arm(error: BaseException) -> None:
        def run(_: object) -> int:
            raise error

        monkeypatch.setattr(main_file.importlib, "import_module", lambda name: SimpleNamespace(run=run, Args=None))
        monkeypatch.setattr(main_file, "_parse", lambda *_: None)

    return arm


@pytest.mark.parametrize("columns", ["60", "200"])
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_at_any_width(
    snellen: Snellen, monkeypatch: pytest.MonkeyPatch, verb: str, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    answer = snellen(verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert f"usage: snellen {verb}" in answer.out
    assert "--json" in answer.out
    sentence = f"snellen {verb}: {VERBS[verb]}."
    assert (sentence in answer.out, len(sentence) <= 80) == (True, True)
    options = answer.out.partition(sentence)[2]  # above it are sentences, which a terminal wraps
    assert max(map(len, options.splitlines())) <= int(columns)


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_first_what_a_verb_is_for_and_last_what_all_share(snellen: Snellen, verb: str) -> None:
    options = re.findall(r"^\W*--([\w-]+)", snellen(verb, "--help").out.partition("own-pictures")[0], re.MULTILINE)
    shared = [name for name in ("device", "data", "ledger", "code", "json") if name in options]
    assert options[-len(shared) :] == shared
    assert options[-1] == "json"


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_without_a_verb_all_of_them_are_listed(snellen: Snellen, arguments: tuple[str, ...]) -> None:
    answer = snellen(*arguments)
    assert answer.code == 0
    for verb, summary in VERBS.items():
        assert f"{verb} " in answer.out
        assert summary in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100


def test_help_with_a_verb_is_that_verbs_help(snellen: Snellen) -> None:
    assert snellen("help", "ladder").out == snellen("ladder", "--help").out
    assert "Did you mean 'ladder'?" in snellen("help", "lader").sentence


def test_each_verb_has_a_file_of_its_own() -> None:
    folder = Path(main_file.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {
        "__init__",
        "main",
        "show",
        "show_test_evaluation",
        "options",
    } == set(VERBS)


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_the_packages(snellen: Snellen, flag: str) -> None:
    assert snellen(flag).out == f"snellen {package.__version__}\n"


@pytest.mark.parametrize(("slip", "meant"), [("trian", "train"), ("evalute", "evaluate"), ("recipe", "recipes")])
def test_an_unknown_verb_names_the_nearest(snellen: Snellen, slip: str, meant: str) -> None:
    answer = snellen(slip)
    assert answer.code == 2
    assert answer.sentence == (
        f"snellen: There is no command '{slip}'. Did you mean '{meant}'? List them: snellen --help"
    )


def test_a_verb_like_no_other_names_the_list(snellen: Snellen) -> None:
    assert snellen("qqq").sentence == "snellen: There is no command 'qqq'. List them: snellen --help"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("train", "eyechart", "--recpie", "x"), "--recipe"),
        (("train", "eyechart", "--sead", "3"), "--seed"),
        (("evaluate", "runs/x", "--splt", "test"), "--split"),
        (("predict", "runs/x", "a.png", "--topp", "3"), "--top"),
    ],
)
def test_an_unknown_option_names_the_nearest(snellen: Snellen, arguments: tuple[str, ...], meant: str) -> None:
    answer = snellen(*arguments)
    assert answer.code == 2
    assert meant in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "eyechart", "--seed", "x"),
        ("train", "eyechart", "--precision", "fp8"),
        ("data", "inof"),
        ("predict",),
        ("evaluate", "runs/x", "--split", "tset"),
    ],
)
def test_a_value_of_another_kind_is_wrong_usage(snellen: Snellen, arguments: tuple[str, ...]) -> None:
    answer = snellen(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_an_error_of_ours_is_one_sentence_and_its_exit_code(
    snellen: Snellen, verb_that_raises: Callable[[BaseException], None]
) -> None:
    verb_that_raises(DataError("The picture is broken."))
    answer = snellen("ledger")
    assert (answer.code, answer.sentence) == (1, "snellen: The picture is broken.")
    with_json = snellen("ledger", "--json")
    assert (with_json.code, with_json.err) == (1, "")
    assert with_json.json == {"error": "The picture is broken.", "exit_code": 1}


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "Stopped."),
        (Interrupted(signal.SIGINT), 130, "Stopped by SIGINT; the run is saved and can be resumed."),
        (Interrupted(signal.SIGTERM), 143, "Stopped by SIGTERM; the run is saved and can be resumed."),
        (MemoryError(), 1, "Out of memory. Close other programs"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), 1, "Out of memory."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 1, "Out of memory."),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 1, "Out of memory."),
    ],
)
def test_a_stop_and_a_lack_of_memory_are_sentences(
    snellen: Snellen, verb_that_raises: Callable[[BaseException], None], error: BaseException, code: int, words: str
) -> None:
    verb_that_raises(error)
    answer = snellen("ledger")
    assert answer.code == code
    assert words in answer.sentence


def test_a_mistake_of_ours_keeps_its_traceback(verb_that_raises: Callable[[BaseException], None]) -> None:
    verb_that_raises(KeyError("ours"))
    with pytest.raises(KeyError, match="ours"):
        main(["ledger"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("recipes",),
        ("recipes", "sprint"),
        ("data", "list"),
        ("data", "info", "eyechart"),
        ("ledger",),
        ("evaluate", "runs/tiny"),
        ("evaluate", "runs/tiny", "--split", "test"),
        ("compare", "runs/tiny", "runs/tiny"),
        ("predict", "runs/tiny", "runs/tiny/confusion.png"),
        ("doctor", "runs/tiny"),
        ("train", "eyechart", "--dry-run"),
    ],
    ids=" ".join,
)
def test_with_json_each_verb_prints_one_document_and_nothing_else(
    snellen: Snellen, own_run: Run, arguments: tuple[str, ...]
) -> None:
    answer = snellen(*arguments, "--json")
    assert answer.code == 0 or arguments[0] == "doctor"  # a tiny run has failings
    assert answer.err == ""
    assert isinstance(answer.json, dict | list)


@pytest.mark.parametrize("folder", ["nowhere", "empty", "foreign", "hostile", "newer"])
@pytest.mark.parametrize(
    "verb", [("evaluate",), ("evaluate", "--split", "test"), ("predict",), ("train", "--resume"), ("report",)]
)
def test_a_folder_that_is_no_run_is_one_sentence_for_every_verb(
    snellen: Snellen, own_run: Run, tmp_path: Path, verb: tuple[str, ...], folder: str
) -> None:
    contents = {"foreign": '{"format": 1}', "hostile": "[" * 100_000, "newer": '{"format": 2}'}
    path = tmp_path / "runs" / folder
    if folder != "nowhere":
        path.mkdir()
    if folder in contents:
        (path / "run.json").write_text(contents[folder])
    more = [own_run.folder / "confusion.png"] if verb[0] == "predict" else []
    arguments = [*verb, path, *more] if verb[0] != "evaluate" else [verb[0], path, *verb[1:]]
    answer = snellen(*arguments)
    assert answer.code == 1
    assert str(path) in answer.sentence


def test_a_setting_given_in_two_options_counts_twice(snellen: Snellen) -> None:
    answer = snellen("train", "eyechart", "--set", "epochs=3", "--set", "batch_size=7", "--dry-run")
    assert (json.loads(answer.out)["epochs"], json.loads(answer.out)["batch_size"]) == (3.0, 7)


def test_an_incomplete_folder_does_not_keep_the_download_from_starting(snellen: Snellen, tmp_path: Path) -> None:
    folder = tmp_path / "d" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "data_batch_1").write_bytes(b"half")
    answer = snellen("data", "download", "cifar10", "--data", "d")
    assert answer.code == 1
    assert "could not be downloaded" in answer.err
