"""WebDataset shards: found, labelled, split and decoded as any other pictures; hostile ones are refused or left out."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from tests.made_shards import CLASSES, jpeg, samples, write_shards, write_tar

from snellen.data import catalog, shards
from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.image_folder import list_pictures
from snellen.data.listing import Listing
from snellen.data.run_images import load_as_before
from snellen.errors import DataError, DataNotFound, HostileFile

OPTIONS = ImageOptions(16)


def seen(listing: Listing) -> list[tuple[str, str, str | None]]:
    return [
        (one.name, listing.class_names[label], one.part)
        for one, label in zip(listing.found, listing.labels, strict=True)
    ]


def labelled(*labels: tuple[str, bytes]) -> list[tuple[str, bytes]]:
    """One picture for each label member (suffix and content)."""
    members = []
    for number, (suffix, content) in enumerate(labels):
        members += [(f"{number}.jpg", jpeg(number, 20)), (f"{number}.{suffix}", content)]
    return members


# What is understood


def test_shards_load_as_the_same_pictures_in_class_folders_do(tmp_path: Path, no_cache: None) -> None:
    write_shards(tmp_path / "shards", [30, 30, 20], side=20)
    for number in range(80):
        path = tmp_path / "folders" / str(number % CLASSES) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number, 20))
    from_shards, from_folders = load_folder(tmp_path / "shards", OPTIONS), load_folder(tmp_path / "folders", OPTIONS)
    assert from_shards.train.fingerprint == from_folders.train.fingerprint
    assert from_shards.train.class_names == tuple(map(str, range(CLASSES)))
    in_val = [
        sorted(data.train.content_hashes[data.in_val].tolist())
        for data in (from_shards, from_folders)
        if data.in_val is not None
    ]
    assert in_val[0] == in_val[1] != []
    assert from_shards.train.files[35] == "000001.tar 000000035.jpg"


def test_a_brace_pattern_names_shards_in_several_folders(tmp_path: Path, no_cache: None) -> None:
    for disk in ("a", "b"):
        write_shards(tmp_path / disk / "train", [20, 20, 20], side=20)
    found = list_pictures(tmp_path / "{a,b}/train/{000001..000002}.tar")
    assert Counter(one.path.relative_to(tmp_path).as_posix() for one in found.found) == {
        f"{disk}/train/{number:06d}.tar": 20 for disk in "ab" for number in (1, 2)
    }
    assert {one.part for one in found.found} == {"train"}
    dataset = catalog.load(str(tmp_path / "a/train/{000000..000002}.tar"), options=OPTIONS)
    assert (dataset.name, len(dataset.train)) == ("train", 60)
    again = load_as_before({"name": dataset.name, "source": dataset.source, "loading": dataset.loading})
    assert again.train.fingerprint == dataset.train.fingerprint


def test_a_pattern_names_parquet_shards_as_well(tmp_path: Path) -> None:
    for number in range(2):
        cells = [jpeg(number * 4 + row, 20) for row in range(4)]
        parquet.write_table(pyarrow.table({"image": cells, "label": [0, 1, 0, 1]}), tmp_path / f"{number}.parquet")
    assert len(list_pictures(tmp_path / "{0..1}.parquet").found) == 8


@pytest.mark.parametrize(
    "names", [("train/{:03d}.tar", "test/{:03d}.tar"), ("train-{:03d}.tar", "test-{:03d}.tar"),
              ("birds-train-{:03d}.tar", "birds-test-{:03d}.tar"), ("data/train-{:03d}.tar", "data/test-{:03d}.tar")],
)  # fmt: skip
def test_a_part_is_told_by_folder_or_name(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        write_tar(tmp_path / name.format(0), samples(range(4), 20))
    parts = {name.format(0): part for name, part in zip(names, ("train", "test"), strict=True)}
    assert {one.path.relative_to(tmp_path).as_posix(): one.part for one in list_pictures(tmp_path).found} == parts


@pytest.mark.parametrize(
    ("suffix", "contents"),
    [
        ("cls", (b"cat\n", b"dog\n")),
        ("txt", (b"cat", b"dog")),
        ("json", (json.dumps({"label": "cat"}).encode(), json.dumps({"class": "dog", "id": 3}).encode())),
        ("CLS", (b"cat", b"dog")),
    ],
)
def test_a_label_stands_in_cls_txt_or_json(tmp_path: Path, suffix: str, contents: tuple[bytes, bytes]) -> None:
    write_tar(tmp_path / "0.tar", labelled(*((suffix, content) for content in contents)))
    assert [label for _, label, _ in seen(list_pictures(tmp_path))] == ["cat", "dog"]


def test_numbers_are_named_by_the_list_beside_the_shards(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", labelled(("cls", b"1"), ("cls", b"0"), ("cls", b"7")))
    (tmp_path / "classnames.txt").write_text("zebra\nant\n")
    listing = list_pictures(tmp_path)
    assert listing.class_names == ("zebra", "ant", "7")  # as declared, not sorted
    assert [label for _, label, _ in seen(listing)] == ["ant", "zebra", "7"]


def test_what_is_no_labelled_picture_is_left_out_and_counted(tmp_path: Path) -> None:
    members = labelled(("cls", b"a"), ("cls", b"b"), ("json", b"{"), ("cls", b""), ("json", b"[1]"), ("cls", b"-1"))
    members += [("x.jpg", b"1"), ("y.jpg", b"1"), ("y.mask.png", b"2"), ("y.cls", b"a"), ("z.cls", b"a")]
    write_tar(tmp_path / "0.tar", members)
    listing = list_pictures(tmp_path)
    assert [one.name for one in listing.found] == ["0.tar 0.jpg", "0.tar 1.jpg"]
    assert listing.left_out == {
        "samples without a label": 5, shards._SEVERAL: 1, "samples without a picture": 1,
    }  # fmt: skip


def test_broken_pictures_are_listed_and_the_others_are_learned_from(tmp_path: Path, no_cache: None) -> None:
    members = list(samples(range(40), 20))
    members[2 * 7] = (members[2 * 7][0], jpeg(7, 20)[:300])
    members[2 * 9] = (members[2 * 9][0], b"")
    write_tar(tmp_path / "in" / "0.tar", members)
    dataset = load_folder(tmp_path / "in", OPTIONS)
    assert len(dataset.train) == 38
    (skipped,) = (line for line in dataset.about if line.startswith("skipped"))
    assert "2 unreadable: 0.tar 000000007.jpg is broken" in skipped
    assert "0.tar 000000009.jpg is empty (0 bytes)" in skipped
    with pytest.raises(DataError, match="2 of 40 files cannot be read"):
        load_folder(tmp_path / "in", ImageOptions(16, strict=True))


def test_a_copy_in_the_test_part_is_found(tmp_path: Path, no_cache: None) -> None:
    from snellen.data.splits import split
    from snellen.guards.duplicates import check_duplicates

    write_tar(tmp_path / "in" / "train-0.tar", samples(range(60), 20))
    write_tar(tmp_path / "in" / "test-0.tar", samples(range(58, 70), 20))
    dataset = load_folder(tmp_path / "in", OPTIONS)
    (duplicates,) = (verdict for verdict in check_duplicates(split(dataset)) if verdict.name == "test-duplicates")
    assert duplicates.passed is False
    assert "2 of 12 test pictures are in train or val to the pixel" in duplicates.evidence


def test_beside_class_folders_a_tar_is_a_file_like_any_other(tmp_path: Path) -> None:
    for name in ("robin", "wren"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(jpeg(1, 20))
    write_shards(tmp_path, [4], side=20)
    assert list_pictures(tmp_path).class_names == ("robin", "wren")


def test_new_shards_move_no_picture_to_another_part(tmp_path: Path, no_cache: None) -> None:
    def val() -> set[int]:
        data = load_folder(tmp_path / "in", OPTIONS)
        assert data.in_val is not None
        return set(data.train.content_hashes[data.in_val].tolist())

    write_shards(tmp_path / "in", [400], side=20)
    before = val()
    write_tar(tmp_path / "in" / "more.tar", samples(range(400, 500), 20))
    assert before < val()


# What is refused


def header(**fields: Any) -> bytes:
    info = tarfile.TarInfo("0.jpg")
    for name, value in fields.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def with_size(size: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header that says of its member this size, whatever it is, with the right checksum."""
    block = bytearray(header(type=kind))
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_no_member_but_pictures_and_labels_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
            return os.system, (f"touch {ran}",)

    evil = pickle.dumps(Evil())
    members = labelled(("cls", b"a"), ("cls", b"b"))
    for suffix in ("pyd", "pickle", "pkl", "pth", "npy", "py"):
        members.append((f"1.{suffix}", evil))
    write_tar(tmp_path / "in" / "0.tar", members)
    read: list[bytes] = []
    content = shards._content
    monkeypatch.setattr(shards, "_content", lambda file, span: read.append(content(file, span)) or read[-1])
    listing = list_pictures(tmp_path / "in")
    assert listing.left_out == {"members that are neither picture nor label": 6}
    assert list(shards.read_members(listing.found[0].path, [0, 1])) == [jpeg(0, 20), jpeg(1, 20)]
    assert evil not in read
    assert not ran.exists()


