"""Fuzz target: the archive reader of the download. `python -m tests.fuzz.archive [libFuzzer options]`"""

from __future__ import annotations

import gzip
import shutil
from random import Random

from tests.fuzz import harness
from tests.fuzz.edits import edited_tar

from snellen.data.cifar10 import PUBLISHED
from snellen.data.download import unpack

FOLDER = harness.own_folder()


def read(content: bytes) -> None:
    """A tar (compressed here) gives exactly the seven known files, or a `DataError` and nothing at all."""
    archive, out = FOLDER / "archive", FOLDER / "out"
    archive.write_bytes(gzip.compress(content, compresslevel=0))
    try:
        unpack(PUBLISHED, archive, out)
        assert sorted(path.name for path in out.iterdir()) == sorted(PUBLISHED.md5)
        assert all(path.is_file() and not path.is_symlink() for path in out.iterdir())
    finally:
        archive.unlink()
        shutil.rmtree(out, ignore_errors=True)
        assert not list(FOLDER.iterdir())


def edit(content: bytes, chance: Random) -> bytes:
    """Names, types, sizes and links of members changed, checksums made right."""
    return edited_tar(content, chance)


if __name__ == "__main__":
    harness.fuzz(read, edit, folder=FOLDER)
