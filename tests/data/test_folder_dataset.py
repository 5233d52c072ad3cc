"""A folder of pictures as a data set: right pixels, right labels, a split that stays, and nothing left unsaid."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixed_pictures import KINDS, save_as, write_folder
from snellen.data.eyechart import make_eyechart
from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import TestSet
from snellen.data.pictures import PictureForm
from snellen.data.splits import split, split_final
from snellen.errors import BadSplit, DataError, InvalidSetting, RunError
from snellen.serialize import to_json

pytestmark = pytest.mark.usefixtures("no_cache")
SHADES = {"black": 0, "grey": 128, "white": 255}


def shade(path: Path, value: int, *, size: tuple[int, int] = (20, 20), text: str = "") -> Path:
    """A PNG of one shade; `text` changes the file and no pixel."""
    from PIL.PngImagePlugin import PngInfo

    path.parent.mkdir(parents=True, exist_ok=True)
    note = PngInfo()
    note.add_text("note", text or path.name)
    Image.fromarray(np.full((*size, 3), value, dtype=np.uint8)).save(path, pnginfo=note)
    return path


def by_file(folder: Path, **options: object) -> dict[str, tuple[str, str, np.ndarray]]:
    """File -> (part, class, pixels); test is opened here, which only a test may do."""
    dataset = load_folder(folder, ImageOptions(16, **options))  # type: ignore[arg-type]
    parts = split(dataset)
    assert parts.val is not None
    opened = [] if dataset.test is None else [dataset.test.open(lambda identity: None)]
    return {
        dataset.train.files[place]: (images.role, images.class_names[label], pixels)
        for images in (parts.train, parts.val, *opened)
        for place, label, pixels in zip(images.ids, images.labels, images.images, strict=True)
    }


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    """Three classes of 30 pictures each, told apart by their shade."""
    for name, value in SHADES.items():
        for number in range(30):
            shade(tmp_path / "shades" / name / f"{number}.png", value)
    return tmp_path / "shades"


def test_every_file_keeps_its_own_pixels_and_label_through_cache_order_and_split(shades: Path) -> None:
    found = by_file(shades, test_fraction=0.2)
    assert len(found) == 90
    assert {part for part, _, _ in found.values()} == {"train", "val", "test"}
    for name, (_, label, pixels) in found.items():
        assert name.startswith(f"{label}/")
        assert (pixels == SHADES[label]).all()


def test_test_labels_are_right_where_test_lists_its_classes_otherwise(tmp_path: Path) -> None:
    for part, names in (("train", "black grey white"), ("test", "white grey")):
        for name in names.split():
            for number in range(4):
                shade(tmp_path / "s" / part / name / f"{number}.png", SHADES[name])
    for name, (part, label, pixels) in by_file(tmp_path / "s").items():
        assert name.startswith("test" if part == "test" else "train")
        assert f"/{label}/" in name
        assert (pixels == SHADES[label]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_and_mode_shows_the_same_picture(tmp_path: Path, kind: str) -> None:
    """Also the two traps: a camera's rotation, and 16 bits that are clipped to white elsewhere."""
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[:16, :16] = 200  # upper left
    pixels[16:, 16:] = 90  # lower right
    for label in ("a", "b"):
        (tmp_path / "p" / label).mkdir(parents=True)
        for number in range(2):
            pixels[0, 31] = 250 * number  # another file, the same picture
            save_as(pixels, tmp_path / "p" / label, number, kind)
    dataset = load_folder(tmp_path / "p", ImageOptions(32))
    for image in dataset.train.images:
        quarters = [image[4:12, 4:12], image[4:12, 20:28], image[20:28, 4:12], image[20:28, 20:28]]
        means = [float(quarter.mean()) for quarter in quarters]
        assert means == pytest.approx([200, 0, 0, 90], abs=12)


