"""Slips in naming own parts, and in the parts: each is answered by what was meant, or where it happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from snellen import parts
from snellen.errors import InvalidSetting, UnknownName
from snellen.recipes.catalog import RECIPES
from snellen.recipes.json_form import with_settings

pytestmark = pytest.mark.usefixtures("own_parts_forgotten")

LAB = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, image_shape, num_classes, *, kernel=3, width=8):
        super().__init__()

def letters():
    return {}["images"]
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.py"
    path.write_text(LAB, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lab.py:Net(kernl=7)", "argument of Net 'kernl'. Did you mean 'kernel'? Known: image_shape, kernel, num_clas"),
        ("lab.py:Nett", "Unknown part of lab.py 'Nett'. Did you mean 'Net'? Known: Net, letters."),  # and no `nn`
    ],
)
def test_what_a_file_has_is_listed_in_the_sentence(lab: Path, text: str, sentence: str) -> None:
    parts.allow(lab)
    with pytest.raises(UnknownName) as raised:
        parts.find("model", text)
    assert sentence in str(raised.value)
    assert "List them" not in str(raised.value)


def test_an_argument_of_the_network_is_no_field_and_is_said_to_be_its_argument(lab: Path) -> None:
    for settings in ([f"model={lab}:Net(width=4)", "kernel=7"], ["kernel=7", f"model={lab}:Net(width=4)"]):
        with pytest.raises(InvalidSetting, match=r"Did you mean 'model=lab\.py:Net\(width=4, kernel=7\)'"):
            with_settings(RECIPES["sprint"], settings)


def test_a_file_that_was_renamed_is_told_its_old_name(lab: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"snellen\.allow\(…\)\.$"):
        parts.find("model", "lab.py:Net")
    parts.allow(lab.rename(lab.with_name("moved_lab.py")))
    with pytest.raises(InvalidSetting, match=r"if it is moved_lab\.py now, call it lab\.py again"):
        parts.find("model", "lab.py:Net")


def test_the_line_of_a_fault_is_that_of_ones_own_file(lab: Path) -> None:
    parts.allow(lab)
    with (
        pytest.raises(InvalidSetting, match=r"^It fails: KeyError: 'images', line 10\.$"),
        parts.one_sentence("It fails"),
    ):
        parts.find("data", "lab.py:letters")()
    with pytest.raises(InvalidSetting, match=r"^It fails: ZeroDivisionError: oh\.$"), parts.one_sentence("It fails"):
        raise ZeroDivisionError("oh")  # of a library, say: its lines help nobody
    with pytest.raises(MemoryError), parts.one_sentence("It fails"):  # no fault of the code's
        raise MemoryError
