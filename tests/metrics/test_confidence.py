"""How sure a model is: one file and one picture from the predictions alone, temperature from val and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snellen.errors import UsageError
from snellen.metrics.calibration import calibration
from snellen.metrics.confidence import confidence, write_confidence
from snellen.metrics.label_issues import label_issues
from snellen.metrics.temperature import fit_temperature, rescaled


def test_an_overconfident_model_is_mended_by_the_temperature_of_val(simulated):
    val, test = simulated(2000, overconfidence=2.0), simulated(2000, seed=1, overconfidence=2.0, split="test")
    found = confidence(test, val=val)
    assert found.temperature == fit_temperature(val)
    assert found.after == calibration(rescaled(test, found.temperature.temperature))
    assert found.after.ece < found.before.ece / 2
    labels = [label for label, _ in found.sentences()]
    assert labels[:3] == ["sure", "", "drawers"]


def test_a_temperature_is_not_fitted_on_test(simulated):
    test = simulated(100, split="test")
    with pytest.raises(UsageError, match="fitted on val only"):
        confidence(test, val=test)


def test_without_val_there_is_no_temperature(simulated):
    found = confidence(simulated(300, split="test"), val=None)
    assert (found.temperature, found.after) == (None, None)
    assert found.to_json()["temperature"] is None
    assert "temperature" not in " ".join(sentence for _, sentence in found.sentences())


def test_every_image_is_in_one_drawer_and_the_sentence_counts_them(simulated):
    found = confidence(simulated(500), val=None)
    sentence = dict(found.sentences())["drawers"]
    counts = [int(part.split()[0].replace(",", "")) for part in sentence.split(", ")]
    assert sum(counts) == 500
    assert counts == [len(drawer.index) for drawer in found.drawers]


def test_doubted_labels_name_the_image_by_its_id_and_both_classes(simulated):
    val = simulated(400)
    doubted = confidence(val, val=val)
    (first,) = doubted.doubt_rows(1)
    row = int(label_issues(val).index[0])
    assert first["id"] == int(val.ids[row])
    assert first["given"] == val.class_names[val.labels[row]]
    assert first["suggested"] == val.class_names[int(val.logits[row].argmax())]
    assert first["probability_suggested"] == pytest.approx(val.probabilities[row].max())


def test_the_file_and_the_picture_are_written(simulated, tmp_path: Path):
    val = simulated(300)
    write_confidence(confidence(val, val=val), tmp_path)
    written = json.loads((tmp_path / "confidence_val.json").read_text())
    assert written["n"] == 300
    assert {
        "calibration",
        "calibration_with_temperature",
        "temperature",
        "risk_coverage",
        "drawers",
        "label_issues",
    } <= {*written}
    with Image.open(tmp_path / "reliability.png") as picture:
        assert np.asarray(picture).std() > 5