def test_links_devices_and_sparse_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(jpeg(5, 20))
    path = tmp_path / "in" / "0.tar"
    write_tar(path, labelled(("cls", b"a"), ("cls", b"b")))
    with tarfile.open(path, "a") as tar:
        for name, kind in (("2.jpg", tarfile.SYMTYPE), ("3.jpg", tarfile.LNKTYPE), ("4.jpg", tarfile.CHRTYPE),
                           ("5.jpg", tarfile.FIFOTYPE)):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../secret.jpg"
            tar.addfile(info)
            label = tarfile.TarInfo(f"{name[0]}.cls")
            label.size = 1
            tar.addfile(label, io.BytesIO(b"a"))
    listing = list_pictures(tmp_path / "in")
    assert len(listing.found) == 2
    assert listing.left_out["members that are no plain files (links, devices, sparse files)"] == 4


def test_a_name_that_leads_outside_is_a_name_and_nothing_is_written(tmp_path: Path, no_cache: None) -> None:
    members = list(samples(range(40), 20))
    members[0], members[1] = ("../../evil.jpg", members[0][1]), ("../../evil.cls", members[1][1])
    write_tar(tmp_path / "a" / "b" / "in" / "0.tar", members)
    assert len(load_folder(tmp_path / "a" / "b" / "in", OPTIONS).train) == 40
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_asks_for_more_than_a_picture_may_hold_is_refused(tmp_path: Path, kind: bytes) -> None:
    first = header(size=0)
    (tmp_path / "0.tar").write_bytes(first + with_size(b"77777777777\0", kind) + bytes(2048))
    with pytest.raises(HostileFile, match=r"0\.tar is not read: A header asks for 8,589,93"):
        list_pictures(tmp_path)


