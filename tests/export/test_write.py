"""From a run to files: every model of the catalog, every format, and what is refused."""

from __future__ import annotations

import io
import json
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.errors import DataError, RunError
from snellen.export import write
from snellen.export.onnx_file import OnnxSession
from snellen.export.parity import Tolerance
from snellen.export.safetensors_file import load_folder
from snellen.export.write import Export, export_run
from snellen.models.catalog import MODELS
from snellen.models.weights import restore, weights_hash
from snellen.predict.familiarity import FILE, stored_familiarity
from snellen.predict.own_pictures import answer
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.train.fit import FitOptions, fit

NARROW = {
    "mlp": (24,),
    "plain_cnn": (4, 8, 8),
    "small_cnn": (4, 4, 8, 8),
    "resnet18": (4, 4, 8, 8),
    "sprint_net": (16, 24, 24),
    "marathon_net": (16, 24, 24),
}


def short(recipe: Recipe, model: str) -> Recipe:
    epochs = 12 if model == "marathon_net" else 1  # it begins with large logits, which a step of 8 bits moves far
    return recipe.replace(name=model, model=model, widths=NARROW.get(model, ()), epochs=epochs)


LITE = "efficientnet_lite0"  # a minute; the larger ones are the same code
OTHERS = [name for name in MODELS if not name.startswith("efficientnet_lite")]


@pytest.mark.parametrize("model", [*OTHERS, pytest.param(LITE, marks=pytest.mark.long)])
def test_every_model_answers_in_every_format_as_it_does_in_pytorch(
    model: str,
    tiny_recipe: Recipe,
    tiny_dataset: Dataset,
    tmp_path: Path,
    small_eyechart: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Trained this little they guess, and in 8 bits two of the 30 guesses were seen to tip over: three may.
    monkeypatch.setattr(write, "INT8", Tolerance(largest_gap=None, lost=0.1))
    run = fit(short(tiny_recipe, model), tiny_dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path))
    export = export_run(run, ["all"])
    assert export.folder == run.folder / "export"
    assert set(export.sizes) == {"model.onnx", "model.int8.onnx", "model.pt2", "model.safetensors"}
    gaps = {one.file: one.largest_gap for one in export.parities}
    assert gaps.pop("model.int8.onnx") < 0.1
    assert gaps.pop("model.safetensors") == 0
    assert max(gaps.values()) < 1e-6


def test_the_onnx_file_takes_bytes_and_gives_probabilities_for_any_number_of_pictures(
    exported: Export, expected: Predictions, val: LabeledImages
) -> None:
    session = OnnxSession((exported.folder / "model.onnx").read_bytes())
    for batch_size in (1, 7, len(val)):
        found = session.probabilities(val.images, batch_size=batch_size)
        np.testing.assert_allclose(found, expected.probabilities, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_the_onnx_file_is_whole_and_valid(exported: Export) -> None:
    proto = onnx.load_model_from_string((exported.folder / "model.onnx").read_bytes())
    onnx.checker.check_model(proto, full_check=True)
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in proto.graph.initializer)
    assert {each.version for each in proto.opset_import if not each.domain} == {20}
    (given,) = proto.graph.input
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8


@pytest.mark.parametrize("name", ["model.onnx", "model.int8.onnx"])
def test_the_onnx_file_says_what_it_is_and_its_own_accuracy(exported: Export, finished_run: Run, name: str) -> None:
    said = OnnxSession((exported.folder / name).read_bytes()).metadata
    own = next(one for one in exported.parities if one.file == name).accuracy.second
    assert json.loads(said["class_names"]) == finished_run.info["data"]["class_names"]
    assert (said["side"], said["channels"], said["fit"], said["data"]) == ("32", "3", "crop", "eyechart")
    assert json.loads(said["recipe"])["name"] == "tiny"
    assert json.loads(said["val_accuracy"]) == to_json(own)
    assert said["weights_sha256"] == weights_hash(finished_run)


def test_no_file_names_a_folder_of_the_machine_that_exported(exported: Export) -> None:
    here = str(Path(write.__file__).parent).encode()
    for name in exported.sizes:
        assert here not in (exported.folder / name).read_bytes(), name


def test_the_torch_program_answers_alike_when_pytorch_reads_it(
    exported: Export, expected: Predictions, val: LabeledImages
) -> None:
    program = torch.export.load(io.BytesIO((exported.folder / "model.pt2").read_bytes()))
    found = program.module()(torch.from_numpy(val.images)).detach().numpy()
    np.testing.assert_allclose(found, expected.probabilities, atol=1e-6)


def test_the_two_safetensors_files_are_the_trained_model_to_the_bit(
    exported: Export, finished_run: Run, val: LabeledImages, expected: Predictions
) -> None:
    assert predict(load_folder(exported.folder), val).logits.tobytes() == expected.logits.tobytes()
    content = (exported.folder / "model.safetensors").read_bytes()
    assert content == (finished_run.folder / "weights.safetensors").read_bytes()


def test_weights_that_do_not_belong_to_their_description_are_one_sentence(exported: Export, tmp_path: Path) -> None:
    about = json.loads((exported.folder / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**about, "model_options": {"widths": [8, 8, 8, 8]}}))
    (tmp_path / "model.safetensors").write_bytes((exported.folder / "model.safetensors").read_bytes())
    with pytest.raises(RunError, match="do not belong together"):
        load_folder(tmp_path)
    with pytest.raises(RunError, match="holds no exported model"):
        load_folder(tmp_path / "nowhere")


