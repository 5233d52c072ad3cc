"""A run folder: never overwritten, never shared, and read with suspicion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snellen.errors import RunError, StorageError
from snellen.recipes.catalog import RECIPES
from snellen.runs.run import Run, create_run, open_run, require_place

INFO: dict[str, Any] = {
    "data": {
        "name": "eyechart",
        "source": "made from seed 0",
        "image_shape": [32, 32, 3],
        "class_names": ["C", "D"],
        "train": {"fingerprint": "ab"},
        "val": {"fingerprint": "cd"},
        "test": {"count": 60, "identity": "ef"},
    },
    "statistics": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
    "seed": 0,
    "final": False,
    "device": "cpu",
    "precision": "fp32",
    "status": "created",
}


def create(root: Path, name: str = "mine") -> Run:
    return create_run(root, name, RECIPES["mlp"], INFO, {"python": "3"})


def test_a_new_run_explains_itself(tmp_path: Path) -> None:
    run = open_run(create(tmp_path / "runs").folder)
    assert run.name == "mine"
    assert run.recipe == RECIPES["mlp"]
    assert run.info == {"format": 2, **INFO}
    assert run.read("environment.json") == {"python": "3"}
    assert run.journal.rows() == []


def test_a_taken_name_gets_a_number_and_nothing_is_overwritten(tmp_path: Path) -> None:
    assert [create(tmp_path).name for _ in range(3)] == ["mine", "mine-2", "mine-3"]


def test_an_empty_folder_of_that_name_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine-2").write_text("a file")
    assert create(tmp_path).name == "mine-3"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/a", "-a", ".a", "a b", "a\nb", "a\x00b", "a" * 102])
def test_a_name_that_is_no_plain_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="A run cannot be called"):
        create(tmp_path / "runs", name)
    assert not (tmp_path / "runs").exists()


def test_a_file_in_place_of_the_runs_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunError, match="is a file, not a folder for runs"):
        create(tmp_path / "runs")


def test_a_runs_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StorageError, match="Cannot write"):
        create(tmp_path / "file" / "runs")


def test_some_entries_change_and_the_others_stay(tmp_path: Path) -> None:
    run = create(tmp_path)
    run.update_info(status="finished", best_epoch=3)
    assert run.info == {"format": 2, **INFO, "status": "finished", "best_epoch": 3}


def test_a_run_is_read_once_until_something_is_written_or_it_is_refreshed(tmp_path: Path) -> None:
    run = create(tmp_path)
    assert (run.info["status"], run.recipe.name) == ("created", "mlp")
    Run(run.folder).update_info(status="training")
    assert run.info["status"] == "created"
    run.refresh()
    assert run.info["status"] == "training"
    Run(run.folder).update_info(best_epoch=3)
    run.update_info(status="finished")
    assert (run.info["status"], run.info["best_epoch"]) == ("finished", 3)
    Run(run.folder).update_info(status="interrupted")
    with run.locked():
        assert run.info["status"] == "interrupted"


@pytest.mark.parametrize(
    ("status", "way_out"),
    [
        ("created", "Go on with it: snellen train --resume"),
        ("training", "Go on with it: snellen train --resume"),
        ("interrupted", "Go on with it: snellen train --resume"),
        ("diverged", "train again with half the learning rate"),
    ],
)
def test_a_run_that_is_not_finished_says_what_to_do(tmp_path: Path, status: str, way_out: str) -> None:
    run = create(tmp_path)
    run.update_info(status=status)
    with pytest.raises(RunError, match=rf"is not finished \(status {status}\)\. .*{way_out}") as refused:
        run.require_finished()
    assert ("--resume" in str(refused.value)) == (status != "diverged")
    run.update_info(status="finished")
    run.require_finished()


def test_a_missing_run_is_named_with_those_beside_it(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="Train one: snellen train eyechart"):
        open_run(tmp_path / "mine")
    create(tmp_path)
    with pytest.raises(RunError, match="Runs beside it: mine"):
        open_run(tmp_path / "yours")


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (1, r"made by an older version of Snellen \(run format 1; this one reads 2\): train again\."),
        (3, r"made by a newer version of Snellen \(run format 3; this one reads 2\): upgrade\."),
        (None, "does not describe a Snellen run"),
        ("1", "does not describe a Snellen run"),
        ([1], "does not describe a Snellen run"),
    ],
)
def test_another_format_is_refused_by_its_age(tmp_path: Path, found: Any, sentence: str) -> None:
    run = create(tmp_path)
    run.update_info(format=found)
    with pytest.raises(RunError, match=sentence):
        open_run(run.folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="it is not a finished Snellen run"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"run"', id="text"),
        pytest.param(b'{"format": 2', id="torn"),
        pytest.param(b"\xff\x00", id="binary"),
        pytest.param(b"[" * 200_000, id="nested 200,000 deep"),
        pytest.param(b'{"a":' * 200_000, id="objects nested 200,000 deep"),
        pytest.param(b'{"format": 2, "seed": NaN}', id="NaN"),
        pytest.param(b'{"format": 2, "seconds": 1e999}', id="a number that becomes infinite"),
        pytest.param(b'{"format": 2, "status": "\\ud800"}', id="half a character"),
        pytest.param(b'{"format": 2, "seed": ' + b"9" * 5_000 + b"}", id="a number of 5,000 digits"),
        pytest.param(b'{"format": 2}', id="nothing but the format"),
    ],
)
def test_a_hostile_description_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    run = create(tmp_path)
    (run.folder / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json") as refused:
        open_run(run.folder)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": "0"},
        {"seed": None},
        {"final": "no"},
        {"status": None},
        {"device": 1},
        {"precision": []},
        {"data": None},
        {"data": {**INFO["data"], "name": ["eyechart"]}},
        {"data": {**INFO["data"], "image_shape": [32, 32]}},
        {"data": {**INFO["data"], "image_shape": [32, 32, "3"]}},
        {"data": {**INFO["data"], "image_shape": [10**6, 10**6, 3]}},
        {"data": {**INFO["data"], "class_names": ["C"]}},
        {"data": {**INFO["data"], "class_names": [1, 2]}},
        {"data": {**INFO["data"], "class_names": 10}},
        {"data": {**INFO["data"], "train": {}}},
        {"statistics": {"mean": [0.5], "std": [0.2]}},
        {"statistics": {}},
        {"statistics": {"mean": "abc", "std": [0.2, 0.2, 0.2]}},
        {"statistics": {"mean": [0.5, 0.5, "0.5"], "std": [0.2, 0.2, 0.2]}},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": True},
        {"best_epoch": "3"},
        {"seconds": None},
        {"data": {**INFO["data"], "source": None}},
        {"data": {key: value for key, value in INFO["data"].items() if key != "source"}},
        {"data": {**INFO["data"], "class_names": "CD"}},
        {"data": {**INFO["data"], "train": "ab"}},
        {"status": "finished"},
        {"status": "finished", "val": {"accuracy": {"value": 0.5, "hits": 9, "n": 8}}},
        {"status": "finished", "val": {"accuracy": "high"}},
    ],
)
def test_a_description_with_an_entry_missing_or_of_another_kind_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    run = create(tmp_path)
    (run.folder / "run.json").write_text(json.dumps({**run.info, **changes}))
    with pytest.raises(RunError, match="does not describe a Snellen run"):
        open_run(run.folder)


def test_a_description_of_more_than_50_megabytes_is_not_read(tmp_path: Path) -> None:
    run = create(tmp_path)
    with (run.folder / "run.json").open("wb") as file:
        file.truncate(50_000_001)  # a hole: nothing is written
    with pytest.raises(RunError, match="50000001 bytes"):
        open_run(run.folder)


def test_a_folder_in_place_of_the_description_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(RunError, match="cannot be read"):
        open_run(tmp_path)


_HOLD = (
    "import sys, time; from pathlib import Path; from snellen.runs.run import Run\n"
    "with Run(Path(sys.argv[1])).locked():\n"
    "    print('locked', flush=True); time.sleep(60)"
)


@pytest.mark.processes
def test_a_second_process_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    run = create(tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(run.folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match="is in use by another process"), run.locked():
            pytest.fail("two processes in one run folder")
    finally:
        holder.kill()
        holder.communicate()
    with run.locked():
        pass


def test_the_lock_ends_with_the_block_also_after_an_error(tmp_path: Path) -> None:
    run = create(tmp_path)
    with pytest.raises(KeyError), run.locked():
        raise KeyError
    with run.locked():
        pass


def test_a_lock_where_nothing_can_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StorageError, match="Cannot write"), Run(tmp_path / "file").locked():
        pytest.fail("locked")


def test_what_a_killed_writer_left_is_taken_away_by_the_next_to_train_there(tmp_path: Path) -> None:
    run = create(tmp_path)
    kept = [run.folder / "notes.tmp", run.folder / ".hidden", run.folder / "sub" / ".a.tmp", run.folder / ".folder.tmp"]
    gone = [run.folder / ".run.json.17.tmp", run.folder / "resume" / ".state.safetensors.17.tmp"]
    (run.folder / ".folder.tmp").mkdir()
    for path in [*kept[:-1], *gone]:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    with run.locked():
        assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_a_second_process_takes_nothing_away_from_the_first(tmp_path: Path) -> None:
    run = create(tmp_path)
    with run.locked():
        (run.folder / ".run.json.17.tmp").write_bytes(b"being written")
        with pytest.raises(RunError, match="in use"), Run(run.folder).locked():
            pytest.fail("two processes in one run folder")
        assert (run.folder / ".run.json.17.tmp").exists()


def test_half_a_folder_of_a_killed_process_is_no_run_and_takes_no_name(tmp_path: Path) -> None:
    half = tmp_path / ".mine.new"
    half.mkdir()
    (half / "run.json").write_text("{}")
    with pytest.raises(RunError, match="Train one"):
        open_run(tmp_path / "yours")
    assert create(tmp_path).name == "mine"
    assert not half.exists()


@pytest.mark.processes
def test_processes_that_want_one_name_at_once_get_a_folder_each(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from snellen.recipes.catalog import RECIPES\n"
        "from snellen.runs.run import create_run\n"
        "for _ in range(5): create_run(Path(sys.argv[1]), 'mine', RECIPES['mlp'], {}, {'by': sys.argv[2]})"
    )
    makers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), who]) for who in "abc"]
    assert [maker.wait(60) for maker in makers] == [0] * 3
    names = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert names == {"mine", *(f"mine-{number}" for number in range(2, 16))}
    by = [Run(tmp_path / name).read("environment.json")["by"] for name in names]
    assert sorted(by) == sorted("abc" * 5)


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    require_place(tmp_path / "deep" / "runs")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_done(full_disk: Path) -> None:
    (full_disk / "rest").write_bytes(bytes(60_000))
    with pytest.raises(StorageError, match="the disk is full"):
        require_place(full_disk / "runs")
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    for refuse in (require_place, create):
        with pytest.raises(StorageError, match=r"Cannot write .*the file system is read-only"):
            refuse(full_disk / "runs")


def test_a_folder_that_belongs_to_somebody_else_is_refused(tmp_path: Path) -> None:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    run = create(tmp_path / "runs")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(parent.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        with pytest.raises(StorageError, match="this user may not write there"):
            require_place(tmp_path / "runs")
        with pytest.raises(StorageError, match="this user may not write there"), run.locked():
            pytest.fail("locked")
    finally:
        os.seteuid(0)
