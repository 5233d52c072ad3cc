"""The routes: what they answer, and the many things that are none of them."""

from __future__ import annotations

import io
import struct
import zlib
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from snellen.data import catalog
from snellen.data.dataset import Dataset
from snellen.data.pictures import PictureForm
from snellen.errors import InvalidSetting
from snellen.inspect.features import features_of
from snellen.report.originals import Originals
from snellen.report.page import Options, Page
from snellen.runs.run import Run
from snellen.viewer.live import Loaded
from snellen.viewer.server import listen, port_of, prepare


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def opened(sheet: dict[str, Any]) -> Image.Image:
    """The picture in a sheet of the answer."""
    assert sheet["mime"] == "image/png"
    return Image.open(io.BytesIO(b64decode(sheet["data"])), formats=["PNG"])


def header_of(width: int, height: int) -> bytes:
    """A PNG that is all promise."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.fixture
def letter(tiny_dataset: Dataset) -> bytes:
    """A letter of the eye chart as a file."""
    return encoded(Image.fromarray(tiny_dataset.train.images[0]))


def test_the_data_are_read_once(finished_run: Run, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    monkeypatch.setitem(catalog._LOADERS, "eyechart", lambda *_: reads.append(1) or tiny_dataset)
    prepare([finished_run], Options(layer_views=0, device="cpu"))
    assert len(reads) == 1


def test_the_training_pictures_are_looked_at_once(
    finished_run: Run, small_eyechart: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snellen.report import page
    from snellen.viewer import live

    looked: list[str] = []

    def told(model: Any, images: Any, *rest: Any, **named: Any) -> Any:
        looked.append(images.role)
        return features_of(model, images, *rest, **named)

    for room in (page, live):
        monkeypatch.setattr(room, "features_of", told)
    prepare([finished_run], Options(layer_views=2, device="cpu"))
    assert looked == ["val", "train", "new"]  # the last: the grey picture that warms the model up
    looked.clear()
    prepare([finished_run], Options(layer_views=0, device="cpu"))
    assert looked == ["train", "new"]


def test_memory_is_given_back_once_a_second_at_most(start: Any, letter: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    given_back, now = [], [100.0]
    monkeypatch.setattr("snellen.viewer.server.return_freed_memory", lambda: given_back.append(now[0]))
    monkeypatch.setattr("snellen.viewer.server.time", SimpleNamespace(monotonic=lambda: now[0]))
    with start() as viewer:
        asked = (
            ("/answer", letter, 0),
            ("/explain", letter, 0.9),
            ("/answer", b"no picture", 1.1),
            ("/answer", letter, 2),
        )
        for path, content, seconds in asked:
            now[0] = 100 + seconds
            viewer.post(path, content)
    assert given_back == [100, 101.1]


def test_the_page_is_whole_and_its_policy_is_the_one_inside_it(viewer: Any) -> None:
    response = viewer.client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"].removesuffix("; frame-ancestors 'none'")
    assert f'content="{policy}"' in response.text
    assert "connect-src 'self'" in policy


def test_a_picture_is_answered_and_its_small_form_explained(viewer: Any, letter: bytes) -> None:
    said = viewer.post("/answer", letter)
    assert (said.status_code, said.headers["content-type"]) == (200, "application/json")
    small = b64decode(said.json()["input"]["data"])
    seen = viewer.post("/explain", small)
    assert seen.status_code == 200
    assert [cam["class"] for cam in seen.json()["cams"]] == [name for name, _ in said.json()["top"][:2]]


# What is no picture


@pytest.mark.parametrize("size", [(4001, 4000), (60_000, 60_000), (16_000_001, 1)])
def test_too_many_pixels_are_413_before_they_are_decoded(viewer: Any, size: tuple[int, int]) -> None:
    response = viewer.post("/answer", header_of(*size))
    assert response.status_code == 413
    assert "16,000,000" in response.text


@pytest.mark.parametrize("kept", [0.3, 0.9])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])  # of an AVIF cut short nothing is known
def test_a_broken_picture_is_422_in_one_sentence(
    viewer: Any, rng: np.random.Generator, format: str, kept: float
) -> None:
    whole = encoded(Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)), format)
    response = viewer.post("/answer", whole[: int(kept * len(whole))])
    assert response.status_code == 422
    assert response.text.startswith("The picture is broken and cannot be read (")
    assert "Traceback" not in response.text


def test_an_empty_file_is_422(viewer: Any) -> None:
    assert (viewer.post("/answer", b"").status_code, viewer.post("/answer", b"").text) == (
        422,
        "The picture is empty (0 bytes).",
    )


def test_random_damage_is_never_an_error_of_ours(viewer: Any, rng: np.random.Generator) -> None:
    picture = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    for format in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "AVIF"):
        whole = encoded(picture, format)
        for _ in range(8):
            damaged = bytearray(whole)
            for at in rng.integers(0, len(whole), 4):
                damaged[at] = rng.integers(0, 256)
            assert viewer.post("/answer", bytes(damaged)).status_code in (200, 413, 415, 422)


# Pictures of every kind


def colour_in(viewer: Any, content: bytes, at: tuple[int, int] = (16, 16)) -> tuple[int, ...]:
    said = viewer.post("/answer", content)
    assert said.status_code == 200, said.text
    pixel = opened(said.json()["input"]).convert("RGB").getpixel(at)
    assert isinstance(pixel, tuple)
    return pixel


def test_16_bit_grey_keeps_its_range(viewer: Any) -> None:
    deep = Image.fromarray(np.full((40, 40), 257 * 100, dtype=np.uint16))
    assert colour_in(viewer, encoded(deep)) == (100, 100, 100)


def test_cmyk_red_is_red(viewer: Any) -> None:
    red, green, blue = colour_in(viewer, encoded(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG"))
    assert red > 230
    assert max(green, blue) < 30


def test_a_transparent_palette_colour_lies_over_white(viewer: Any) -> None:
    picture = Image.new("P", (40, 40), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    assert colour_in(viewer, encoded(picture, transparency=0)) == (255, 255, 255)


def test_a_turned_camera_gives_the_upright_picture(viewer: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: what is stored left belongs to the top
    stored = Image.new("RGB", (40, 40), "black")
    stored.paste("white", (0, 0, 20, 40))
    content = encoded(stored, "PNG", exif=exif)
    assert colour_in(viewer, content, (16, 4)) == (255, 255, 255)
    assert colour_in(viewer, content, (16, 27)) == (0, 0, 0)
    assert viewer.post("/answer", content).json()["picture"]["notes"] == ["turned upright (EXIF orientation 6)"]


def test_what_comes_back_is_encoded_anew_without_what_rode_along(viewer: Any) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret description"
    content = encoded(Image.new("RGB", (40, 40), "red"), "PNG", exif=exif) + b"<script>alert(1)</script>"
    said = viewer.post("/answer", content).json()
    for sheet in (said["shown"], said["input"]):
        data = b64decode(sheet["data"])
        assert b"secret" not in data
        assert b"script" not in data
        assert not opened(sheet).getexif()


# What is no route


@pytest.mark.parametrize(("method", "path"), [("GET", "/answer"), ("PUT", "/answer"), ("POST", "/"), ("DELETE", "/")])
def test_a_route_has_one_method(viewer: Any, method: str, path: str) -> None:
    assert viewer.client.request(method, path, headers={"origin": viewer.origin}).status_code == 405


@pytest.mark.parametrize("query", ["run=1", "run=-1", "run=../0", "run=" + "9" * 50, "fit=bend", "fit="])
def test_a_run_or_a_fit_that_there_is_not_is_400(viewer: Any, letter: bytes, query: str) -> None:
    response = viewer.post(f"/answer?{query}", letter)
    assert response.status_code == 400
    assert "is not possible" in response.text


def test_explain_takes_only_what_the_network_takes(viewer: Any) -> None:
    assert viewer.post("/explain", encoded(Image.new("RGB", (33, 32)))).status_code == 400
    assert viewer.post("/explain", encoded(Image.new("RGB", (32, 32)), "JPEG")).status_code == 415


def test_only_the_loopback_interface_is_listened_on_and_a_taken_port_is_one_sentence() -> None:
    with listen(0) as door:
        assert door.getsockname()[0] == "127.0.0.1"
        with pytest.raises(InvalidSetting, match=f"--port {port_of(door)} cannot be had: Address already in use"):
            listen(port_of(door))


def test_a_mistake_of_ours_is_500_and_the_page_lives(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("/a/folder/of/mine")

    monkeypatch.setattr("snellen.viewer.server.answer", fail)
    response: httpx.Response = viewer.post("/answer", b"x")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert viewer.client.get("/").status_code == 200


def test_an_original_is_given_by_number_to_who_has_come_in_and_nothing_else_is(
    start: Any, prepared: tuple[Page, list[Loaded]], tmp_path: Path
) -> None:
    Image.new("RGB", (90, 60), (200, 0, 0)).save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    files = Originals(tmp_path, {3: "a.png", 4: "broken.png", 5: "gone.png"}, PictureForm(32))
    page = replace(prepared[0], originals={"val": files})
    with start(page=page) as viewer:
        found = viewer.client.get("/original?split=val&id=3").json()
        assert found["size"] == [90, 60]
        assert found["square"] == pytest.approx([1 / 6, 0, 5 / 6, 1])
        sheet = Image.open(io.BytesIO(b64decode(found["shown"]["data"])))
        assert sheet.size == (90, 60)
        for asked, status in (
            ("split=val&id=6", 400), ("split=val&id=a.png", 400), ("split=val&id=-1", 400), ("split=val", 400),
            ("split=test&id=3", 400), ("split=../val&id=3", 400), ("split=val&id=4", 415), ("split=val&id=5", 422),
        ):  # fmt: skip
            refused = viewer.client.get(f"/original?{asked}")
            assert refused.status_code == status, asked
            assert str(tmp_path) not in refused.text
        assert httpx.get(f"{viewer.origin}/original?split=val&id=3", trust_env=False).status_code == 401