def test_a_header_of_negative_size_does_not_lead_round_in_circles(tmp_path: Path) -> None:
    back = b"\xff" * 10 + b"\xfc\x00"  # base 256: -1024
    (tmp_path / "0.tar").write_bytes(header(size=0) + with_size(back) + bytes(2048))
    with pytest.raises(HostileFile, match="has -1024 bytes"):
        list_pictures(tmp_path)


def test_a_member_larger_than_a_picture_may_be_is_left_out_unread(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "0.tar", labelled(("cls", b"a"), ("cls", b"b")))
    content = path.read_bytes()
    end = content.rstrip(b"\0")
    path.write_bytes(content[: -(-len(end) // 512) * 512] + with_size(b"03777777777\0"))
    os.truncate(path, path.stat().st_size + 0o3777777777 + 1)  # half a GiB that takes no room
    assert list_pictures(tmp_path).left_out == {"members that are too large": 1}


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.93])
def test_a_shard_cut_off_is_refused_and_named(tmp_path: Path, cut: float) -> None:
    path = write_tar(tmp_path / "0.tar", samples(range(20), 20))
    os.truncate(path, int(len(path.read_bytes().rstrip(b"\0")) * cut))
    with pytest.raises(DataError, match=r"0\.tar (cannot be read as a tar shard|is damaged from byte)"):
        list_pictures(tmp_path)


def test_rubbish_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "0.tar", samples(range(20), 20))
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        middle = tar.getmembers()[20].offset
    content[middle : middle + 512] = b"x" * 512
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"is damaged from byte {middle:,} on"):
        list_pictures(tmp_path)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("0.jpg", b"1"), ("0.jpg", b"2"), ("0.cls", b"a")])
    with pytest.raises(DataError, match="duplicate file name"):
        list_pictures(tmp_path)


