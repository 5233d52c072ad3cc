"""Subjects by name, and settings that must have an effect."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from snellen.bench.catalog import SUBJECTS, Settings, chosen
from snellen.errors import InvalidSetting, UnknownName


def test_an_unknown_subject_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'steps'. Did you mean 'step'"):
        chosen(["load", "steps"], Settings())


def test_without_a_name_the_long_ones_are_left_out() -> None:
    assert chosen([], Settings()) == ("import", "load", "augment", "step", "predict")


def test_a_subject_named_twice_is_measured_once() -> None:
    assert chosen(["step", "load", "step"], Settings()) == ("step", "load")


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_subject_has_a_function_that_measures(name: str) -> None:
    file, _, function = SUBJECTS[name].function.partition(".")
    assert callable(getattr(import_module(f"snellen.bench.{file}"), function))


def test_a_setting_that_no_named_subject_looks_at_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="--data has no effect on step, augment; it is for load, memory"):
        chosen(["step", "augment"], Settings(data=Path("data")))


def test_a_setting_that_one_named_subject_looks_at_is_fine() -> None:
    assert chosen(["load", "memory"], Settings(recipe="mlp")) == ("load", "memory")
