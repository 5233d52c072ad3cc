"""How sure a model is: one file and one picture from the predictions alone, temperature from val and nowhere else."""

from __future__ import annotations

import json

import pytest

from snellen.errors import UsageError
from snellen.metrics.calibration import calibration, fit_temperature, rescaled
from snellen.metrics.confidence import confidence
from snellen.metrics.label_issues import label_issues
from snellen.serialize import to_json


def test_an_overconfident_model_is_mended_by_the_temperature_of_val(simulated):
    val, test = simulated(2000, overconfidence=2.0), simulated(2000, seed=1, overconfidence=2.0, split="test")
    found = confidence(test, val=val)
    assert found.temperature == fit_temperature(val)
    after = found.calibration_with_temperature
    assert after == calibration(rescaled(test, found.temperature.temperature))
    assert after.ece < found.calibration.ece / 2


def test_a_temperature_is_not_fitted_on_test(simulated):
    test = simulated(100, split="test")
    with pytest.raises(UsageError, match="fitted on val only"):
        confidence(test, val=test)


def test_without_val_there_is_no_temperature(simulated):
    found = confidence(simulated(300, split="test"), val=None)
    assert (found.temperature, found.calibration_with_temperature) == (None, None)
    assert to_json(found)["temperature"] is None


def test_label_issues_name_the_image_by_its_id_and_both_classes(simulated):
    val = simulated(400)
    doubted = confidence(val, val=val)
    first = doubted.label_issues.issues[0]
    row = int(label_issues(val).index[0])
    assert first.id == int(val.ids[row])
    assert first.given == val.class_names[val.labels[row]]
    assert first.suggested == val.class_names[int(val.logits[row].argmax())]
    assert first.probability_suggested == pytest.approx(val.probabilities[row].max())


def test_json_holds_everything_and_names_a_hundred_images_at_most(simulated):
    val = simulated(300)
    written = json.loads(json.dumps(to_json(confidence(val, val=val)), allow_nan=False))
    assert (written["split"], written["n"]) == ("val", 300)
    assert {"calibration", "temperature", "calibration_with_temperature", "risk_coverage"} <= {*written}
    assert [len(group["first_ids"]) for group in written["groups"]] == [
        min(100, group["share"]["hits"]) for group in written["groups"]
    ]
    names = {int(number): name for number, name in zip(val.ids, val.names, strict=True)}
    for group in written["groups"]:
        assert group["first_names"] == [names[number] for number in group["first_ids"]]
    assert written["label_issues"]["count"] >= len(written["label_issues"]["first_issues"])
