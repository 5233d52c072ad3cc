"""Fuzz target: the one decoder of all pictures. `python -m tests.fuzz.picture [libFuzzer options]`"""

from __future__ import annotations

from random import Random

from tests.fuzz import harness
from tests.fuzz.edits import edited_png, edited_text

from snellen.data.pictures import PictureForm, read_with_notes, square_of

_MOST_PIXELS = 250_000
"""The cap is the caller's to lower, and an execution shall not decode 64 megapixels."""


def read(content: bytes) -> None:
    """Bytes are an upright RGB picture that becomes a square of bytes, or a `DataError`."""
    picture = read_with_notes(content, max_pixels=_MOST_PIXELS, at_least=32)
    assert picture.image.mode == "RGB"
    assert picture.image.width * picture.image.height <= _MOST_PIXELS
    for fit in ("crop", "pad", "squash"):
        assert PictureForm(16, fit).fitted(picture.image).shape == (16, 16, 3)  # type: ignore[arg-type]
        square_of(picture.size, fit)  # type: ignore[arg-type]


def edit(content: bytes, chance: Random) -> bytes:
    """Chunks of a PNG with right checksums; of other formats the first bytes, where the sizes stand."""
    if content.startswith(b"\x89PNG"):
        return edited_png(content, chance)
    head = chance.choice((32, 128, 512))
    return edited_text(content[:head], chance) + content[head:]


if __name__ == "__main__":
    harness.fuzz(read, edit, folder=harness.own_folder())