@pytest.mark.slow
def test_int8_is_about_as_accurate_as_fp32(tmp_path: Path, tiny_recipe: Recipe) -> None:
    letters = make_eyechart(train=5000, test=0)
    recipe = tiny_recipe.replace(widths=(16, 16, 32, 32), epochs=4)
    run = fit(recipe, letters, FitOptions(device="cpu", precision="fp32", runs=tmp_path))
    (found,) = export_run(run, ["int8"], data=letters).parities
    assert found.refusal is None
    assert found.accuracy.first.n == 500
    assert found.accuracy.first.value > 0.3
    assert found.accuracy.value >= -0.01
    assert found.same_answer.value > 0.9


def test_the_onnx_file_gives_the_distances_of_the_run_and_the_int8_file_none(
    exported: Export, finished_run: Run, val: LabeledImages
) -> None:
    session = OnnxSession((exported.folder / "model.onnx").read_bytes())
    familiarity = stored_familiarity(finished_run)
    assert familiarity is not None
    for count in (1, len(val)):
        told = answer(restore(finished_run), list(val.images[:count]), val.class_names, familiarity=familiarity)[1]
        expected = [each["distance"] for each in told if each]
        assert session.distances(val.images[:count]) == pytest.approx(expected, abs=1e-4)
    about = session.metadata
    assert float(about["distance_threshold"]) == familiarity.threshold
    assert float(about["distance_chance"]) == familiarity.chance
    assert 0 <= float(about["distance_gap"]) <= 1e-3
    assert "distance_threshold" not in OnnxSession((exported.folder / "model.int8.onnx").read_bytes()).metadata


def test_distances_that_are_not_the_runs_are_left_out_of_the_file(
    own_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_eyechart: None
) -> None:
    told = OnnxSession.distances
    monkeypatch.setattr(
        OnnxSession, "distances", lambda self, images: told(self, images) + 0.01 * np.eye(len(images))[3]
    )
    export = export_run(own_run, ["onnx"], tmp_path)
    assert not export.refused
    assert "distance_threshold" not in OnnxSession((tmp_path / "model.onnx").read_bytes()).metadata


def test_a_file_with_other_weights_is_not_left_on_disk_and_the_others_are_written(
    own_run: Run, tampered_onnx: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_eyechart: None
) -> None:
    (own_run.folder / FILE).unlink()  # the tampered file gives no distances
    monkeypatch.setattr(write, "to_onnx", lambda program: tampered_onnx)
    old = tmp_path / "model.onnx"
    old.write_bytes(b"of an earlier export")
    export = export_run(own_run, ["onnx", "safetensors"], tmp_path)
    assert [one.file for one in export.refused] == ["model.onnx"]
    assert not old.exists()
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "model.safetensors", "model.json", "parity.json", "MODEL_CARD.md",
    }  # fmt: skip
    report = json.loads((tmp_path / "parity.json").read_text())
    onnx_entry, other = report["files"]
    assert "a probability differs from PyTorch's by" in onnx_entry["refusal"]
    assert (onnx_entry["sha256"], other["refusal"]) == (None, None)
    content = (tmp_path / "model.safetensors").read_bytes()
    assert (other["sha256"], export.sizes) == (sha256(content).hexdigest(), {"model.safetensors": len(content)})
    assert "**refused**" in (tmp_path / "MODEL_CARD.md").read_text()


def test_other_pictures_than_the_run_learned_from_are_refused(own_run: Run) -> None:
    with pytest.raises(DataError, match="The train images of .* are not those of"):
        export_run(own_run, ["safetensors"], data=make_eyechart(seed=1, train=300, test=60))


def test_a_network_that_answers_otherwise_than_it_was_graded_is_not_exported(
    own_run: Run, small_eyechart: None
) -> None:
    weights = load_file(own_run.folder / "weights.safetensors")
    save_file({name: value * 2 for name, value in weights.items()}, own_run.folder / "weights.safetensors")
    with pytest.raises(RunError, match="is not exported. Logits on file are up to .*another network"):
        export_run(own_run, ["safetensors"])
    assert not (own_run.folder / "export").exists()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_is_asked_again_in_the_precision_it_was_graded_in(
    own_run: Run, small_eyechart: None, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    own_run.update_info(precision=precision)
    asked = []

    def judged(model: object, images: LabeledImages, *, stored: Predictions, bf16: bool) -> SimpleNamespace:
        asked.append((images.role, len(stored), bf16))
        return SimpleNamespace(passed=False, evidence="It differs.", remedy="Train again.")

    monkeypatch.setattr(write, "repeatable_evaluation", judged)
    with pytest.raises(RunError, match="is not exported. It differs. Train again."):
        export_run(own_run, ["safetensors"])
    assert asked == [("val", 30, precision == "bf16")]


def test_an_unfinished_run_is_not_exported(own_run: Run) -> None:
    own_run.update_info(status="interrupted")
    with pytest.raises(RunError, match="is not finished.*snellen train --resume"):
        export_run(own_run, ["safetensors"])


def test_a_final_training_has_no_val_accuracy_to_state(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, small_eyechart: None
) -> None:
    run = fit(
        short(tiny_recipe, "mlp"), tiny_dataset, FitOptions(final=True, device="cpu", precision="fp32", runs=tmp_path)
    )
    export = export_run(run, ["safetensors"])
    assert export.parities[0].split == "train+val"
    assert json.loads((export.folder / "model.json").read_text())["val_accuracy"] is None
    card = (export.folder / "MODEL_CARD.md").read_text()
    assert "there is no val accuracy" in card
    assert "### By class" not in card
