"""An offline run of W&B holds the journal, each step once, and nothing that wandb would collect by itself."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.trackers.curves import curves
from tests.trackers.wandb_file import entries, whole

from snellen.runs.run import Run
from snellen.trackers.callbacks import send
from snellen.trackers.tracker import Target, make

pytestmark = pytest.mark.processes  # its client starts a program in Go

pytest.importorskip("wandb", reason="W&B is not installed: pip install 'snellen[wandb]'")


def stored(run: Run) -> Path:
    (path,) = run.folder.glob("wandb/offline-run-*/run-*.wandb")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [entries(record.history.item) for record in whole(path) if record.WhichOneof("record_type") == "history"]


def points(found: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    names = dict.fromkeys(name for row in found for name in row if not name.startswith("_"))
    return {name: [(row["_step"], row[name]) for row in found if name in row] for name in names}


def test_every_number_of_the_journal_is_in_the_offline_run(trained: Callable[..., Run]) -> None:
    run = trained(track=("wandb",))
    assert "trackers_lost" not in run.info
    assert points(rows(stored(run))) == curves(run)


def test_recipe_conditions_and_outcome_are_in_it(own_run: Run) -> None:
    target = Target("wandb")
    assert send(own_run, target, make(target)) == 2
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for record in whole(stored(own_run)):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            config |= entries(record.run.config.update)
            assert (record.run.project, record.run.display_name) == ("snellen", "tiny")
        if kind == "config":
            config |= entries(record.config.update)
        if kind == "summary":
            summary |= entries(record.summary.update)
    assert (config["optimizer.lr"], config["conditions.data"]) == (0.05, "eyechart")
    assert (summary["status"], summary["result/val_images"]) == ("finished", 30)


def test_handed_over_twice_there_is_one_offline_run_under_the_same_id(own_run: Run) -> None:
    target, names = Target("wandb"), []
    for _ in range(2):
        send(own_run, target, make(target))
        names.append(stored(own_run).name)
        assert points(rows(stored(own_run))) == curves(own_run)
    assert names[0] == names[1]


def test_what_wandb_would_collect_by_itself_is_not_there(own_run: Run) -> None:
    target = Target("wandb")
    send(own_run, target, make(target))
    text = "\n".join(str(record) for record in whole(stored(own_run)))
    assert '"tiny"' in text
    content = stored(own_run).read_bytes()
    for private in (str(own_run.folder), str(Path.home()), "requirements.txt", ".git"):
        assert private.encode() not in content, private
    # As a word: the name of a machine may be as short as "vm", which checksums and numbers may spell.
    assert not re.search(rf"(?<!\w){re.escape(socket.gethostname())}(?!\w)", text)
    names = {path.name for path in stored(own_run).parent.rglob("*") if path.is_file()}
    assert not names & {"requirements.txt", "wandb-metadata.json", "output.log", "diff.patch"}


def test_online_is_only_what_says_online(own_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    target = Target("wandb")
    send(own_run, target, make(target))
    assert stored(own_run).exists()
