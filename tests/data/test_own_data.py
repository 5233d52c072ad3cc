"""Data sets of somebody's own, by reference and by name: what may run, and what is said where it does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

import snellen
from snellen import parts
from snellen.cli.main import main
from snellen.data import catalog
from snellen.data.run_images import load_as_before
from snellen.errors import DataError, InvalidSetting, UnknownName

pytestmark = pytest.mark.usefixtures("own_parts_forgotten")

CODE = """
import pathlib
import numpy as np
import snellen
pathlib.Path("marker").touch()

def letters(*, count=40, value=0):
    images = np.full((count, 16, 16, 3), value, dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    return snellen.from_arrays(images, [number % 2 for number in range(count)])

def cifar10(): return letters()
def told(*, data=None, download=False, progress=None): return letters(value=int(str(data.name)))
def broken(): return {}["nothing"]
def arrays(): return np.zeros(3)
def needs(count): return letters(count=count)

@snellen.register("data", "mine")
def mine(): return letters(value=7)
"""


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "own.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def test_a_reference_is_a_data_set_that_a_run_reads_again_only_where_its_code_is_named(code: Path) -> None:
    found = snellen.load("sub/own.py:letters(count=30)")
    assert (found.name, found.source, len(found.train)) == ("letters", "own.py:letters(count=30)", 30)
    about = found.read_as
    assert load_as_before(about).train.fingerprint == found.train.fingerprint
    parts._ALLOWED.clear()
    Path("marker").unlink()
    for received in (about, {**about, "loading": {}, "name": "own.py:letters"}):
        with pytest.raises(
            InvalidSetting, match="somebody's own, which runs only when you name it.*--code PATH/own.py"
        ):
            load_as_before({key: value for key, value in received.items() if value != {}})
    assert not Path("marker").exists()  # what a received run names did not run
    parts.allow(code)
    assert load_as_before(about).train.fingerprint == found.train.fingerprint


def test_nothing_known_of_ours_is_said_of_one_that_is_called_like_it() -> None:
    assert snellen.load("sub/own.py:cifar10").name == "cifar10-own"
    assert snellen.load("sub/own.py:cifar10", subset=10).name == "cifar10-own-10"


def test_a_registered_name_is_found_and_listed(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownName):
        catalog.load("mine")
    assert main(["data", "list", "--code", str(code)]) == 0
    assert capsys.readouterr().out.split() == [*catalog.NAMES, "mine"]
    assert (catalog.load("mine").name, int(catalog.load("mine").train.images[0, 5, 5, 0])) == ("mine", 7)


def test_options_reach_a_function_that_takes_them_and_no_other() -> None:
    assert int(snellen.load("sub/own.py:told", data="9").train.images[0, 5, 5, 0]) == 9
    with pytest.raises(InvalidSetting, match="--data 9 has no effect: own.py:letters reads no folder"):
        snellen.load("sub/own.py:letters", data="9")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "cannot be made: KeyError"),
        ("arrays", "gives ndarray; it takes what"),
        ("needs", "TypeError: .*count"),
        ("lettres", "Did you mean 'letters'"),
        ("letters(cuont=3)", "Did you mean 'count'"),
        ("letters(", "names no part"),
    ],
)
def test_what_does_not_fit_is_one_sentence(name: str, words: str) -> None:
    with pytest.raises((DataError, UnknownName, InvalidSetting), match=words):
        snellen.load(f"sub/own.py:{name}")
