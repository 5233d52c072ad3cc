"""Names of trackers and places, and what is refused before anything begins."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from snellen.errors import InvalidSetting, MissingExtra, SnellenError, UnknownName, UsageError
from snellen.trackers import tracker as catalog
from snellen.trackers.tracker import TRACKERS, Target, make, targets


@pytest.fixture(autouse=True)
def _all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_installed", lambda package: package != "no_such_package")


def test_a_name_and_a_place_are_taken_once_in_their_order() -> None:
    found = targets(["wandb:online", "tensorboard", "mlflow:sqlite:////data/all.db", "tensorboard"])
    assert found == (Target("wandb", "online"), Target("tensorboard"), Target("mlflow", "sqlite:////data/all.db"))
    assert [str(target) for target in found] == ["wandb:online", "tensorboard", "mlflow:sqlite:////data/all.db"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("tensorbord", UnknownName, "Did you mean 'tensorboard'?"),
        ("", UnknownName, "Unknown tracker ''"),
        ("tensorboard:logs", InvalidSetting, "event files always lie in the run folder"),
        ("wandb:on", InvalidSetting, "wandb (offline) or wandb:online"),
        ("hub", InvalidSetting, "hub:OWNER/NAME"),
        ("hub:name", InvalidSetting, "hub:OWNER/NAME"),
        ("hub:a/b/c", InvalidSetting, "hub:OWNER/NAME"),
        ("hub:../b", InvalidSetting, "hub:OWNER/NAME"),
        ("mlflow:https://ada:secret@server/x", InvalidSetting, "MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_what_cannot_be_is_one_sentence(text: str, error: type[SnellenError], words: str) -> None:
    with pytest.raises(error) as raised:
        targets([text])
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_missing_package_is_one_sentence_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind in TRACKERS.items():
        monkeypatch.setitem(TRACKERS, name, dataclasses.replace(kind, packages=("no_such_package",)))
        with pytest.raises(MissingExtra, match=rf"no_such_package, .* pip install 'snellen\[{name}\]'"):
            targets(["hub:a/b" if name == "hub" else name])


def test_a_folder_that_w_and_b_left_behind_is_not_w_and_b(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (tmp_path / "left_behind").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not catalog._installed("left_behind")
    assert catalog._installed("json")


def test_the_hub_does_not_follow_a_training() -> None:
    with pytest.raises(UsageError, match="After the training: snellen track RUN --to hub:ada/eye"):
        targets(["hub:ada/eye"], live=True)


def test_each_tracker_has_an_extra_of_its_name_and_a_file_with_make() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(TRACKERS) <= set(project["optional-dependencies"])
    for name in TRACKERS:
        tracker = make(Target(name, "a/b" if name == "hub" else ""))
        for method in ("start", "row", "finish", "where"):
            assert callable(getattr(tracker, method))
