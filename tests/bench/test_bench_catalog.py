"""Subjects by name, and settings that must have an effect."""

from __future__ import annotations

from importlib import import_module

import pytest

from snellen.bench.catalog import SUBJECTS, chosen, require_effect
from snellen.bench.settings import Settings
from snellen.errors import InvalidSetting, UnknownName


def test_an_unknown_subject_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'steps'. Did you mean 'step'"):
        chosen(["load", "steps"])


def test_without_a_name_the_long_ones_are_left_out() -> None:
    assert chosen([]) == ("import", "load", "augment", "step", "predict")


def test_a_subject_named_twice_is_measured_once() -> None:
    assert chosen(["step", "load", "step"]) == ("step", "load")


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_subject_has_a_file_that_measures(name: str) -> None:
    assert callable(import_module(f"snellen.bench.{SUBJECTS[name].module}").measure)


def test_a_setting_that_no_named_subject_looks_at_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="--seeds has no effect on load, step; it is for to-accuracy"):
        require_effect(["load", "step"], Settings(seeds=9))


def test_a_setting_that_one_named_subject_looks_at_is_fine() -> None:
    require_effect(["load", "to-accuracy"], Settings(seeds=9, recipe="mlp"))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seeds": 0}, "--seeds 0"),
        ({"reason": "curious"}, "Add --final"),
        ({"ledger": "l.jsonl"}, "--ledger has no effect without --reason"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict, sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        Settings(**wrong)
