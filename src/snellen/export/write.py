"""From a run to the files other tools read: make each, hold it against the model, write those that agree.

model.onnx           ONNX, fp32
model.int8.onnx      ONNX, int8
model.pt2            torch.export
model.safetensors    the weights, to the bit those of the run, and model.json: how to build the network
parity.json          how each was compared, and what was refused
MODEL_CARD.md        what it is, how good it is, what it is not
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.run_images import images_of
from snellen.errors import RunError
from snellen.evaluate.test_set import ledger_of
from snellen.export.model_card import facts_of, model_card
from snellen.export.onnx_file import OnnxSession, quantized, require_packages, to_onnx, with_metadata
from snellen.export.parity import FP32, INT8, SAME, Parity, Tolerance, parity
from snellen.export.safetensors_file import DESCRIPTION, WEIGHTS, description, rebuild
from snellen.export.torch_program import from_pixels, pt2_bytes, to_program
from snellen.guards.model_guards import repeatable_evaluation
from snellen.models.normalized import Classifier
from snellen.models.weights import restore
from snellen.predict.familiarity import features_of, stored_familiarity
from snellen.predict.predict import images_at_once, predict
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.runs.atomic import storage_error, write_bytes, write_json, write_text
from snellen.runs.run import Run
from snellen.serialize import to_json

Format = Literal["onnx", "int8", "torch", "safetensors"]
FORMATS: tuple[Format, ...] = ("onnx", "int8", "torch", "safetensors")
_DISTANCE_GAP = 1e-3  # from the run's own distances, which lie between 0 and 2


@dataclass(frozen=True)
class Export:
    """What was written, and what was not.

    Attributes:
        folder: that holds it.
        sizes: bytes of each model file written.
        parities: one per file asked for, refused ones included.
    """

    folder: Path
    sizes: dict[str, int]
    parities: tuple[Parity, ...]

    @property
    def refused(self) -> tuple[Parity, ...]:
        """Files that answered otherwise than the run and were not written."""
        return tuple(one for one in self.parities if one.refusal)


def export_run(
    run: Run,
    formats: Sequence[Format | Literal["all"]],
    out: Path | None = None,
    *,
    data: Path | Dataset | None = None,
    ledger: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Export:
    """Write a finished run's model for other tools. A file that disagrees with the model is not left on disk.

    Args:
        run: finished.
        formats: some of `FORMATS`; "all" stands for every one.
        out: the folder to write into; by default `export` in the run folder.
        data: where the data are, if not where they were, or they themselves: val images for the comparison, training
            images for int8.
        ledger: its file, for the card's line about test; by default as `ledger_of` finds it.
        say: told what is being done.

    Raises:
        RunError: the run is not finished, or answers otherwise than when it was graded.
        MissingExtra: a package of `snellen[export]` is missing.
        DataError: the data are not at hand, or not those of the run.
    """
    run.require_finished()
    chosen = [name for name in FORMATS if name in formats or "all" in formats]
    if {"onnx", "int8"} & set(chosen):
        require_packages()
    model = restore(run)  # before anything is read and said: its code may be missing
    images = images_of(run, data)
    train, judged = images.train, images.to_compare_on()
    _require_as_graded(run, model, judged)
    say(f"{len(judged):,} {judged.role} images are answered by PyTorch in fp32")
    expected = predict(model, judged)
    facts = facts_of(run)
    made = []
    for content, found in _files(run, chosen, facts, train, judged, expected):
        say(found.refusal or f"{found.file} agrees with PyTorch: {found.same_answer} answers are the same")
        made.append((content, found))
    export = Export(
        out or run.folder / "export",
        sizes={found.file: len(content) for content, found in made if not found.refusal},
        parities=tuple(found for _, found in made),
    )
    _write(run, export, [content for content, _ in made], facts, ledger)
    return export


def _require_as_graded(run: Run, model: Classifier, judged: LabeledImages) -> None:
    stored = stored_predictions(run, judged.role)
    found = repeatable_evaluation(model, judged, stored=stored, bf16=run.info["precision"] == "bf16")
    if not found.passed:
        raise RunError(f"{run.folder} is not exported. {found.evidence} {found.remedy}")


def _files(
    run: Run,
    formats: Sequence[Format],
    facts: dict[str, Any],
    train: LabeledImages,
    judged: LabeledImages,
    expected: Predictions,
) -> Iterator[tuple[bytes, Parity]]:
    """The content of each file asked for, with its comparison."""
    if set(formats) != {"safetensors"}:
        program = to_program(from_pixels(restore(run)), judged.image_shape)
    if {"onnx", "int8"} & set(formats):
        plain = to_onnx(program)
    if "onnx" in formats:
        with_distance, about = _with_distance(run, judged)
        yield _onnx("model.onnx", with_distance or plain, FP32, {**facts, **about}, judged, expected)
    if "int8" in formats:
        yield _onnx("model.int8.onnx", quantized(plain, train), INT8, facts, judged, expected)
    if "torch" in formats:
        module, pixels = program.module(), torch.from_numpy(judged.images)
        with torch.inference_mode():
            found = torch.cat(
                [module(batch) for batch in torch.split(pixels, images_at_once(judged.image_shape))]
            ).numpy()
        runtime = f"torch.export {torch.__version__}"
        yield pt2_bytes(program), parity("model.pt2", runtime, expected, found, FP32)
    if "safetensors" in formats:
        content = (run.folder / "weights.safetensors").read_bytes()
        again = predict(rebuild(description(facts, run.recipe), content), judged)
        runtime = f"PyTorch {torch.__version__}"
        yield content, parity(WEIGHTS, runtime, expected, again.probabilities, SAME)


def _with_distance(run: Run, judged: LabeledImages) -> tuple[bytes | None, dict[str, Any]]:
    """An ONNX model that also gives each picture's distance to the training pictures, with the facts to judge it by.

    None where the run does not know it, or the file's distances differ from the run's. Int8 moves them too far.
    """
    familiarity = stored_familiarity(run)
    if familiarity is None:
        return None, {}
    model = restore(run)
    content = to_onnx(to_program(from_pixels(model, familiarity), judged.image_shape))
    expected = familiarity.distances(features_of(model, judged, bf16=False))
    gap = float(np.abs(OnnxSession(content).distances(judged.images) - expected).max())
    if not gap <= _DISTANCE_GAP:
        return None, {}
    return content, {
        "distance": "to the training pictures, float32, (N,); above distance_threshold a picture is unlike them",
        "distance_threshold": familiarity.threshold,
        "distance_chance": familiarity.chance,  # of a picture like val's to be above it, at most
        "distance_gap": gap,
    }


def _onnx(
    name: str, model: bytes, tolerance: Tolerance, facts: dict[str, Any], judged: LabeledImages, expected: Predictions
) -> tuple[bytes, Parity]:
    session = OnnxSession(model)
    found = parity(name, session.runtime, expected, session.probabilities(judged.images), tolerance)
    # The file's own accuracy can only be written into it once it is known; entries do not change what is computed.
    return with_metadata(model, _with_accuracy(facts, found)), found


def _with_accuracy(facts: dict[str, Any], found: Parity) -> dict[str, Any]:
    """The facts with the file's own accuracy, with n and 95 % interval; None where no image was kept for it."""
    return {**facts, "val_accuracy": to_json(found.accuracy.second) if found.split == "val" else None}


def _write(run: Run, export: Export, contents: Sequence[bytes], facts: dict[str, Any], ledger: Path | None) -> None:
    folder = export.folder
    entries = []
    for content, found in zip(contents, export.parities, strict=True):
        path = folder / found.file
        if found.refusal:
            _remove(path)  # of an earlier export: beside this parity.json it would pass for the one compared
        else:
            write_bytes(path, content)
            if found.file == WEIGHTS:
                write_json(folder / DESCRIPTION, _with_accuracy(description(facts, run.recipe), found))
        sha256 = None if found.refusal else hashlib.sha256(content).hexdigest()
        entries.append({**to_json(found), "sha256": sha256})
    write_json(folder / "parity.json", {"run": run.name, "compared_with": "PyTorch fp32", "files": entries})
    write_text(folder / "MODEL_CARD.md", model_card(run, facts, export.parities, export.sizes, ledger_of(run, ledger)))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error
