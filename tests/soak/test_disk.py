"""The file system that the power cuts are tried on: what fsync has not forced may be lost, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.soak.disk import Disk, State


def text(content: str) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in content.encode()) + '"'


def opened(path: str, flags: str, number: int) -> str:
    return f"openat(AT_FDCWD, {text(path)}, {flags}|O_CLOEXEC, 0666) = {number}"


def written(content: str, number: int) -> str:
    return f"write({number}, {text(content)}, {len(content)}) = {len(content)}"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"old")
    return tmp_path


def after(place: Path, *lines: str) -> list[State]:
    disk = Disk(place)
    for line in lines:
        disk.apply(line)
    return list(disk.states(seed=0))


CREATE = "O_WRONLY|O_CREAT|O_TRUNC"
NEW = [opened("new", CREATE, 3), written("made", 3)]
MOVE = f"rename({text('new')}, {text('file')}) = 0"
FOLDER = [opened(".", "O_RDONLY", 4), "fsync(4) = 0"]


def test_a_rename_before_the_content_is_forced_can_leave_an_empty_file(place: Path) -> None:
    states = after(place, *NEW, "close(3) = 0", MOVE)
    assert {state.get("file") for state in states} == {b"old", b"", b"m", b"ma", b"mad", b"made"}


def test_after_fsync_it_is_the_old_file_or_the_new_one_and_after_that_of_the_folder_the_new_one(place: Path) -> None:
    safe = [*NEW, "fsync(3) = 0", "close(3) = 0", MOVE]
    assert after(place, *safe) == [{"file": b"old"}, {"file": b"made"}]
    assert after(place, *safe, *FOLDER) == [{"file": b"made"}]


def test_a_file_that_is_written_over_can_be_any_part_of_both(place: Path) -> None:
    states = after(place, opened("file", CREATE, 3), written("newer!", 3))
    assert [state["file"] for state in states] == [b"old", b"n", b"new", b"newe", b"newer", b"newer!"]
    assert [s["file"] for s in after(place, opened("file", CREATE, 3))] == [b"old", b""]


def test_a_line_that_is_appended_can_be_cut_but_what_was_there_stays(place: Path) -> None:
    states = after(place, opened("file", "O_WRONLY|O_APPEND", 3), written("1234", 3))
    assert [state["file"] for state in states] == [b"old", b"old1", b"old12", b"old123", b"old1234"]
    cut = after(place, opened("file", "O_WRONLY|O_APPEND", 3), written("1234", 3), "ftruncate(3, 3) = 0")
    assert cut == [{"file": b"old"}]


def test_a_folder_takes_along_what_is_forced_in_it(place: Path) -> None:
    made = [f"mkdir({text('.run')}, 0777) = 0", opened(".run/a", CREATE, 3), written("1", 3), "fsync(3) = 0"]
    move = f"renameat(AT_FDCWD, {text('.run')}, AT_FDCWD, {text('run')}) = 0"
    loose = after(place, *made, move)
    assert {"file": b"old", "run": None} in loose  # the name of what is in it was not forced
    inside = [opened(".run", "O_RDONLY", 5), "fsync(5) = 0"]
    assert after(place, *made, *inside, move, *FOLDER) == [{"file": b"old", "run": None, "run/a": b"1"}]


def test_what_failed_or_lies_elsewhere_changes_nothing(place: Path) -> None:
    disk = Disk(place)
    for line in (
        f"mkdir({text('x')}, 0777) = -1 EEXIST (File exists)", opened("/elsewhere/file", CREATE, 7), written("?", 7),
        f"unlink({text('/elsewhere/file')}) = 0", "fsync(7) = 0", "+++ exited with 0 +++",
    ):  # fmt: skip
        assert not disk.apply(line)
    assert disk.now() == {"file": b"old"}


def test_unlinked_files_may_come_back_until_their_folder_is_forced(place: Path) -> None:
    disk = Disk(place)
    assert disk.apply(f"unlinkat(AT_FDCWD, {text('file')}, 0) = 0")
    assert list(disk.states(seed=0)) == [{"file": b"old"}, {}]
    assert disk.left_over() == ["."]


def test_locks_mean_nothing_and_links_are_not_followed(place: Path) -> None:
    assert after(place, opened("run.lock", CREATE, 3)) == [{"file": b"old"}]
    with pytest.raises(ValueError, match="A link was made"):
        after(place, f"symlink({text('file')}, {text('other')}) = 0")


def test_many_open_chances_are_drawn_from(place: Path) -> None:
    lines = [line for n in range(9) for line in (opened(f"f{n}", CREATE, 10 + n), written("ab", 10 + n))]
    states = after(place, *lines)
    assert len(states) == 64
    assert states[0] == {"file": b"old"}
    assert states[-1] == {"file": b"old"} | {f"f{n}": b"ab" for n in range(9)}
