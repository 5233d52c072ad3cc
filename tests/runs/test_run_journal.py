"""The journal: whole rows only, and the table says the same."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from snellen.runs.run import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def test_a_run_that_has_not_begun_has_no_rows(journal: Journal) -> None:
    assert journal.rows() == []


def test_rows_come_back_in_order(journal: Journal) -> None:
    rows = [{"epoch": 1, "step": 8, "train/loss": 0.1}, {"epoch": 2, "step": 16, "train/loss": 1e-17}]
    for row in rows:
        journal.append(row)
    assert journal.rows() == rows


def test_the_table_has_every_column_that_any_row_has(journal: Journal) -> None:
    journal.append({"epoch": 1, "train/loss": 0.5})
    journal.append({"epoch": 2, "train/loss": 0.25, "val/accuracy": 0.75})
    with journal.csv_path.open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"epoch": "1", "train/loss": "0.5", "val/accuracy": ""},
            {"epoch": "2", "train/loss": "0.25", "val/accuracy": "0.75"},
        ]


@pytest.mark.parametrize(
    "rest",
    [
        b'{"epoch": 2, "st',
        b"\xff\xfe",
        b"[1, 2]\n",
        b"null\n",
        b"[" * 100_000,
        b'{"epoch": ' + b"9" * 5_000,
        b'{"epoch": 1e999}',
        b'{"epoch": NaN}',
        b'{"epoch": "2", "step": 16}',
        b'{"epoch": 2, "step": [16]}',
    ],
)
def test_a_torn_or_foreign_line_is_left_out(journal: Journal, rest: bytes) -> None:
    journal.append({"epoch": 1, "step": 8})
    with journal.path.open("ab") as file:
        file.write(rest)
    assert journal.rows() == [{"epoch": 1, "step": 8}]


def test_going_back_drops_what_came_after_the_checkpoint_and_any_torn_line(journal: Journal) -> None:
    for epoch in (1, 2, 3):
        journal.append({"epoch": epoch, "step": 8 * epoch})
    with journal.path.open("a") as file:
        file.write('{"epoch": 4, "st')
    journal.keep_until(16)
    journal.append({"epoch": 3, "step": 24})
    assert [row["epoch"] for row in journal.rows()] == [1, 2, 3]
    assert journal.path.read_text().count("\n") == 3
    assert len(journal.csv_path.read_text().splitlines()) == 4


def test_what_is_no_number_is_never_written(journal: Journal) -> None:
    with pytest.raises(ValueError, match="JSON"):
        journal.append({"epoch": 1, "train/loss": float("nan")})
    assert journal.rows() == []
