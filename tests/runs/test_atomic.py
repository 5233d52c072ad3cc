"""A write leaves the old file or the new one, and a failed one is a sentence."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snellen.errors import StorageError
from snellen.runs.atomic import append_line, write_bytes, write_json, write_parts, write_text


def failing(code: int) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_is_there_and_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "deep" / "down" / "a", b"\x00\xff")
    assert (tmp_path / "deep" / "down" / "a").read_bytes() == b"\x00\xff"
    assert files(tmp_path / "deep" / "down") == ["a"]


def test_text_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "Ω 文")
    assert (tmp_path / "a").read_bytes() == "Ω 文".encode()


def test_json_keeps_its_order_and_its_letters(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"z": "Ω", "a": 1})
    assert (tmp_path / "a").read_text(encoding="utf-8") == '{\n  "z": "Ω",\n  "a": 1\n}\n'


def test_json_cannot_hold_what_is_no_number_and_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"loss": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a", {"loss": float("nan")})
    assert json.loads((tmp_path / "a").read_text()) == {"loss": 1}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "this user may not write there"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_failure_before_the_rename_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, reason: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, call, failing(code))
    with pytest.raises(StorageError) as failed:
        write_bytes(path, b"new")
    assert str(failed.value).startswith(f"Cannot write {path}: {reason}. What was there before is untouched")
    assert failed.value.exit_code == 1
    assert path.read_bytes() == b"old"
    assert files(tmp_path) == ["a"]


def test_the_bytes_are_forced_to_disk_before_the_rename_and_the_rename_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        calls.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "fsync file")
        fsync(descriptor)

    def note_replace(old: Path, new: Path) -> None:
        calls.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_bytes(tmp_path / "a", b"new")
    assert calls == ["fsync file", "rename", "fsync folder"]


def test_a_path_that_leads_through_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for write in (lambda path: write_bytes(path, b"new"), lambda path: append_line(path, "new")):
        with pytest.raises(StorageError, match="Cannot write"):
            write(tmp_path / "file" / "a")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_name_longer_than_names_can_be_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="too long"):
        write_bytes(tmp_path / ("a" * 300), b"new")


def test_a_really_full_disk_keeps_the_old_file(full_disk: Path) -> None:
    with pytest.raises(StorageError, match="the disk is full"):
        write_bytes(full_disk / "old", b"x" * 100_000)
    assert (full_disk / "old").read_bytes() == b"old"
    assert files(full_disk) == ["old"]


def test_a_line_that_fits_only_in_part_is_a_failure_and_no_success(full_disk: Path) -> None:
    written = 0
    with pytest.raises(StorageError, match="the disk is full"):
        for _ in range(100):
            append_line(full_disk / "lines", "x" * 3_000)
            written += 1
    pieces = (full_disk / "lines").read_text().split("\n")
    assert pieces[:-1] == ["x" * 3_000] * written
    assert pieces[-1] == ""  # the part that the kernel took was given back


def test_a_short_write_is_a_failure_on_any_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:-3]))
    with pytest.raises(StorageError, match="the disk is full"):
        append_line(tmp_path / "lines", "a whole line")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_that_is_always_full_is_a_sentence() -> None:
    with pytest.raises(StorageError, match="Cannot write /dev/full: the disk is full"):
        append_line(Path("/dev/full"), "a")


def test_a_read_only_disk_is_a_sentence(full_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    for write in (lambda: write_bytes(full_disk / "old", b"new"), lambda: append_line(full_disk / "old", "new")):
        with pytest.raises(StorageError, match="the file system is read-only"):
            write()
    assert (full_disk / "old").read_bytes() == b"old"


def test_lines_are_appended_whole_and_in_order(tmp_path: Path) -> None:
    for line in ("a", "Ω", ""):
        append_line(tmp_path / "new" / "lines", line)
    assert (tmp_path / "new" / "lines").read_bytes() == "a\nΩ\n\n".encode()


def test_a_line_is_forced_to_disk_before_the_call_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(StorageError, match="Input/output error"):
        append_line(tmp_path / "lines", "a")


@pytest.mark.processes
def test_four_processes_append_without_tearing_a_line(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    code = "import sys; from pathlib import Path; from snellen.runs.atomic import append_line\n"
    code += "for n in range(25): append_line(Path(sys.argv[1]), sys.argv[2] * 500)"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), letter]) for letter in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert sorted(path.read_text().splitlines()) == sorted(letter * 500 for letter in "abcd" * 25)


@pytest.mark.processes
def test_a_kill_between_any_two_system_calls_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    code = (
        "import os, sys; from pathlib import Path; from snellen.runs import atomic\n"
        "def die(*_): os._exit(9)\n"
        "call = sys.argv[2]\n"
        "if call == 'fsync folder': atomic.sync_folder = die\n"
        "elif call: setattr(os, call, die)\n"
        "atomic.write_bytes(Path(sys.argv[1]), b'new' * 99)"
    )
    for call, expected in (("fsync", b"old"), ("replace", b"old"), ("fsync folder", b"new" * 99), ("", b"new" * 99)):
        path.write_bytes(b"old")
        done = subprocess.run([sys.executable, "-c", code, str(path), call])
        assert done.returncode == (9 if call else 0)
        assert path.read_bytes() == expected


def test_a_file_made_piece_by_piece_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_parts(path, (bytes([n]) * 3 for n in range(3)))
    assert path.read_bytes() == b"\0\0\0\1\1\1\2\2\2"

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        write_parts(path, broken())
    assert path.read_bytes() == b"\0\0\0\1\1\1\2\2\2"
    assert [child.name for child in path.parent.iterdir()] == ["file"]


def test_pieces_that_do_not_fit_on_the_disk_leave_the_old_file(full_disk: Path) -> None:
    with pytest.raises(StorageError, match="disk is full"):
        write_parts(full_disk / "old", (bytes(10_000) for _ in range(20)))
    assert (full_disk / "old").read_bytes() == b"old"
    assert [child.name for child in full_disk.iterdir()] == ["old"]


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_line_that_was_reported_as_failed_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "lines"
    append_line(path, "first")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.EIO))
        with pytest.raises(StorageError, match="Input/output error"):
            append_line(path, "second")
    assert path.read_bytes() == b"first\n"
    append_line(path, "third")
    assert path.read_bytes() == b"first\nthird\n"


def test_the_name_of_a_new_file_and_of_new_folders_is_forced_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = [], os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    append_line(tmp_path / "a" / "b" / "lines", "first")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b" / "lines", tmp_path / "a" / "b"]
    synced.clear()
    append_line(tmp_path / "a" / "b" / "lines", "second")
    assert synced == [tmp_path / "a" / "b" / "lines"]


def test_a_write_that_is_stopped_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    write_bytes(tmp_path / "a", b"old")
    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", b"new")
    assert files(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


# A received folder


def test_a_link_in_the_place_of_what_is_written_is_replaced_or_refused_and_never_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    (run / "guards.json").symlink_to(victim)
    write_text(run / "guards.json", "new")
    assert not (run / "guards.json").is_symlink()
    (run / "ledger.jsonl").symlink_to(victim)
    with pytest.raises(StorageError, match="is a link, which is not followed"):
        append_line(run / "ledger.jsonl", "line")
    (tmp_path / "elsewhere").mkdir()
    (run / "export").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="is a link, which is not followed"):
        write_text(run / "export" / "model.json", "{}")
    assert victim.read_text() == "mine"
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_a_killed_writer_left_is_taken_away_by_the_next_of_the_same_file(tmp_path: Path) -> None:
    old, fresh, other = (
        tmp_path / f".{name}.tmp" for name in ("report[1].html.00ff", "report[1].html.11ee", "x.json.0a")
    )
    for path in (old, fresh, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (time.time() - 4_000,) * 2)
    write_text(tmp_path / "report[1].html", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([fresh.name, other.name, "report[1].html"])


def test_a_temporary_file_is_a_new_one_of_a_name_nobody_can_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: names.append(Path(old).name) or replace(old, new))
    for _ in range(2):
        write_text(tmp_path / "a", "x")
    assert len(set(names)) == 2
    monkeypatch.setattr("secrets.token_hex", lambda size: "known")
    (tmp_path / ".a.known.tmp").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError, match="File exists"):
        write_text(tmp_path / "a", "y")
    assert not (tmp_path / "victim").exists()
