"""Make the inputs that fuzzing begins with: `python -m tests.fuzz.make_corpus`

Small valid files of every kind, all made here; what fuzzing found later lies beside them and is left alone.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.fuzz.edits import small_pixels
from tests.fuzz.harness import CORPUS

from snellen.data.cifar10 import FOLDER, PUBLISHED
from snellen.data.eyechart import make_eyechart
from snellen.data.ledger import Candidate, Ledger, TestSet
from snellen.models.weights import weights_hash
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import SGD, Recipe
from snellen.serialize import to_json
from snellen.train.fit import FitOptions, fit

_RUN_FILES = (
    "run.json", "recipe.json", "environment.json", "guards.json", "metrics.jsonl", "predictions_val.npz",
    "weights.safetensors", "resume/state.safetensors",
)  # fmt: skip


def tables() -> dict[str, bytes]:
    """Tables of names as programs write them."""
    rows = [
        (f"images/{number}.png", ("cat", "dog", "-1", "")[number % 4], ("train", "val")[number % 2])
        for number in range(6)
    ]
    csv = "path,label,split\n" + "\n".join(map(",".join, rows)) + "\n"
    json_lines = "\n".join(
        json.dumps(dict(zip(("file_name", "class_name", "split"), row, strict=True))) for row in rows
    )
    return {
        "csv": csv.encode(),
        "tsv": csv.replace(",", "\t").encode(),
        "semicolons": csv.replace(",", ";").encode("utf-8-sig"),
        "utf-16": csv.encode("utf-16"),
        "latin-1": csv.replace("cat", "käfer").encode("latin-1"),
        "ids": b"id,labels\n1,a\n2,b\n..\\3,nan\n",
        "json-lines": json_lines.encode(),
    }


def recipes() -> dict[str, bytes]:
    """Every recipe that is shipped."""
    return {name: json.dumps(to_json(recipe)).encode() for name, recipe in RECIPES.items()}


def pictures() -> dict[str, bytes]:
    """Every format, and the modes in which they differ."""
    image, exif = Image.fromarray(small_pixels(9, 11)), Image.Exif()
    exif[0x0112] = 6
    other = image.transpose(Image.Transpose.ROTATE_180)
    deep = Image.fromarray(np.arange(99, dtype=np.uint16).reshape(9, 11) * 600)
    grey, palette = image.convert("L"), image.convert("P")
    kinds: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "jpeg": (image, "JPEG", {"exif": exif}), "jpeg-grey": (grey, "JPEG", {"progressive": True}),
        "jpeg-cmyk": (image.convert("CMYK"), "JPEG", {}),
        "mpo": (image, "MPO", {"save_all": True, "append_images": [other]}),
        "png": (image, "PNG", {"exif": exif}), "png-16": (deep, "PNG", {}), "png-1": (image.convert("1"), "PNG", {}),
        "png-palette": (palette, "PNG", {"transparency": 3}), "png-alpha": (image.convert("RGBA"), "PNG", {}),
        "apng": (image, "PNG", {"save_all": True, "append_images": [other]}),
        "gif": (palette, "GIF", {"save_all": True, "append_images": [other.convert("P")]}), "bmp": (image, "BMP", {}),
        "bmp-palette": (palette, "BMP", {}), "webp": (image, "WEBP", {"exif": exif}),
        "webp-lossless": (image.convert("RGBA"), "WEBP", {"lossless": True}),
        "webp-animated": (image, "WEBP", {"save_all": True, "append_images": [other]}),
        "tiff": (image, "TIFF", {}), "tiff-lzw": (grey, "TIFF", {"compression": "tiff_lzw"}),
        "tiff-jpeg": (image, "TIFF", {"compression": "jpeg"}), "tiff-16": (deep, "TIFF", {}),
        "tiff-float": (grey.convert("F"), "TIFF", {}),
        "tiff-fax": (image.convert("1"), "TIFF", {"compression": "group4"}),
        "tiff-deflate": (image, "TIFF", {"compression": "tiff_deflate"}),
    }  # fmt: skip
    return {name: _encoded(each, form, **options) for name, (each, form, options) in kinds.items()}


def archives() -> dict[str, bytes]:
    """Tar files in the layout of CIFAR-10's, in the dialects that tar has."""
    found = {}
    for name, dialect in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=dialect) as tar:
            folder = tarfile.TarInfo(FOLDER)
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
            for member in (*PUBLISHED.md5, *PUBLISHED.beside):
                entry = tarfile.TarInfo(f"{FOLDER}/{member}")
                entry.size, entry.mtime = 3, 0
                if dialect == tarfile.PAX_FORMAT:
                    entry.pax_headers = {"comment": "x"}
                tar.addfile(entry, io.BytesIO(b"abc"))
        found[name] = buffer.getvalue()[: -8 * 512].rstrip(b"\0") + b"\0" * 2_048
    return found


