"""A picture gets one answer however it is handed over, and a cell one label whichever reader it comes from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mixed_pictures import read_picture
from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.listing import ListedFile, file_below, label_of
from snellen.data.pictures import PictureForm, square_of
from snellen.errors import DataError, InvalidSetting, NotAPicture, TooLarge

FORM = PictureForm(32)


def coloured(size: tuple[int, int] = (60, 40)) -> Image.Image:
    small = np.random.default_rng(0).integers(0, 256, (4, 6, 4), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def stored(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def kinds(folder: Path) -> list[Path]:
    """Every way in which a file keeps colours, transparency or the camera's turn."""
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb = coloured().convert("RGB")
    return [
        stored(folder / "rgba.png", coloured()),
        stored(folder / "la.png", coloured().convert("LA")),
        stored(folder / "palette.png", rgb.quantize(16), transparency=3),
        stored(folder / "palette.gif", rgb.quantize(16), transparency=3),
        stored(folder / "rgb-trns.png", rgb, transparency=rgb.getpixel((5, 5))),
        stored(folder / "grey-trns.png", rgb.convert("L"), transparency=rgb.convert("L").getpixel((5, 5))),
        stored(folder / "turned.jpg", rgb, exif=exif),
        stored(folder / "turned.tiff", rgb, exif=exif),
        stored(folder / "turned.png", rgb, exif=exif),
        stored(folder / "cmyk.jpg", rgb.convert("CMYK")),
        stored(folder / "deep.png", Image.fromarray(np.arange(2_400, dtype=np.uint16).reshape(40, 60) * 27)),
        stored(folder / "rgba.webp", coloured()),
        stored(folder / "rgb.ppm", rgb),
        *([stored(folder / "rgb.avif", rgb)] if ".avif" in Image.registered_extensions() else []),
    ]


def test_a_path_its_bytes_an_open_file_and_its_pillow_image_are_one_picture(tmp_path: Path) -> None:
    for path in kinds(tmp_path):
        expected = FORM.pixels(path)
        with path.open("rb") as file, Image.open(path) as image:
            before = (image.mode, image.size)
            for source in (str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), file, image, image.copy()):
                np.testing.assert_array_equal(FORM.pixels(source), expected, err_msg=f"{path.name} {type(source)}")
            assert before == (image.mode, image.size) or path.suffix == ".tiff"  # Pillow itself turns a TIFF


@pytest.mark.parametrize(
    "mode", ["HSV", "YCbCr", "LAB", "CMYK", "RGBa", "La", "1", "P", "PA", "RGBX", "I", "F", "I;16"]
)
def test_every_mode_of_a_pillow_image_is_read(mode: str) -> None:
    image = coloured().convert("RGBa" if mode == "RGBa" else "LA" if mode in ("La", "PA") else "RGB")
    if mode == "LAB":
        image = Image.new("LAB", (60, 40), (200, 128, 128))
    elif mode in ("I", "F", "I;16"):
        image = image.convert("L").convert("I").point(lambda value: value * 257).convert(mode)
    else:
        image = image.convert(mode)
    assert FORM.pixels(image).shape == (32, 32, 3)


