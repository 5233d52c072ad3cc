"""Fuzz target: tables of pictures, and what a cell of them says. `python -m tests.fuzz.table [libFuzzer options]`"""

from __future__ import annotations

from random import Random

from tests.fuzz import harness
from tests.fuzz.edits import edited_json, edited_text

from snellen.data.listing import ListedFile, require_learnable
from snellen.data.tables import list_table
from snellen.paths import visible

FOLDER = harness.own_folder()


def read(content: bytes) -> None:
    """JSON lines or CSV give labelled pictures, none of them outside the table's folder, or a `DataError`."""
    path = FOLDER / ("t.jsonl" if content[:1] == b"{" else "t.csv")
    path.write_bytes(content)
    try:
        listing = list_table(ListedFile.by_user(path))
        require_learnable(listing)
        assert all(one.path.is_relative_to(FOLDER) for one in listing.found)
        assert len(set(listing.class_names)) == len(listing.class_names) == max(listing.labels) + 1
        assert "" not in listing.class_names
        assert all(text == visible(text) for text in listing.class_names)
    finally:
        path.unlink()


def edit(content: bytes, chance: Random) -> bytes:
    """Fields of one line of JSON changed, or bytes of the text."""
    lines = content.split(b"\n")
    if content[:1] == b"{" and chance.random() < 0.7:
        at = chance.randrange(len(lines))
        lines[at] = edited_json(lines[at], chance).replace(b"\n", b" ")
        return b"\n".join(lines)
    return edited_text(content, chance)


if __name__ == "__main__":
    harness.fuzz(read, edit, folder=FOLDER)
