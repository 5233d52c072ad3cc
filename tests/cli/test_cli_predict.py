"""`snellen predict`: any picture a user may have, and a sentence for what is none."""

from __future__ import annotations

import csv
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snellen.predict.familiarity import stored_familiarity
from snellen.runs.run import Run

Snellen = Callable[..., Any]


def gradient(mode: str = "RGB") -> Image.Image:
    ramp = np.linspace(0, 255, 48 * 40 * 3, dtype=np.uint8).reshape(40, 48, 3)
    return Image.fromarray(ramp).convert(mode)


def a_bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in 57 bytes: all promise."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"")


@pytest.fixture
def odd_pictures(tmp_path: Path) -> Path:
    """A folder of readable pictures of every kind."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for mode, name in (("L", "grey.png"), ("P", "palette.gif"), ("RGBA", "alpha.png"), ("CMYK", "cmyk.jpg")):
        gradient(mode).save(folder / name)
    gradient("LA").save(folder / "grey-alpha.png")
    Image.fromarray(np.full((40, 40), 40_000, dtype=np.uint16)).save(folder / "16-bit.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    gradient().save(folder / "turned.jpg", exif=exif)
    Image.new("RGB", (1, 1_000)).save(folder / "hair.bmp")
    gradient().save(folder / "名前 mit Leerzeichen.webp")
    (folder / "no-ending").write_bytes((folder / "grey.png").read_bytes())
    return folder


@pytest.fixture
def no_pictures(tmp_path: Path) -> dict[str, Path]:
    """Files that are none, with the word their sentence must hold."""
    gradient().save(tmp_path / "whole.jpg")
    contents = {
        "is broken": ("truncated.jpg", (tmp_path / "whole.jpg").read_bytes()[:400]),
        "is empty": ("empty.png", b""),
        "is not a picture": ("text.png", b"just text"),
        "pixels": ("bomb.png", a_bomb()),
    }
    paths = {}
    for word, (name, content) in contents.items():
        paths[word] = tmp_path / name
        paths[word].write_bytes(content)
    return paths


def test_a_folder_of_odd_pictures_is_answered_one_by_one(snellen: Snellen, own_run: Run, odd_pictures: Path) -> None:
    answer = snellen("predict", own_run.folder, odd_pictures, "--top", "3", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert [Path(entry["picture"]).name for entry in answer.json] == sorted(
        path.name for path in odd_pictures.iterdir()
    )
    assert all(len(entry["top"]) == 3 for entry in answer.json)


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_every_way_of_making_them_square_works(snellen: Snellen, own_run: Run, odd_pictures: Path, fit: str) -> None:
    answer = snellen("predict", own_run.folder, odd_pictures, "--fit", fit)
    assert answer.code == 0
    assert answer.out.count("hair.bmp") == 1
    assert "%" in answer.out


def test_what_is_no_picture_is_named_and_the_others_are_answered(
    snellen: Snellen, own_run: Run, tmp_path: Path, no_pictures: dict[str, Path]
) -> None:
    answer = snellen("predict", own_run.folder, tmp_path / "whole.jpg", *no_pictures.values(), "--json")
    assert (answer.code, answer.err) == (1, "")
    first, *others = answer.json
    assert len(first["top"]) == 5
    for word, entry in zip(no_pictures, others, strict=True):
        assert word in entry["error"]


def test_without_json_an_unreadable_picture_is_shown_and_is_exit_code_1(
    snellen: Snellen, own_run: Run, no_pictures: dict[str, Path]
) -> None:
    answer = snellen("predict", own_run.folder, *no_pictures.values())
    assert answer.code == 1
    assert all(word in answer.out for word in no_pictures)
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "Which picture? snellen predict RUN cat.jpg"),
        (("empty",), 1, "empty holds no pictures."),
        (("whole.png", "--top", "0"), 2, "--top 0 is not possible: 1 or more."),
        (("whole.png", "--device", "tpu"), 2, "--device tpu is not available here"),
    ],
)
def test_what_cannot_be_predicted_is_one_sentence(
    snellen: Snellen, own_run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    gradient().save(tmp_path / "whole.png")
    answer = snellen("predict", own_run.folder, *arguments)
    assert (answer.code, words in answer.sentence) == (code, True)


def test_a_table_has_a_row_per_picture_and_says_which_are_unlike_the_training(
    snellen: Snellen, own_run: Run, odd_pictures: Path, tmp_path: Path
) -> None:
    (odd_pictures / "a broken one.png").write_bytes(b"no picture")
    familiarity = stored_familiarity(own_run)
    assert familiarity is not None
    replace(familiarity, val=familiarity.val - 9).save(own_run)
    done = snellen("predict", own_run.folder, odd_pictures, "--csv", tmp_path / "out.csv")
    assert "unlike the training pictures: farther from them than all 30 val pictures" in done.out
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        broken, *rows = sorted(csv.DictReader(file), key=lambda row: row["unfamiliar"])
    assert len(rows) == 10
    assert {row["unfamiliar"] for row in rows} == {"yes"}
    assert all(0 < float(row["probability"]) <= 1 and row["farther_than"] == "1.0" for row in rows)
    assert "is not a picture" in broken["error"]
    assert not broken["class"]


def test_unsure_answers_are_rejected_for_a_target_accuracy(
    snellen: Snellen, own_run: Run, right_from: float, odd_pictures: Path, tmp_path: Path
) -> None:
    asked = ("predict", own_run.folder, odd_pictures, "--top", 3, "--csv", tmp_path / "out.csv")
    done = snellen(*asked, "--target-accuracy", 0.99)
    assert "An answer below" in done.err
    assert "The threshold was chosen there" in " ".join(done.err.split())
    found = snellen(*asked, "--target-accuracy", 0.99, "--json").json
    told = {entry["picture"]: entry["rejected"] for entry in found if "top" in entry}
    assert told == {entry["picture"]: entry["top"][0]["probability"] < right_from for entry in found if "top" in entry}
    assert done.out.count("rejected: not sure enough") == sum(told.values())
    rows = {row["picture"]: row for row in csv.DictReader((tmp_path / "out.csv").read_text().splitlines())}
    for entry in found:
        row = rows[entry["picture"]]
        if "error" in entry:
            assert row["rejected"] == row["class_3"] == ""
        else:
            assert row["rejected"] == ("yes" if entry["rejected"] else "no")
            assert [row["class"], row["class_2"], row["class_3"]] == [best["class"] for best in entry["top"]]
            assert float(row["probability_3"]) == entry["top"][2]["probability"]
    assert "a fraction" in snellen(*asked, "--target-accuracy", 99).sentence
    assert snellen("predict", own_run.folder, odd_pictures, "--json").json[0].get("rejected") is None