def run_folder() -> dict[str, bytes]:
    """Every file of a whole run, each behind its name, and a ledger with a look at its test set."""
    recipe = Recipe(
        name="tiny", model="small_cnn", widths=(1, 1, 2, 2), epochs=1, batch_size=32,
        optimizer=SGD(lr=0.05, momentum=0.9),
    )  # fmt: skip
    dataset = make_eyechart(seed=0, train=120, test=20)
    with tempfile.TemporaryDirectory() as runs:
        run = fit(recipe, dataset, FitOptions(device="cpu", precision="fp32", runs=Path(runs)))
        ledger = Ledger(Path(runs) / "ledger.jsonl")
        candidate = Candidate(run.name, weights_hash(run), "tiny", 0, "beef")
        test = TestSet("eyechart", 20, "f", ("0123456789abcdef",))
        intent = ledger.intend(test, [candidate], tta="none", reason="fuzzing", version="0")
        ledger.record(intent, [{"weights": candidate.weights, "n": 20, "hits": 9, "hits_tta": 9}])
        files = {name: (run.folder / name).read_bytes() for name in _RUN_FILES}
        files["ledger.jsonl"] = ledger.path.read_bytes()
    # Without their endings: no weights and no data are kept in this repository, says tests/test_house.py.
    return {Path(name).stem: name.encode() + b"\n" + content for name, content in files.items()}


def requests() -> dict[str, bytes]:
    """What a browser sends."""
    head = b"host: 127.0.0.1:8000\r\norigin: http://127.0.0.1:8000\r\ncookie: snellen-8000=key\r\n"
    head += b"content-length: %d\r\n\r\n"
    square = Image.fromarray(small_pixels(32, 32))
    small = _encoded(square, "PNG")
    bodies = {
        "png": small,
        "jpeg": _encoded(square, "JPEG"),
        "gif": _encoded(square.convert("P"), "GIF"),
        "text": b"hi",
    }
    asked = {
        f"answer-{name}": b"POST /answer?fit=pad&run=0 HTTP/1.1\r\n" + head % len(body) + body
        for name, body in bodies.items()
    }
    asked["explain"] = b"POST /explain HTTP/1.1\r\n" + head % len(small) + small
    asked["chunked"] = (
        b"POST /answer HTTP/1.1\r\n"
        + head.replace(b"content-length: %d", b"transfer-encoding: chunked")
        + b"2\r\nhi\r\n0\r\n\r\n"
    )
    asked["page"] = b"GET / HTTP/1.1\r\n" + head % 0
    asked["enter"] = b"GET /?token=token HTTP/1.1\r\nhost: localhost:8000\r\n\r\n"
    return asked


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


if __name__ == "__main__":
    made = {
        "table": tables(), "recipe": recipes(), "picture": pictures(), "archive": archives(),
        "run_folder": run_folder(), "web": requests(),
    }  # fmt: skip
    for target, inputs in made.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, content in inputs.items():
            (CORPUS / target / name).write_bytes(content)
        print(f"{target}: {len(inputs)} inputs, {sum(map(len, inputs.values())):,} bytes")