@pytest.mark.parametrize(("fit", "edge", "middle"), [("crop", 0, 0), ("squash", 255, 0), ("pad", 255, 0)])
def test_the_fit_is_the_one_asked_for(tmp_path: Path, fit: str, edge: int, middle: int) -> None:
    wide = np.full((32, 64, 3), 255, dtype=np.uint8)
    wide[:, 16:48] = 0
    for number, name in enumerate(("a/1.png", "a/2.png", "b/1.png", "b/2.png")):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        wide[0, 0] = number  # another file, the same picture
        Image.fromarray(wide).save(tmp_path / "p" / name)
    image = load_folder(tmp_path / "p", ImageOptions(32, fit)).train.images[0]  # type: ignore[arg-type]
    assert abs(int(image[16, 1, 0]) - edge) < 30
    assert abs(int(image[16, 16, 0]) - middle) < 30
    assert (image[1, 16, 0] == 128) == (fit == "pad")


def test_what_was_understood_is_said(shades: Path) -> None:
    (shades / "black" / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    (shades / "black" / "notes.txt").write_text("mine")
    (shades / "white" / ".hidden").write_text("")
    text = "\n".join(load_folder(shades, ImageOptions(16, "pad")).about)
    for words in (
        "one folder per class", "3: black, grey, white", "16x16 px, fit pad", "about a tenth of each class",
        "test      none", "--test-fraction 0.1", "1 unreadable: black/broken.jpg is", "hidden files (1)",
        "notes and tables beside the pictures (1)", os.environ["XDG_CACHE_HOME"],
    ):  # fmt: skip
        assert words in text
    assert "more)" not in text  # all classes are named


@pytest.mark.parametrize(("count", "end"), [(12, "c11"), (13, "c11, … (1 more)"), (15, "c11, … (3 more)")])
def test_a_dozen_classes_are_named_and_the_others_counted(tmp_path: Path, count: int, end: str) -> None:
    for number in range(count):
        for shade in range(2):
            path = tmp_path / "many" / f"c{number:02}" / f"{shade}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number * 10, shade * 99, 0)).save(path)
    classes = [line for line in load_folder(tmp_path / "many", ImageOptions(16)).about if line.startswith("classes")]
    assert classes == [f"classes   {count}: {', '.join(f'c{number:02}' for number in range(11))}, {end}"]


def test_strict_refuses_what_is_broken_and_not_what_is_a_note(shades: Path) -> None:
    (shades / "black" / "notes.txt").write_text("mine")
    assert len(load_folder(shades, ImageOptions(16, strict=True)).train) == 90
    for number in range(7):
        (shades / "grey" / f"broken{number}.png").write_bytes(b"")
    assert len(load_folder(shades, ImageOptions(16)).train) == 90
    with pytest.raises(DataError, match=r"7 of 97 files cannot be read: grey/broken0.png is empty .*and 2 more"):
        load_folder(shades, ImageOptions(16, strict=True))


@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        ({"a": 1, "b": 5}, {}, "Class 'a' has 1 readable picture to learn from .* at least 2 different ones"),
        ({"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1}, {}, None),
        ({"train/a": 1, "train/b": 1, "val/a": 1}, {}, None),
        ({"train/a": 1, "train/b": 1, "test/a": 1}, {}, "has 1 readable picture"),
        ({"train/a": 3, "train/b": 3, "test/a": 1}, {"test_fraction": 0.1}, "has a test part of its own"),
    ],
)
def test_too_few_pictures_are_one_sentence(
    tmp_path: Path, given: dict[str, int], options: dict[str, float], sentence: str | None
) -> None:
    for folder, count in given.items():
        for number in range(count):
            shade(tmp_path / "p" / folder / f"{number}.png", number)
    if sentence is None:
        load_folder(tmp_path / "p", ImageOptions(16))
        return
    with pytest.raises((BadSplit, InvalidSetting), match=sentence):
        load_folder(tmp_path / "p", ImageOptions(16, **options))  # type: ignore[arg-type]


def test_a_class_of_broken_files_only_is_refused_by_name(shades: Path) -> None:
    (shades / "red").mkdir()
    (shades / "red" / "1.png").write_bytes(b"x")
    with pytest.raises(BadSplit, match="Class 'red' has 0 readable pictures"):
        load_folder(shades, ImageOptions(16))


def test_pictures_to_choose_by_are_none_to_learn_from_and_without_any_nothing_is_chosen(tmp_path: Path) -> None:
    for folder in ("train/a", "train/b", "val/a", "val/b"):
        for number in range(2):
            shade(tmp_path / "p" / folder / f"{number}.png", number)
    for number in range(2):
        (tmp_path / "p" / "train" / "b" / f"{number}.png").write_bytes(b"x")
    with pytest.raises(BadSplit, match=r"Class 'b' has 0 readable pictures to learn from; it takes at least 1\. Add"):
        load_folder(tmp_path / "p", ImageOptions(16))
    for number in range(2):
        shade(tmp_path / "p" / "train" / "b" / f"{number}.png", 9 + number)
    for path in (tmp_path / "p" / "val").rglob("*.png"):
        path.write_bytes(b"x")
    with pytest.raises(BadSplit, match="The val part has no readable picture"):
        load_folder(tmp_path / "p", ImageOptions(16))


def test_where_val_lacks_a_class_it_is_said(tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "val/a"):
        for number in range(2):
            shade(tmp_path / "p" / name / f"{number}.png", number)
    dataset = load_folder(tmp_path / "p", ImageOptions(16))
    assert any("val has none of b" in line for line in dataset.about)
    parts = split(dataset)
    assert parts.val is not None
    assert parts.val.counts.tolist() == [2, 0]


# The split


def test_adding_pictures_moves_none_and_neither_does_another_size_or_fit(shades: Path) -> None:
    before = {name: part for name, (part, _, _) in by_file(shades, test_fraction=0.1).items()}
    for name, value in SHADES.items():
        for number in range(30, 60):
            shade(shades / name / f"{number}.png", value)
    after = {name: part for name, (part, _, _) in by_file(shades, test_fraction=0.1).items()}
    assert len(after) == 180
    moved = {name for name in before if after[name] != before[name]}
    for name in moved:  # a class without a picture below val's line had lent one, and has it back
        assert (before[name], after[name]) == ("val", "train")
        assert [part for other, part in before.items() if other.split("/")[0] == name.split("/")[0]].count("val") == 1
    assert len(moved) <= 1
    other = load_folder(shades, ImageOptions(40, "squash", 0.1))
    assert other.in_val is not None
    in_val = {other.train.files[place] for place in other.train.ids[other.in_val]}
    assert in_val == {name for name, part in after.items() if part == "val"}


def test_a_file_goes_where_its_content_goes_whatever_it_is_called(shades: Path) -> None:
    before = {name: part for name, (part, _, _) in by_file(shades, test_fraction=0.2).items()}
    for path in shades.glob("*/*.png"):
        path.rename(path.with_name(f"renamed-{path.name}"))
    after = {name.replace("renamed-", ""): part for name, (part, _, _) in by_file(shades, test_fraction=0.2).items()}
    assert after == before


def test_a_picture_is_known_by_the_first_half_of_its_files_hash(shades: Path) -> None:
    # Ledgers and predictions of earlier versions hold these numbers.
    train = load_folder(shades, ImageOptions(16)).train
    for place, identity in zip(train.ids, train.identities, strict=True):
        digest = hashlib.blake2b((shades / train.files[place]).read_bytes(), digest_size=16).digest()
        assert int(identity) == int.from_bytes(digest[:8], "big")


def test_copies_of_one_file_are_on_one_side(shades: Path) -> None:
    for path in list(shades.glob("*/*.png")):
        shutil.copy(path, path.with_name(f"copy-{path.name}"))
    found = {name: part for name, (part, _, _) in by_file(shades, test_fraction=0.2).items()}
    assert len(found) == 180
    assert all(found[name] == found[name.replace("copy-", "")] for name in found)


def test_a_final_training_sees_train_and_val_and_not_test(shades: Path) -> None:
    dataset = load_folder(shades, ImageOptions(16, test_fraction=0.2))
    assert dataset.test is not None
    assert len(split_final(dataset).train) + dataset.test.count == 90
    assert split_final(dataset).test is dataset.test


def test_the_same_test_part_at_another_size_is_the_same_to_the_ledger(shades: Path) -> None:
    seen: list[TestSet] = []
    for side in (16, 48):
        test = load_folder(shades, ImageOptions(side, test_fraction=0.3)).test
        assert test is not None
        test.open(seen.append)
    assert seen[0].fingerprint != seen[1].fingerprint
    assert seen[0].overlaps(seen[1])


def test_train_and_val_stay_in_the_file_they_are_mapped_from(shades: Path) -> None:
    dataset = load_folder(shades, ImageOptions(16, test_fraction=0.2))
    parts = split(dataset)
    assert parts.val is not None
    assert dataset.test is not None
    opened = dataset.test.open(lambda identity: None)
    whole = split_final(dataset).train.images
    for images in (parts.train.images, parts.val.images, whole):
        assert not images.flags.owndata
        assert np.shares_memory(images, dataset.train.images)
    assert not np.shares_memory(opened.images, dataset.train.images)


def test_a_table_and_a_folder_of_the_same_files_are_the_same_data(shades: Path) -> None:
    rows = [f"{path.relative_to(shades)},{path.parent.name}" for path in sorted(shades.glob("*/*.png"))]
    (shades / "t.csv").write_text("path,label\n" + "\n".join(rows))
    folder, table = load_folder(shades, ImageOptions(16)), load_folder(shades / "t.csv", ImageOptions(16))
    assert folder.train.fingerprint == table.train.fingerprint
    assert split(folder).train.fingerprint == split(table).train.fingerprint
    assert (folder.name, table.name) == ("shades", "t")


@pytest.mark.parametrize(
    ("folder", "name"),
    [("my birds", "my-birds"), ("Vögel", "Vögel"), ("---", "pictures")],
)
def test_a_data_set_is_called_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    write_folder(make_eyechart(0, train=40, test=0).train, tmp_path / folder)
    images: LabeledImages = load_folder(tmp_path / folder, ImageOptions(16)).train
    assert images.name == name


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"side": 15}, "--size 15 is not possible: 16 to 512"),
        ({"side": 513}, "--size 513 is not possible: 16 to 512"),
        ({"fit": "stretch"}, "--fit stretch is not possible: squash, crop, pad"),
        ({"test_fraction": 0.51}, "--test-fraction 0.51"),
        ({"test_fraction": -0.1}, "--test-fraction -0.1"),
        ({"test_fraction": float("nan")}, "--test-fraction nan"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        ImageOptions(**options)  # type: ignore[arg-type]
    assert [ImageOptions(side, test_fraction=0.5).form.side for side in (16, 512)] == [16, 512]


READ = {"side": 16, "fit": "pad", "test_fraction": 0.2, "white": 255}


@pytest.mark.parametrize("change", [{}, {"fit": "crop", "white": None}, {"test_fraction": 0}, {"white": 65_535}])
def test_how_a_folder_was_read_comes_back_from_the_run(change: dict[str, object]) -> None:
    options = ImageOptions(**{**READ, **change})  # type: ignore[arg-type]
    assert ImageOptions.from_json(to_json(options)) == options
    assert options.form == PictureForm(16, options.fit, white=options.white or 65_535)


@pytest.mark.parametrize(
    "content",
    [
        None, [], {}, *({**READ, "side": side} for side in (None, "16", True, 15)),
        *({**READ, "fit": fit} for fit in (3, "melt")),
        *({**READ, "test_fraction": part} for part in ("0.2", True, 0.9)),
        *({**READ, "white": white} for white in (254, "255", [1])),
    ],
)  # fmt: skip
def test_another_way_to_read_a_folder_is_taken_from_no_run(content: object) -> None:
    with pytest.raises(RunError, match="does not say how its pictures were read"):
        ImageOptions.from_json(content)


def test_where_every_file_of_a_class_fails_the_reasons_are_said(shades: Path) -> None:
    (shades / "red").mkdir()
    for number in range(5):
        (shades / "red" / f"{number}.jpg").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(BadSplit, match=r"Class 'red' has 0 .*Not readable: red/0.jpg .*git lfs pull.*red/2.jpg"):
        load_folder(shades, ImageOptions(16))
