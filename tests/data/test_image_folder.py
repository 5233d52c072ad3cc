"""Layouts: what is a class, what is a part, and what is never touched."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snellen.data.image_folder import list_pictures, pictures_in
from snellen.data.listing import Listing
from snellen.errors import BadSplit, DataError, DataNotFound


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), shade, dtype=np.uint8)).save(path)
    return path


def by_name(listing: Listing) -> dict[str, tuple[str, str | None]]:
    """Name below the root -> class and part."""
    return {
        one.name: (listing.class_names[label], one.part)
        for one, label in zip(listing.found, listing.labels, strict=True)
    }


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    root = tmp_path / "birds"
    for name in ("robin/1.png", "robin/2.png", "wren/1.png", "wren/old/2.png"):
        picture(root / name)
    return root


def test_a_flat_folder_has_one_class_per_folder_subfolders_included(birds: Path) -> None:
    listing = list_pictures(birds)
    assert listing.class_names == ("robin", "wren")
    assert by_name(listing) == {
        "robin/1.png": ("robin", None),
        "robin/2.png": ("robin", None),
        "wren/1.png": ("wren", None),
        "wren/old/2.png": ("wren", None),
    }
    assert not any(listing.left_out.values())


@pytest.mark.parametrize(("folder", "part"), [("val", "val"), ("valid", "val"), ("Validation", "val"), ("dev", "val")])
def test_parts_are_known_by_their_usual_names(tmp_path: Path, folder: str, part: str) -> None:
    for where in ("train", folder, "test"):
        for name in ("a", "b"):
            picture(tmp_path / where / name / "1.png")
    found = {one.name: one.part for one in list_pictures(tmp_path).found}
    assert found[f"{folder}/a/1.png"] == part
    assert found["train/a/1.png"] == "train"
    assert found["test/b/1.png"] == "test"


def test_a_class_missing_from_test_moves_no_label(tmp_path: Path) -> None:
    for name in ("ant", "bee", "cat"):
        picture(tmp_path / "train" / name / "1.png")
    for name in ("cat", "bee"):  # made in another order, and without the first class
        picture(tmp_path / "test" / name / "1.png")
    assert by_name(list_pictures(tmp_path))["test/cat/1.png"] == ("cat", "test")
    assert by_name(list_pictures(tmp_path))["test/bee/1.png"] == ("bee", "test")


def test_a_class_that_only_test_has_is_named(tmp_path: Path) -> None:
    for name in ("train/ant", "train/bee", "test/ant", "test/wasp"):
        picture(tmp_path / name / "1.png")
    with pytest.raises(DataError, match="test has the class 'wasp', which train has not"):
        list_pictures(tmp_path)


def test_a_class_folder_may_be_empty_in_test_but_not_in_train(tmp_path: Path) -> None:
    for name in ("train/ant", "train/bee", "test/ant"):
        picture(tmp_path / name / "1.png")
    picture(tmp_path / "train" / "stray.png")
    (tmp_path / "test" / "bee").mkdir()
    listing = list_pictures(tmp_path)
    assert (listing.class_names, listing.layout) == (("ant", "bee"), "test/, train/ with one folder per class")
    assert listing.left_out["files in train/ without a class folder"] == 1
    (tmp_path / "train" / "owl").mkdir()
    with pytest.raises(DataError, match="class folder 'owl' in .* is empty"):
        list_pictures(tmp_path)


def test_a_table_beside_all_parts_speaks_for_them(tmp_path: Path) -> None:
    for folder, rows in ((tmp_path, "train/1.png,a\ntrain/2.png,b\n"), (tmp_path / "train", "1.png,x\n2.png,y\n")):
        for number in (1, 2):
            picture(tmp_path / "train" / f"{number}.png")
        (folder / "metadata.csv").write_text(f"file_name,label\n{rows}")
    listing = list_pictures(tmp_path)
    assert (listing.class_names, len(listing.found)) == (("a", "b"), 2)


@pytest.mark.parametrize("name", ["birds.csv", "birds.tar", "birds.parquet"])
def test_a_folder_may_be_called_as_a_table_is(birds: Path, name: str) -> None:
    assert list_pictures(birds.rename(birds.with_name(name))).class_names == ("robin", "wren")


def test_numbered_classes_count_up_by_value(tmp_path: Path) -> None:
    for name in ("10", "9", "1"):
        picture(tmp_path / name / "1.png")
    assert list_pictures(tmp_path).class_names == ("1", "9", "10")


def test_one_class_has_one_name_however_its_letters_are_composed(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "Käfer" / "1.png")
    picture(tmp_path / "train" / "Wespe" / "1.png")
    picture(tmp_path / "test" / "Ka\u0308fer" / "1.png")
    listing = list_pictures(tmp_path)
    assert listing.class_names == ("Käfer", "Wespe")
    assert by_name(listing)["test/Ka\u0308fer/1.png"] == ("Käfer", "test")


@pytest.mark.parametrize("name", ["with space", "new\nline", "名前", "a'b\"c", "-dash", "semi;colon", "[red]"])
def test_any_name_is_a_name(birds: Path, name: str) -> None:
    picture(birds / name / f"{name}.png")
    listing = list_pictures(birds)
    assert len(listing.found) == 5
    assert len(listing.class_names) == 3
    assert all("\n" not in text for text in (*listing.class_names, *(one.name for one in listing.found)))


def test_a_name_is_made_printable_once(birds: Path) -> None:
    (birds / "a\u202eb").mkdir()
    with pytest.raises(DataError, match=r"The class folder 'a\\u202eb' in .* is empty"):
        list_pictures(birds)


def test_a_name_that_is_no_unicode_is_escaped(birds: Path) -> None:
    folder = os.fsencode(birds) + b"/caf\xe9"
    os.mkdir(folder)
    picture(birds / "robin" / "3.png").rename(os.fsdecode(folder + b"/\xff.png"))
    listing = list_pictures(birds)
    assert "caf\\xe9" in listing.class_names
    assert all(one.name.encode() for one in listing.found)


# What is never touched


def test_links_out_of_the_folder_are_not_followed(birds: Path, tmp_path: Path) -> None:
    secret = picture(tmp_path / "elsewhere" / "secret.png")
    (birds / "robin" / "out.png").symlink_to(secret)
    (birds / "robin" / "nowhere.png").symlink_to("missing")
    (birds / "robin" / "circle.png").symlink_to("circle.png")
    (birds / "wren" / "folder").symlink_to(secret.parent)
    (birds / "more").symlink_to(secret.parent)
    (birds / "robin" / "inside.png").symlink_to("1.png")
    (birds / "beside.png").symlink_to("robin/1.png")  # of no class
    listing = list_pictures(birds)
    assert len(listing.found) == 5  # the four, and the link that stays inside
    assert listing.left_out["links that lead out of the folder, to folders or nowhere"] == 4
    assert listing.left_out["links to folders, not followed"] == 1
    assert listing.class_names == ("robin", "wren")


def test_special_and_hidden_files_are_left_out(birds: Path) -> None:
    os.mkfifo(birds / "robin" / "pipe.png")  # opening it would wait for ever
    (birds / "robin" / ".DS_Store").write_bytes(b"x")
    picture(birds / ".cache" / "1.png")
    picture(birds / "__MACOSX" / "1.png")
    listing = list_pictures(birds)
    assert len(listing.found) == 4
    assert listing.left_out["special files (pipes, devices, sockets)"] == 1
    assert listing.left_out["hidden files"] == 1


def test_files_beside_the_class_folders_are_counted(birds: Path) -> None:
    picture(birds / "stray.png")
    assert list_pictures(birds).left_out["files beside the class folders"] == 1


# What cannot be a data set


def test_an_empty_class_folder_is_refused_by_name(birds: Path) -> None:
    (birds / "owl").mkdir()
    with pytest.raises(DataError, match="class folder 'owl' in .* is empty"):
        list_pictures(birds)


def test_a_single_class_is_enough_only_where_nothing_is_learned(tmp_path: Path) -> None:
    (tmp_path / "robin").mkdir()
    for to_learn in (True, False):
        with pytest.raises(DataError, match="class folder 'robin' in .* is empty"):
            list_pictures(tmp_path, to_learn=to_learn)
    picture(tmp_path / "robin" / "1.png")
    assert list_pictures(tmp_path, to_learn=False).class_names == ("robin",)
    with pytest.raises(BadSplit, match="one class only, 'robin'"):
        list_pictures(tmp_path)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["1.png", "2.png"], r"no class folders \(2 files\). Make one folder per class"),
        (["1.png", "labels.csv"], "Is labels.csv the list of labels"),
        (["c.csv", "a.csv", "e.csv", "b.csv", "d.csv"], "Is a.csv the list of labels"),
        (["data-00000-of-00001.arrow", "state.json"], "save_to_disk"),
        (["val/a/1.png", "test/a/1.png"], "val/ but no train/"),
        (["train/a/1.png", "train/b/1.png", "extra/1.png"], "'train' beside 'extra': is one a part and the other a"),
    ],
)
def test_what_is_no_layout_is_one_sentence_with_a_way_out(tmp_path: Path, names: list[str], sentence: str) -> None:
    for name in names:
        picture(tmp_path / name) if name.endswith(".png") else (tmp_path / name).write_text("")
    with pytest.raises(DataError, match=sentence):
        list_pictures(tmp_path)


def test_a_class_may_be_called_train_where_nothing_lies_below_it(tmp_path: Path) -> None:
    for name in ("bus", "car", "train"):
        picture(tmp_path / name / "1.png")
    assert list_pictures(tmp_path).class_names == ("bus", "car", "train")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="is not there"):
        list_pictures(tmp_path / "birds")
    (tmp_path / "notes.docx").write_text("")
    with pytest.raises(DataNotFound, match=r"neither a folder nor a table nor a shard \(.csv"):
        list_pictures(tmp_path / "notes.docx")


def test_the_quick_check_sees_every_change_of_a_file(birds: Path) -> None:
    digests = [list_pictures(birds).digest()]
    assert list_pictures(birds).digest() == digests[0]
    picture(birds / "robin" / "3.png")
    digests.append(list_pictures(birds).digest())
    (birds / "robin" / "3.png").rename(birds / "robin" / "4.png")
    digests.append(list_pictures(birds).digest())
    os.utime(birds / "robin" / "4.png", ns=(1, 1))
    digests.append(list_pictures(birds).digest())
    picture(birds / "robin" / "4.png", shade=9)
    digests.append(list_pictures(birds).digest())
    assert len(set(digests)) == len(digests)


# What other programs leave behind


def test_run_folders_and_folders_without_pictures_are_no_classes_and_are_named(birds: Path) -> None:
    """`cd birds; snellen train .; snellen train .`"""
    (birds / "runs" / "birds-folder-s0").mkdir(parents=True)
    (birds / "runs" / "birds-folder-s0" / "run.json").write_text("{}")
    picture(birds / "runs" / "birds-folder-s0" / "confusion.png")
    for name in ("__pycache__/a.pyc", "logs/events.out", "notes/a.txt", "robin/notes.md", ".idea/1.png"):
        (birds / name).parent.mkdir(exist_ok=True)
        (birds / name).write_bytes(b"x")
    picture(birds / "robin" / "@eaDir" / "1.png")
    listing = list_pictures(birds)
    assert listing.class_names == ("robin", "wren")
    assert len(listing.found) == 4
    for name in ("runs", "logs", "notes"):
        assert listing.left_out[f"the folder {name}, which holds no picture"] == 1
    assert listing.left_out["notes and tables beside the pictures"] == 1


def test_beside_parts_only_what_holds_pictures_is_asked_about(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png"):
        picture(tmp_path / name)
    for name in ("runs/x/run.json", "logs/a.log"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("{}")
    assert list_pictures(tmp_path).class_names == ("a", "b")
    picture(tmp_path / "extra" / "1.png")
    with pytest.raises(DataError, match="'train' beside 'extra'"):
        list_pictures(tmp_path)


def test_pictures_are_known_by_content_where_their_names_say_nothing(birds: Path) -> None:
    picture(birds / "owl" / "1.png").rename(birds / "owl" / "0001")
    picture(birds / "kite" / "1.png").rename(birds / "kite" / "1.txt")
    assert list_pictures(birds).class_names == ("kite", "owl", "robin", "wren")


def test_class_folders_that_are_links_are_mentioned(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"Left out: links to folders, not followed \(1\)"):
        list_pictures(tmp_path / "data")


def test_linked_tables_and_shards_that_lead_out_are_not_read(birds: Path, tmp_path: Path) -> None:
    for name in ("metadata.csv", "train.parquet"):
        (tmp_path / name).write_text("path,label\n../x.png,a\n")
        (birds / name).symlink_to(tmp_path / name)
    (birds / "data").symlink_to(tmp_path)
    listing = list_pictures(birds)
    assert listing.class_names == ("robin", "wren")
    assert listing.left_out["links that lead out of the folder"] == 1


# Pictures to be predicted


def test_a_folder_to_predict_is_listed_by_the_same_rule(birds: Path) -> None:
    for name in (".DS_Store", "._1.png", "Thumbs.db", "readme.txt"):
        (birds / name).write_bytes(b"x")
    (birds / "robin" / "inside.png").symlink_to("../wren/1.png")
    found = [str(path.relative_to(birds)) for path in pictures_in(birds)]
    assert found == [one.name for one in list_pictures(birds).found]
    (birds / "empty").mkdir()
    (birds / "empty" / "notes.txt").write_bytes(b"x")
    with pytest.raises(DataError, match=r"empty holds no pictures. Left out: notes and tables .* \(1\)"):
        pictures_in(birds / "empty")
