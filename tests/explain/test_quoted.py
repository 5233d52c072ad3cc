"""A quoted line is one that stands in the source, where it is said to stand."""

from __future__ import annotations

from pathlib import Path

import pytest

import snellen
from snellen.explain.quoted import quote

PACKAGE = Path(snellen.__file__).parent


def test_the_place_names_the_line_that_holds_the_words() -> None:
    found = quote("models/normalized.py", "(images - self.mean")
    file, number = found.place.split(":")
    assert found.code in (PACKAGE / file).read_text().splitlines()[int(number) - 1]


def test_a_statement_over_several_lines_comes_whole_and_on_one() -> None:
    code = quote("train/step.py", "functional.cross_entropy(").code
    assert code.startswith("losses = functional.cross_entropy(logits.float()")
    assert code.endswith('reduction="none")')
    assert "\n" not in code


def test_comment_and_annotation_are_left_out() -> None:
    found = quote("models/plain_cnn.py", "self.conv1(images)")
    assert found.code == "out = functional.max_pool2d(functional.relu(self.conv1(images)), 2)"
    assert quote("models/plain_cnn.py", "self.head(").code == "logits = self.head(out.flatten(1))"


def test_of_two_classes_the_one_named_is_quoted() -> None:
    block, whole = (quote("models/resnet18.py", "self.conv1(", within=name) for name in ("BasicBlock", "ResNet18"))
    assert block.place != whole.place


def test_words_that_are_gone_are_an_error_and_not_an_old_line() -> None:
    with pytest.raises(AssertionError, match="no longer says"):
        quote("models/normalized.py", "images - self.median")
