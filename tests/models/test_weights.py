"""From a run folder back to the very model that was trained."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from tests.fuzz.harness import watched
from torch import nn

from snellen.data.dataset import Dataset
from snellen.data.splits import split
from snellen.errors import InvalidSetting, RunError
from snellen.models.normalized import Classifier, Normalized
from snellen.models.weights import LoadReport, load_pretrained, restore, save_weights, weights_hash
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run


def test_the_restored_model_gives_the_answers_the_run_was_graded_by(finished_run: Run, tiny_dataset: Dataset) -> None:
    val = split(tiny_dataset).val
    assert val is not None
    stored = Predictions.load(finished_run.folder / "predictions_val.npz")
    answers = predict(restore(finished_run), val, tta="flip")
    np.testing.assert_array_equal(answers.logits, stored.logits)
    np.testing.assert_array_equal(answers.with_tta().logits, stored.with_tta().logits)


def test_it_is_in_eval_mode_and_carries_the_statistics_of_its_training_images(finished_run: Run) -> None:
    model = restore(finished_run)
    assert not any(module.training for module in model.modules())
    np.testing.assert_allclose(model.normalize.mean, finished_run.info["statistics"]["mean"], rtol=1e-6)
    np.testing.assert_allclose(model.normalize.std, finished_run.info["statistics"]["std"], rtol=1e-6)


def test_saving_and_restoring_changes_no_bit(own_run: Run) -> None:
    before = (own_run.folder / "weights.safetensors").read_bytes()
    model = restore(own_run)
    save_weights(own_run, model)
    assert (own_run.folder / "weights.safetensors").read_bytes() == before
    again = restore(own_run).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())


def test_the_identity_is_the_sha256_of_the_file(own_run: Run) -> None:
    path = own_run.folder / "weights.safetensors"
    first = weights_hash(own_run)
    assert first == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert weights_hash(own_run) != first


def test_without_weights_the_way_out_is_named(own_run: Run) -> None:
    (own_run.folder / "weights.safetensors").unlink()
    for ask in (restore, weights_hash):
        with pytest.raises(RunError, match="has no weights. Train again, or take another copy of it"):
            ask(own_run)


def test_weights_that_cannot_be_read_are_a_sentence(own_run: Run) -> None:
    (own_run.folder / "weights.safetensors").unlink()
    (own_run.folder / "weights.safetensors").mkdir()
    with pytest.raises(RunError, match="cannot be read: Is a directory"):
        restore(own_run)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "pickle", "huge header", "other shape", "missing", "more"])
def test_weights_that_do_not_fit_are_refused_in_one_short_sentence(own_run: Run, damage: str) -> None:
    path = own_run.folder / "weights.safetensors"
    whole = path.read_bytes()
    tensors = load(whole)
    name = "net.fc.weight"
    broken = {
        "empty": b"",
        "text": b"not weights at all",
        "cut": whole[: len(whole) // 2],
        "pickle": b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.",
        "huge header": (2**63).to_bytes(8, "little") + b"{}",
        "other shape": save({**tensors, name: torch.zeros(3, 3)}),
        "missing": save({key: value for key, value in tensors.items() if key != name}),
        "more": save({**tensors, "net.extra": torch.zeros(1)}),
    }
    path.write_bytes(broken[damage])
    with pytest.raises(RunError, match=r"weights\.safetensors does not fit the run's recipe") as refused:
        restore(own_run)
    assert len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)


def test_a_byte_changed_in_a_weight_is_another_model_by_hash_and_one_in_the_header_is_refused(own_run: Run) -> None:
    path = own_run.folder / "weights.safetensors"
    whole = bytearray(path.read_bytes())
    whole[12] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(RunError):
        restore(own_run)


def test_a_recipe_that_was_edited_afterwards_does_not_fit_its_weights(own_run: Run) -> None:
    content = own_run.read("recipe.json")
    (own_run.folder / "recipe.json").write_text(json.dumps({**content, "widths": [8, 8, 8, 8]}))
    with pytest.raises(RunError, match="does not fit the run's recipe"):
        restore(own_run)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda value: value.double(), "net.fc.bias is float64 (10,) and should be float32 (10,)"),
        (lambda value: value.long(), "net.fc.bias is int64 (10,) and should be float32 (10,)"),
        (lambda value: value.bfloat16(), "net.fc.bias is bfloat16 (10,)"),
        (lambda value: value.reshape(1, 10), "net.fc.bias is float32 (1, 10) and should be float32 (10,)"),
        (lambda value: value[:0], "net.fc.bias is float32 (0,)"),
        (lambda value: value * float("nan"), "net.fc.bias holds what is no finite number"),
        (lambda value: value + float("inf"), "net.fc.bias holds what is no finite number"),
        (lambda value: value.where(value != value.max(), float("nan")), "net.fc.bias holds what is no finite number"),
    ],
)
def test_a_tensor_of_another_kind_is_named_with_both(own_run: Run, change: Any, why: str) -> None:
    path = own_run.folder / "weights.safetensors"
    tensors = load(path.read_bytes())
    path.write_bytes(save({**tensors, "net.fc.bias": change(tensors["net.fc.bias"])}))
    with pytest.raises(RunError, match=re.escape(why)):
        restore(own_run)


def test_of_many_tensors_that_do_not_fit_the_first_are_named_and_the_others_counted(own_run: Run) -> None:
    path = own_run.folder / "weights.safetensors"
    tensors = load(path.read_bytes())
    path.write_bytes(save({"net.x": torch.zeros(1)}))
    more = len(tensors) + 1 - 3
    with pytest.raises(RunError, match=rf"normalize.mean is missing, normalize.std is missing, .* and {more} more$"):
        restore(own_run)
    path.write_bytes(save({**tensors, **{f"net.{name}": torch.zeros(1) for name in "xyz"}}))
    with pytest.raises(
        RunError, match=r"net.x has no place in it, net.y has no place in it, net.z has no place in it$"
    ):
        restore(own_run)


@pytest.mark.parametrize(("values", "enough"), [(6, True), (5, False)])
def test_weights_to_begin_with_hold_half_of_the_values_or_are_of_another_network(
    values: int, enough: bool, tmp_path: Path
) -> None:
    net = nn.Sequential(nn.Linear(values, 1, bias=False), nn.Linear(2, 3, bias=False))
    path = tmp_path / "half.safetensors"
    counted = {"net.1.weight": torch.ones(3, 2, dtype=torch.int64), "normalize.mean": torch.zeros(1)}
    path.write_bytes(save({**counted, "net.0.weight": torch.ones(1, values), "net.x": torch.zeros(2)}))
    model = Classifier(Normalized([0.5], [0.5]), net)
    if not enough:
        sentence = r"fits 45 % of .* begins with 0\.weight, 1\.weight, x; this one with 0\.weight, 1\.weight\."
        with pytest.raises(InvalidSetting, match=sentence):
            load_pretrained(model, path)
        return
    report = load_pretrained(model, path)
    assert net[0].weight.tolist() == [[1] * values]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert report == LoadReport(path.name, sha256, 0.5, ("1.weight",), ("1.weight", "x"))
    assert str(report) == "begins with half.safetensors, which gives 50.0 % of the network's values; new: 1.weight"
    assert str(replace(report, new=())) == "begins with half.safetensors, which gives 50.0 % of the network's values"


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**60]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}},
        {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}},
        {"__metadata__": {"a": 1}},
        [],
    ],
    ids=["shape", "beyond", "backwards", "negative", "dtype", "overlap", "hole", "metadata", "list"],
)  # fmt: skip
def test_a_header_that_lies_about_its_tensors_is_refused(own_run: Run, header: Any, tmp_path: Path) -> None:
    text = json.dumps(header).encode()
    (own_run.folder / "weights.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    with pytest.raises(RunError, match="does not fit"), watched(tmp_path):
        restore(own_run)


@pytest.mark.parametrize(
    ("recipe", "shape"),
    [({"model": "mlp", "widths": []}, [4096, 4096, 3]), ({"widths": [8192] * 4}, [32, 32, 3])],
    ids=["pictures", "widths"],
)
def test_a_description_of_a_giant_network_is_refused_before_room_is_made_for_it(
    own_run: Run, recipe: dict[str, Any], shape: list[int], tmp_path: Path
) -> None:
    (own_run.folder / "recipe.json").write_text(json.dumps({**own_run.read("recipe.json"), **recipe}))
    own_run.update_info(data={**own_run.info["data"], "image_shape": shape})
    with pytest.raises(RunError, match="does not fit"), watched(tmp_path):  # of up to 100 GB of weights none is made
        restore(own_run)
