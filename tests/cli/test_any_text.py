"""Text that a user or a file brings goes from a table through every verb, and comes out on every medium unharmed."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snellen.paths import visible

Snellen = Callable[..., Any]
NAMES = (
    "$1-$5", "US$ 5", "a_b^c\\d{x}%s", "\x1b]0;title\x07\x1b[2J", "<b>&amp;</script><!--", "=1+1", "@SUM(A1)",
    'quo"te, comma; tab\t', "שלום\u202eعربي", "می\u200cخواهم", "東京　タワー", "हिन्दी", "👩\u200d🔬", "first\nsecond",
    "w" * 500, "[red]not red[/red] :smile:", "a|b", "`code` *star* #1",
)  # fmt: skip
KNOWN = {visible(name.strip()) for name in NAMES}
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
EACH = 8


def file_name(place: int, number: int) -> str:
    """A picture's name: its class's, as far as a file system takes it."""
    return f"{number} {NAMES[place].replace('/', '').encode()[:90].decode(errors='ignore')}.png"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with labels of any text, and pictures called after them."""
    folder = tmp_path_factory.mktemp("any text") / "$data_1$ <b>"
    folder.mkdir()
    chance = np.random.default_rng(0)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label"))
        for place, name in enumerate(NAMES):
            for number in range(EACH):
                path = folder / file_name(place, number)
                Image.fromarray(chance.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
                rows.writerow((path.name, name))
    return folder / "labels.csv"


def test_text_of_any_kind_reaches_every_medium_unharmed(snellen: Snellen, table: Path, tmp_path: Path) -> None:
    def said(*arguments: object, code: int = 0) -> str:
        answer = snellen(*arguments)
        assert answer.code == code, answer.err
        assert not STEERING.search(answer.out + answer.err), arguments
        return str(answer.out)

    quick = ("--recipe", "plain", "--size", "16", "--set", "epochs=1", "--device", "cpu", "--precision", "fp32")
    said("data", "info", table, "--size", "16")
    said("train", table, *quick, "--name", "any", "--test-fraction", "0.2")
    run, folder = tmp_path / "runs" / "any", table.parent
    assert set(json.loads((run / "run.json").read_text(encoding="utf-8"))["data"]["class_names"]) == KNOWN

    # Terminal, JSON, CSV
    said("evaluate", run, "--per-class", "--label-issues", "5")
    reason = "".join(NAMES)
    said("evaluate", run, "--split", "test", "--reason", reason)
    assert json.loads(said("ledger", "--json"))["lines"][0]["reason"] == reason
    for verb in (("ledger",), ("runs",), ("doctor", run)):
        said(*verb, code=snellen(*verb).code)
    answers = json.loads(said("predict", run, folder, "--json", "--csv", "answers.csv"))
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["class"] for row in written] == [each["top"][0]["class"] for each in answers]
    assert {row["class"] for row in written} <= KNOWN
    assert {Path(row["picture"]) for row in written} == set(folder.glob("*.png"))  # to be found again

    # Page and card
    said("report", run, "--layer-views", "1")
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "<b>&amp;" not in html
    assert not STEERING.search(html.replace("\t", " ").replace("\r", " "))
    (content,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert set(json.loads(content)["data"]["classes"]) == KNOWN
    said("export", run, "--to", "safetensors")
    card = (run / "export" / "MODEL_CARD.md").read_text(encoding="utf-8")
    for cells in (re.findall(r"(?<!\\)\|", line) for line in card.splitlines() if line.startswith("|")):
        assert len(cells) > 2
    assert not STEERING.search(card)
