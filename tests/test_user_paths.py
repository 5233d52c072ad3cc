"""Every path that a user gives is read by one function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import snellen
from snellen.cli.main import _with_user_paths
from snellen.errors import InvalidSetting, SnellenError
from snellen.paths import user_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder_and_nothing_else_is_changed(home: Path) -> None:
    assert user_path("~/r") == user_path(Path("~/r")) == home / "r"
    assert user_path("a/../b~") == Path("a/../b~")


@pytest.mark.parametrize("given", ["", "a\0b", "~nobody-of-this-name/x"])
def test_what_cannot_be_a_path_is_one_sentence(given: str) -> None:
    with pytest.raises(InvalidSetting, match="cannot be a path|home folder that there is not"):
        user_path(given)


def test_every_path_of_a_command_is_expanded_however_deep_it_lies(home: Path) -> None:
    @dataclass(frozen=True)
    class Inner:
        out: Path | None = Path("~/o")
        other: int = 3

    @dataclass(frozen=True)
    class Args:
        inner: Inner = Inner()
        many: tuple[Path, ...] = (Path("~/a"), Path("b"))
        name: str = "~/not a path"

    assert _with_user_paths(Args()) == Args(Inner(home / "o"), (home / "a", Path("b")))


@pytest.mark.parametrize("call", [snellen.open_run, snellen.load])
def test_python_looks_in_the_home_folder_too(home: Path, call: Any) -> None:
    with pytest.raises(SnellenError, match=str(home)):
        call("~/nowhere")
