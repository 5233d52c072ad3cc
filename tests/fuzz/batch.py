"""Fuzz target: the CIFAR batch reader. `python -m tests.fuzz.batch [libFuzzer options]`"""

from __future__ import annotations

from random import Random

import numpy as np
from tests.fuzz import harness
from tests.fuzz.edits import edited_text

from snellen.data.safe_pickle import load_batch_pickle

_PLAIN = (dict, list, tuple, str, bytes, int, bool, type(None))
_PIECES = (
    b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n",
    b"cos\nsystem\n", b"ios\nsystem\n", b"R", b"b", b"}", b"]", b")", b"(", b"t", b"u", b"s", b"e", b"a", b"l", b"d",
    b"q\x00", b"h\x00", b"K\x01", b"U\x02u1", b"X\x02\x00\x00\x00u1", b"\x93", b"\x94", b"\x85", b"\x86", b"\x87", b".",
    b"I1\n", b"Vlatin1\n", b"p0\n", b"g0\n", b"N", b"\x88", b"\x89", b"T\xff\xff\xff\xff", b"r\xff\xff\xff\x7f",
)  # fmt: skip


def read(content: bytes) -> None:
    """What comes out is a dict of plain values and uint8 arrays, or a `DataError`."""
    entries = load_batch_pickle(content)
    for key, value in entries.items():
        assert isinstance(key, bytes)
        if isinstance(value, np.ndarray):
            assert value.dtype == np.uint8
            assert value.sum() >= 0  # every byte is there to be read
        else:
            assert isinstance(value, _PLAIN) or type(value).__module__ == "snellen.data.safe_pickle"


def edit(content: bytes, chance: Random) -> bytes:
    """Whole instructions put in, taken out or moved."""
    if chance.random() < 0.4:
        return edited_text(content, chance)
    at = chance.randint(0, len(content))
    return content[:at] + chance.choice(_PIECES) + content[at + chance.randint(0, 3) :]


if __name__ == "__main__":
    harness.fuzz(read, edit, folder=harness.own_folder())
