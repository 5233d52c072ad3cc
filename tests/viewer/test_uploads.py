"""Uploads that are something else, several things at once, or far larger than they look."""

from __future__ import annotations

import gzip
import io
import resource
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.data.test_decode_limits import COSTLY
from tests.viewer.wire import answer_to, head

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>"


def encoded(format: str, size: tuple[int, int] = (8, 8), mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format, **options)
    return buffer.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def tarred(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


STRANGE = {
    "text": b"hello", "svg": SVG, "svg with a declaration": b"<?xml version='1.0'?>\n" + SVG,
    "svg with an entity": b"<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg>&x;</svg>",
    "svg in UTF-16": SVG.decode().encode("utf-16"), "svgz": gzip.compress(SVG),
    "html": b"<!doctype html><script>alert(1)</script>", "pdf": b"%PDF-1.7\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "eps with a preview": b"\xc5\xd0\xd3\xc6" + bytes(26) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "tiff": encoded("TIFF"), "ppm": encoded("PPM"), "ico": encoded("ICO", (16, 16)), "jpeg 2000": encoded("JPEG2000"),
    "icns": encoded("ICNS", (16, 16), "RGBA"), "tga": encoded("TGA"), "dds": encoded("DDS"), "pcx": encoded("PCX"),
    "sgi": encoded("SGI"), "xbm": encoded("XBM", mode="1"), "psd": b"8BPS\0\1" + bytes(60),
    "fits": b"SIMPLE  =                    T" + b" " * 2850, "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "zip": zipped("a.png", encoded("PNG")), "zip that climbs": zipped("../../a.png", encoded("PNG")),
    "zip bomb": zipped("a.bmp", bytes(200_000_000)), "docx": zipped("word/document.xml", SVG),
    "tar": tarred("../a.png"), "gzip": gzip.compress(encoded("PNG")),
    "pickle": b"\x80\x04cos\nsystem\n(X\4\0\0\0trueltR.",
    "elf": b"\x7fELF\2\1\1" + bytes(60), "script": b"#!/bin/sh\ntouch pwned\n",
    "base64": b"data:image/png;base64,iVBORw0K",
    "multipart": b"--x\r\nContent-Disposition: form-data; name=a; filename=../a.png\r\n\r\n" + encoded("PNG"),
    "json": b'{"path": "/etc/passwd"}', "an address": b"http://127.0.0.1/latest/meta-data", "a BOM": b"\xef\xbb\xbf",
    "avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "heic": b"\0\0\0\x18ftypheic\0\0\0\0heicmif1",
    "mp4": b"\0\0\0\x18ftypmp42",
    "png in front of nothing": b"\x89PNG", "riff": b"RIFF\x10\0\0\0WAVEfmt ", "gif's first letters": b"GIF8",
}  # fmt: skip


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_picture_of_ours_is_415_in_one_sentence(viewer: Any, kind: str) -> None:
    for path, formats in (("/answer", "JPEG, PNG, WEBP, GIF, BMP, AVIF"), ("/explain", "PNG")):
        response = viewer.post(path, STRANGE[kind], **{"content-type": "image/png"})
        assert response.status_code == 415
        assert response.text.startswith(f"The picture is not a picture Snellen reads ({formats}).")
        assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_is_not_unpacked(viewer: Any, encoding: str) -> None:
    packed = gzip.compress(encoded("BMP", (2000, 2000)))
    assert viewer.post("/answer", packed, **{"content-encoding": encoding}).status_code == 415


@pytest.mark.parametrize(
    "kind", ["application/zip", "image/svg+xml", "text/html", "multipart/form-data; boundary=x", "\xe9"]
)
def test_a_picture_is_judged_by_its_content_and_answered_as_json(viewer: Any, kind: str) -> None:
    picture = encoded("PNG", (40, 40))
    text = head(viewer, "POST /answer", f"Content-Length: {len(picture)}", f"Content-Type: {kind}").replace(
        "\n", "\r\n"
    )
    status, whole = answer_to(viewer, text.encode("latin-1") + picture)
    assert status == 200
    assert "content-type: application/json" in whole.lower()
    assert "x-content-type-options: nosniff" in whole.lower()


@pytest.mark.parametrize("behind", ["zip that climbs", "html", "svg", "pdf", "elf"])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "AVIF"])
def test_of_a_file_that_is_two_things_only_the_picture_comes_back(viewer: Any, format: str, behind: str) -> None:
    response = viewer.post("/answer", encoded(format, (40, 40)) + STRANGE[behind])
    assert response.status_code == 200
    for part in (b"script", b"PK\3\4", b"%PDF", b"ELF"):
        assert part not in response.content


@pytest.mark.parametrize("kind", COSTLY)
def test_a_small_file_that_would_take_long_is_refused_at_once(viewer: Any, kind: str) -> None:
    began = time.monotonic()
    assert viewer.post("/answer", COSTLY[kind]).status_code == (413 if kind == "runs" else 422)
    assert time.monotonic() - began < 5


DECODE = """
import io, resource, sys
import numpy as np
from PIL import Image
from snellen.data.pictures import PictureForm, read_with_notes
from snellen.viewer.live import MAX_PIXELS, UPLOADED

mode, format = sys.argv[1:]
picture = Image.fromarray(np.full((4000, 4000), 9_999, np.uint16)) if mode == "I;16" else Image.new(mode, (4000, 4000))
exif, buffer = Image.Exif(), io.BytesIO()
exif[0x0112] = 6
picture.save(buffer, format, exif=exif)
del picture
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 700_000_000,) * 2)
read_with_notes(buffer.getvalue(), formats=UPLOADED, max_pixels=MAX_PIXELS)
PictureForm(32).pixels(buffer.getvalue())
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the address space is read from Linux's /proc")
@pytest.mark.parametrize(
    ("mode", "format"),
    [
        ("RGB", "JPEG"),
        ("CMYK", "JPEG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("I;16", "PNG"),
        ("RGBA", "WEBP"),
        ("P", "GIF"),
    ],
)
def test_the_largest_picture_of_every_kind_is_decoded_within_700_mb(mode: str, format: str) -> None:
    subprocess.run([sys.executable, "-c", DECODE, mode, format], check=True, timeout=300)


def test_a_hundred_uploads_leave_nothing_behind(viewer: Any) -> None:
    fds, picture = Path("/proc/self/fd"), encoded("PNG", (60, 60))
    if not fds.exists():
        pytest.skip("open files are counted in Linux's /proc")
    for _ in range(20):  # the first ones fill pools
        viewer.post("/answer", picture)
    files, memory = len(list(fds.iterdir())), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(80):
        assert viewer.post("/answer", picture if number % 3 else STRANGE["zip"]).status_code in (200, 415)
    assert len(list(fds.iterdir())) <= files + 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 60_000  # KiB
