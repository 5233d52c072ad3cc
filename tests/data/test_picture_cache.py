"""The cache: decoded once, never wrong, whole after a kill."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mixed_pictures import write_folder
from snellen.data import picture_cache
from snellen.data.eyechart import make_eyechart
from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.pictures import PictureForm
from snellen.errors import StorageError

pytestmark = pytest.mark.usefixtures("no_cache")


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    write_folder(make_eyechart(0, train=60, test=0).train, tmp_path / "letters")
    return tmp_path / "letters"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one entry for each picture that is really decoded."""
    calls: list[int] = []
    read = PictureForm.read

    def counting(form: PictureForm, source: Any) -> Any:
        calls.append(1)
        return read(form, source)

    monkeypatch.setattr(PictureForm, "read", counting)
    return calls


Told = list[tuple[int, int]]


@pytest.fixture
def load(letters: Path) -> Callable[..., tuple[str, Told]]:
    def load(side: int = 16, **options: object) -> tuple[str, Told]:
        told: Told = []
        reading = ImageOptions(side, **options)  # type: ignore[arg-type]
        return load_folder(letters, reading, lambda *at: told.append(at)).train.fingerprint, told

    return load


def test_the_second_time_nothing_is_read(load: Callable[..., tuple[str, Told]], decoded: list[int]) -> None:
    first, told = load()
    assert len(decoded) == 60
    assert told[-1] == (60, 60)
    assert load() == (first, [])
    assert len(decoded) == 60


def test_only_new_content_is_decoded(load: Callable[..., tuple[str, Told]], letters: Path, decoded: list[int]) -> None:
    before, _ = load()
    paths = sorted(letters.glob("*/*"))
    for path in paths:
        os.utime(path, ns=(5, 5))  # as after a copy or a checkout
    paths[0].rename(paths[0].with_name("renamed.jpg"))
    assert load()[0] == before
    assert len(decoded) == 60
    Image.new("RGB", (30, 30), (9, 99, 9)).save(paths[1])
    Image.new("RGB", (30, 30), (99, 9, 9)).save(paths[1].with_name("new.png"))
    assert load()[0] != before
    assert len(decoded) == 62


def test_a_changed_file_of_the_same_size_and_time_is_seen(load: Callable[..., tuple[str, Told]], letters: Path) -> None:
    path = sorted(letters.glob("*/*rgb.bmp"))[0]
    before, _ = load()
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-600:] = bytes(600)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert load()[0] != before


def test_another_size_fit_or_decoder_is_another_cache(
    load: Callable[..., tuple[str, Told]], decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(16)
    load(24)
    load(16, fit="squash")
    assert len(decoded) == 180
    load(16)
    assert len(decoded) == 180
    monkeypatch.setattr(picture_cache, "DECODER", 0)
    load(16)
    assert len(decoded) == 240


def test_another_test_share_moves_pixels_and_decodes_none(
    load: Callable[..., tuple[str, Told]], decoded: list[int]
) -> None:
    first = load()[0]
    assert load(test_fraction=0.3)[0] != first
    assert load()[0] == first
    assert len(decoded) == 60


def cache_file(name: str) -> Path:
    (path,) = picture_cache.pictures_folder().glob(f"*/{name}")
    return path


def edit_index(change: Callable[[dict[str, Any]], object]) -> None:
    path = cache_file("index.json")
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    "damage",
    [
        lambda: cache_file("index.json").write_bytes(b"{"),
        lambda: cache_file("index.json").write_text('{"format": 1}'),
        lambda: cache_file("index.json").unlink(),
        lambda: cache_file("pixels-*").unlink(),
        lambda: os.truncate(cache_file("pixels-*"), 1_000),
        lambda: edit_index(lambda index: index["order"].__setitem__(0, 10**40)),
        lambda: edit_index(lambda index: index["order"].__setitem__(0, -1)),
        lambda: edit_index(lambda index: index["order"].__setitem__(0, index["order"][1])),
        lambda: edit_index(lambda index: index["order"].__setitem__(0, 10**6)),
        lambda: edit_index(lambda index: index.update(order=[index["order"]])),
        lambda: edit_index(lambda index: index.update(pixels="../../../etc/passwd")),
    ],
)
def test_a_damaged_cache_is_made_again(
    load: Callable[..., tuple[str, Told]], decoded: list[int], damage: Callable[[], object]
) -> None:
    first = load()[0]
    damage()
    assert load()[0] == first
    assert len(decoded) == 120