def test_arrays_and_tensors_are_pictures_of_bytes() -> None:
    array = np.asarray(coloured().convert("RGB"))
    expected = FORM.pixels(coloured().convert("RGB"))
    np.testing.assert_array_equal(FORM.pixels(array), expected)
    np.testing.assert_array_equal(FORM.pixels(torch.from_numpy(array.copy())), expected)  # type: ignore[arg-type]
    assert FORM.pixels(array[..., 0]).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "cannot be of type NoneType. Give a path"),
        ([[1, 2], [3, 4]], "cannot be of type list"),
        (3, "cannot be of type int"),
        (io.StringIO("text"), "cannot be of type str|is empty"),
        (b"", "is empty"),
        (np.zeros((3, 40, 50), np.uint8), "Channels first"),
        (np.zeros((40, 50, 3)), r"From \[0, 1\]"),
        (torch.zeros(3, 8, 8, requires_grad=True), "The values of a Tensor cannot be read"),
    ],
)
def test_what_is_no_picture_is_one_sentence(source: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        FORM.pixels(source)


def test_where_a_picture_often_is_or_what_it_often_is_is_said() -> None:
    with pytest.raises(NotAPicture, match="git lfs pull"):
        read_picture(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(NotAPicture, match="It is HEIC"):
        read_picture(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1")


def test_a_large_ppm_that_is_decoded_in_python_is_refused() -> None:
    with pytest.raises(TooLarge, match="PPM of 2000x2000 pixels in a rare form"):
        read_picture(b"P3 2000 2000 255\n" + b"0 " * 1_000)


# Shapes that are no square


@pytest.mark.parametrize(
    ("fit", "region"), [("crop", (0, 5, 60, 35)), ("pad", (-10, 0, 70, 40)), ("squash", (0, 0, 60, 40))]
)
def test_a_run_on_wide_arrays_gets_wide_pictures(fit: Any, region: tuple[float, ...]) -> None:
    form = PictureForm.of_run({"image_shape": [24, 48, 3], "loading": {"fit": fit}})
    assert form.pixels(coloured()).shape == form.shape == (24, 48, 3)
    assert square_of((60, 40), fit, aspect=2.0) == region
    array = np.asarray(coloured((48, 24)).convert("RGB"))
    np.testing.assert_array_equal(form.pixels(Image.fromarray(array)), array)
    assert form.pixels(array) is array


# Grey of more than 8 bits


def deep_folder(folder: Path, white: float, kind: Any) -> Path:
    """Two classes of four TIFFs whose values end at `white`."""
    for number in range(8):
        ramp = np.linspace(0, 1, 400).reshape(20, 20) * white * (0.5 if number else 1.0)
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(ramp, number).astype(kind)).save(folder / "ab"[number % 2] / f"{number}.tiff")
    return folder


@pytest.mark.usefixtures("no_cache")
@pytest.mark.parametrize(
    ("white", "kind", "said"),
    [
        (1.0, np.float32, 1),
        (255, np.float32, 255),
        (255, np.int32, 255),
        (255, np.uint16, 255),
        (4_000, np.uint16, 4_095),
    ],
)
def test_one_number_is_white_for_a_whole_folder_and_it_is_said(
    tmp_path: Path, white: float, kind: Any, said: int
) -> None:
    dataset = load_folder(deep_folder(tmp_path / "x", white, kind), ImageOptions(16))
    assert any(f"{said} is white" in line for line in dataset.about)
    assert dataset.loading["white"] == said
    means = dataset.train.images.mean(axis=(1, 2, 3))
    assert means.max() > 1.8 * means.min() > 40  # the brightest is not stretched like the others
    form = PictureForm.of_run({"image_shape": [16, 16, 3], "loading": dataset.loading})
    np.testing.assert_array_equal(form.pixels(tmp_path / "x" / dataset.train.files[0]), first_of(dataset))
    brighter = Image.fromarray(np.full((20, 20), white * 2, dtype=np.float32))
    with pytest.raises(DataError, match="in the pictures learned from"):
        form.pixels(brighter)


def first_of(dataset: Any) -> np.ndarray:
    place = int(np.flatnonzero(dataset.train.ids == 0)[0])
    return np.asarray(dataset.train.images[place])


@pytest.mark.usefixtures("no_cache")
def test_16_bits_stay_what_they_were(tmp_path: Path) -> None:
    dataset = load_folder(deep_folder(tmp_path / "x", 65_535, np.uint16), ImageOptions(16))
    assert not any("is white" in line for line in dataset.about)
    assert ImageOptions.from_json(dataset.loading).white == 65_535


def test_a_picture_that_would_be_black_is_refused_where_no_folder_says_what_is_white() -> None:
    with pytest.raises(DataError, match="values up to 1 only, of 65,535: it would be black"):
        FORM.pixels(Image.fromarray(np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)))


@pytest.mark.parametrize("white", [0, -1, 70_000, "255", 1.5])
def test_a_white_that_cannot_be_is_refused(white: Any) -> None:
    with pytest.raises(InvalidSetting, match="White is"):
        PictureForm.of_run({"image_shape": [16, 16, 3], "loading": {"fit": "crop", "white": white}})


# Cells


@pytest.mark.parametrize(
    "cell",
    [None, "", "  ", float("nan"), np.float32("nan"), -1, "-1", -1.0, "nan", "NaN", "null", "None", "N/A", b"N/A"],
)
def test_a_missing_label_is_none(cell: Any) -> None:
    assert label_of(cell) == ""


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ("cat", "cat"), (" cat ", "cat"), (b"cat", "cat"), (3, "3"), (3.0, "3"), (np.int64(3), "3"), (True, "True"),
        ("none", "none"), ("NA", "NA"), ("Ka\u0308fer", "Käfer"),
    ],
)  # fmt: skip
def test_a_cell_is_a_label(cell: Any, label: str) -> None:
    assert label_of(cell) == label


def test_numbers_are_names_where_the_data_declare_them() -> None:
    assert [label_of(cell, ("zebra", "ant")) for cell in (0, "1", 2, "ant")] == ["zebra", "ant", "2", "ant"]


@pytest.mark.parametrize("cell", [[0, 1], (1,), {"a": 1}, np.zeros(3), {"cat"}])
def test_several_labels_in_one_cell_are_refused(cell: Any) -> None:
    with pytest.raises(DataError, match="one label per picture"):
        label_of(cell)


# Links


def test_a_file_below_a_folder_leads_nowhere_else(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (tmp_path / "out.png").write_bytes(b"x")
    (root / "in" / "a.png").write_bytes(b"x")
    (root / "link.png").symlink_to("in/a.png")
    (root / "out.png").symlink_to(tmp_path / "out.png")
    (root / "circle").symlink_to("circle")
    assert file_below(root / "link.png", root) == ListedFile(root / "link.png", root / "in" / "a.png")
    for name in ("out.png", "../out.png", "circle/x", "a\0b"):
        assert file_below(root / name, root) is None


def test_a_hub_snapshots_links_into_its_blobs_are_part_of_it(tmp_path: Path) -> None:
    root = tmp_path / "repo" / "snapshots" / "abc"
    blob = tmp_path / "repo" / "blobs" / "bbbb"
    root.mkdir(parents=True), blob.parent.mkdir()
    blob.write_bytes(b"x")
    (root / "train.tar").symlink_to("../../blobs/bbbb")
    assert file_below(root / "train.tar", root) == ListedFile(root / "train.tar", blob)


def test_a_link_put_in_a_listed_files_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"y")
    file = file_below(tmp_path / "a.png", tmp_path)
    assert file is not None
    (tmp_path / "a.png").unlink()
    (tmp_path / "a.png").symlink_to("secret")
    with pytest.raises(DataError, match="is not a file"):
        file.open()
