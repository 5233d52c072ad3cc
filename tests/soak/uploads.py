"""Ten thousand pictures for one viewer: `python -m tests.soak.uploads --count 10000 --out FILE.json`.

Each is another one: five formats, from one pixel to some megapixels, grey, coloured or with transparency, and one in
ten is cut off in the middle. Every question has its answer, and the viewer's memory stays where it was once its pools
were filled. Exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import http.client
import io
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from tests.soak.clients import Door
from tests.soak.outcome import head, tell
from tests.soak.served import Served, a_run, serving

from snellen.bench.protocol import conditions_here
from snellen.serialize import to_json

_FORMATS = {"JPEG": ("L", "RGB"), "PNG": ("L", "RGB", "RGBA"), "WEBP": ("RGB", "RGBA"), "GIF": ("P",), "BMP": ("RGB",)}
_LARGEST = 2_000  # pixels of a side
_BROKEN = 0.1
_SAMPLES = 100
_FLAT_MB = 20.0


def main() -> int:
    """Upload, print, and write to `--out`."""
    args = _arguments()
    conditions, began = conditions_here(), time.time()
    with tempfile.TemporaryDirectory() as name, serving(a_run(args.run, Path(name)), Path(name)) as served:
        uploaded = _uploaded(served, args.count, args.seed)
        complaints = served.complaints.read_text().splitlines()[:20]
    result = {
        "what": "pictures, one after the other, to a viewer on the loopback interface; one in ten is cut off",
        **head("tests.soak.uploads", args.run, began),
        "conditions": to_json(conditions.after()),
        **uploaded,
        "complaints": complaints,
        "promises": _promises(uploaded, complaints),
    }
    tell(result, args.out)
    return 0 if all(result["promises"].values()) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run; it is copied. Without one an eye chart is learned.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a file for the numbers")
    return parser.parse_args()


def _uploaded(served: Served, count: int, seed: int) -> dict[str, Any]:
    generator, statuses = np.random.default_rng(seed), {"whole": Counter[str](), "cut off": Counter[str]()}
    line = http.client.HTTPConnection("127.0.0.1", served.door.port, timeout=60)
    usage, sent = [served.usage()], 0
    for number in range(1, count + 1):
        content, cut = picture(generator), bool(generator.random() < _BROKEN)
        content = content[: len(content) // 2] if cut else content
        statuses["cut off" if cut else "whole"][_answered(line, served.door, content)] += 1
        sent += len(content)
        if number % max(1, count // _SAMPLES) == 0:
            usage.append(served.usage())
    line.close()
    memory = [round(megabytes, 1) for megabytes, _ in usage]
    return {
        "seed": seed, "count": count, "megabytes": round(sent / 1e6, 1),
        "statuses": {kind: dict(counted) for kind, counted in statuses.items()},
        "memory_mb": {
            "at_start": memory[0], "second_tenth": _middle(memory, 0.1, 0.2), "last_tenth": _middle(memory, 0.9, 1.0),
            "most": max(memory), "all": memory,
        },
        "open_files": {"at_start": usage[0][1], "at_end": usage[-1][1]},
    }  # fmt: skip


def picture(generator: np.random.Generator) -> bytes:
    """Noise as a file of some format, mode and size; small ones are more frequent, as lengths are drawn by ratio."""
    kind = str(generator.choice(list(_FORMATS)))
    mode = str(generator.choice(_FORMATS[kind]))
    width, height = np.exp(generator.uniform(0, np.log(_LARGEST), 2)).astype(int).tolist()
    small = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((max(1, width), max(1, height))).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def _answered(line: http.client.HTTPConnection, door: Door, content: bytes) -> str:
    line.request("POST", "/answer", content, door.headers)
    answer = line.getresponse()
    answer.read()
    return str(answer.status)


def _middle(memory: list[float], begin: float, end: float) -> float:
    return round(median(memory[int(begin * len(memory)) : max(1, int(end * len(memory)))] or memory), 1)


def _promises(uploaded: dict[str, Any], complaints: list[str]) -> dict[str, bool]:
    memory, files, statuses = uploaded["memory_mb"], uploaded["open_files"], uploaded["statuses"]
    return {
        "every whole picture is answered, or refused as too large": set(statuses["whole"]) <= {"200", "413"},
        # A cut JPEG, WebP or GIF may still be one, as far as it goes; nobody promises which.
        "what is cut off is answered or refused as no picture": set(statuses["cut off"]) <= {"200", "415", "422"},
        f"memory is flat within {_FLAT_MB:g} MB": memory["last_tenth"] - memory["second_tenth"] < _FLAT_MB,
        # One more is the line that the pictures come on.
        "no file stays open": files["at_end"] <= files["at_start"] + 1,
        "it complains about nothing": complaints == [],
    }


if __name__ == "__main__":
    sys.exit(main())