def test_old_pixels_are_removed_and_mapped_ones_stay_readable(letters: Path) -> None:
    before = load_folder(letters, ImageOptions(16)).train
    copy = before.images.copy()
    Image.new("RGB", (30, 30)).save(letters / "C" / "new.png")
    load_folder(letters, ImageOptions(16))
    assert cache_file("pixels-*")
    np.testing.assert_array_equal(before.images, copy)


def test_writing_into_mapped_pixels_changes_no_file(letters: Path) -> None:
    images = load_folder(letters, ImageOptions(16)).train
    images.images[:] = 0
    assert load_folder(letters, ImageOptions(16)).train.images.max() > 0


def test_a_full_disk_is_one_sentence(full_disk: Path, letters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(full_disk))
    with pytest.raises(StorageError, match=r"disk is full.*They take 0.7 MB.*XDG_CACHE_HOME") as caught:
        load_folder(letters, ImageOptions(64))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")], caught
    assert not list(full_disk.glob("snellen/pictures/*/*.tmp"))


def test_damaged_pixels_are_noticed_and_made_again(load: Callable[..., tuple[str, Told]], decoded: list[int]) -> None:
    first = load()[0]
    path = cache_file("pixels-*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert load()[0] == first
    assert len(decoded) == 120


def test_a_complete_cache_that_may_only_be_read_is_enough(
    load: Callable[..., tuple[str, Told]], letters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load()

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(picture_cache, "FileLock", refused)
    assert load() == (first[0], [])
    Image.new("RGB", (30, 30)).save(letters / "C" / "new.png")
    with pytest.raises(StorageError, match="may not write there"):
        load()


def test_without_a_home_folder_the_way_out_is_said(
    load: Callable[..., tuple[str, Told]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(StorageError, match="no home folder.*XDG_CACHE_HOME="):
        load()


@pytest.mark.processes
def test_killed_half_way_it_starts_again_and_leaves_nobody_behind(tmp_path: Path) -> None:
    write_folder(make_eyechart(0, train=400, test=0).train, tmp_path / "letters", kinds=("rgb.png",))
    code = (
        "import sys\nfrom pathlib import Path\nfrom snellen.data.folder_dataset import ImageOptions, load_folder\n"
        "def told(done, total):\n    print(done, flush=True)\n    import time; time.sleep(0.3)\n"
        "if __name__ == '__main__':\n"
        "    print(load_folder(Path(sys.argv[1]), ImageOptions(16), told).train.fingerprint)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(tmp_path / "letters")]
    begun = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert begun.stdout is not None
    begun.stdout.readline()
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    begun.stdout.close()
    assert not list(picture_cache.pictures_folder().glob("*/index.json"))
    expected = load_folder(tmp_path / "letters", ImageOptions(16)).train
    assert len(expected) == 400
    assert not list(picture_cache.pictures_folder().glob("*/.*.tmp"))
    _wait_until(lambda: not _members_of(begun.pid))


def _members_of(session: int) -> list[str]:
    """Processes of that session that still run."""
    listed = subprocess.run(["ps", "-e", "-o", "sid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [state for sid, state in rows if sid == str(session) and not state.startswith("Z")]


def _wait_until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_how_far_decoding_has_come_is_told_now_and_then_and_at_the_end(
    load: Callable[..., tuple[str, Told]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_cache, "_TOLD_EVERY", 25)
    assert load()[1] == [(25, 60), (50, 60), (60, 60)]


# Decoding in parallel


def test_threads_give_what_one_gives_in_the_order_of_the_files(
    letters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (letters / "C" / "broken.png").write_bytes(b"no")
    monkeypatch.setattr(picture_cache, "processors", lambda: 1)
    alone = load_folder(letters, ImageOptions(16))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(picture_cache, "processors", lambda: 5)
    together = load_folder(letters, ImageOptions(16))
    np.testing.assert_array_equal(together.train.images, alone.train.images)
    assert [line for line in together.about if "pictures  " not in line] == [
        line for line in alone.about if "pictures  " not in line
    ]


@pytest.mark.processes
def test_a_script_without_a_guard_is_run_once_and_ends(tmp_path: Path) -> None:
    """Nothing may start a process that imports the user's script again."""
    write_folder(make_eyechart(0, train=240, test=0).train, tmp_path / "letters", kinds=("rgb.png",))
    (tmp_path / "fit.py").write_text("import snellen\nprint('begun')\nprint(len(snellen.load('letters').train))\n")
    done = subprocess.run([sys.executable, "fit.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.stdout.split(), done.stderr) == (["begun", "240"], "")