def test_a_shard_that_changes_under_the_reader_is_noticed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "0.tar", samples(range(4), 20))
    with pytest.raises(DataError, match="has changed while it was read"):
        list(shards.read_members(path, [1, 9]))


@pytest.mark.parametrize(
    ("pattern", "error", "sentence"),
    [
        ("{000000..000004}.tar", DataNotFound, "names 5 shards, of which 4 are not there, such as .*000001.tar"),
        ("{000000,notes}.txt", DataError, "names no shards"),
        ("000000.{tar,parquet}", DataError, "names no shards"),
    ],
)
def test_a_pattern_that_names_no_shards_says_so(
    tmp_path: Path, pattern: str, error: type[Exception], sentence: str
) -> None:
    write_shards(tmp_path, [2], side=20)
    with pytest.raises(error, match=sentence):
        list_pictures(tmp_path / pattern)


def test_compressed_shards_are_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "0.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.tar\.gz is compressed"):
        list_pictures(tmp_path)


@pytest.mark.processes
def test_without_webdataset_the_install_line_is_said(tmp_path: Path) -> None:
    write_shards(tmp_path, [2], side=20)
    code = (
        "import sys; sys.modules['webdataset'] = None\nfrom snellen.cli.main import main\n"
        f"sys.exit(main(['data', 'info', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1, "snellen: Tar shards need webdataset, which is not installed: pip install 'snellen[streams]'\n",
    )  # fmt: skip


def test_a_second_dot_belongs_to_the_picture_and_more_are_explained(tmp_path: Path) -> None:
    members: list[tuple[str, bytes]] = []
    for number in range(4):
        members += [(f"{number}.crop.jpg", jpeg(number, 20)), (f"{number}.crop.cls", b"ab"[number % 2 :][:1])]
    members += [("2024.05.01_1.jpg", b"1"), ("2024.05.01_2.jpg", b"1"), ("2024.cls", b"a")]
    write_tar(tmp_path / "0.tar", members)
    listing = list_pictures(tmp_path)
    assert [one.name for one in listing.found] == [f"0.tar {number}.crop.jpg" for number in range(4)]
    assert any("first dot" in reason for reason in listing.left_out)


def test_a_linked_shard_is_read_by_name_and_by_pattern(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    for name in ("a", "b"):
        write_tar(tmp_path / "in" / f"{name}.tar", labelled(("cls", b"x"), ("cls", b"y")))
        (tmp_path / "in" / f"{name}.tar").rename(tmp_path / "blobs" / name)
        (tmp_path / "in" / f"{name}.tar").symlink_to(f"../blobs/{name}")
    assert len(list_pictures(tmp_path / "in" / "a.tar").found) == 2
    assert len(list_pictures(tmp_path / "in" / "{a,b}.tar").found) == 4
    with pytest.raises(DataError, match=r"no class folders .*links that lead out of the folder \(2\)"):
        list_pictures(tmp_path / "in")
