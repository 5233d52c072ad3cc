"""Fuzz target: a run folder that may come from anywhere. `python -m tests.fuzz.run_folder [libFuzzer options]`

An input is the name of one of the folder's files, a line's end, and what that file holds instead.
"""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from random import Random

import numpy as np
from tests.fuzz import harness
from tests.fuzz.edits import edited_array, edited_json, edited_lines, edited_tensors

from benchmarks.keep_record import evidence
from snellen.data.eyechart import make_eyechart
from snellen.data.ledger import Ledger
from snellen.metrics.scorecard import score, scorecard
from snellen.models.weights import restore
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.report.record import graded_on_test, record_json
from snellen.runs.run import Run, open_run
from snellen.train.checkpoint import load_checkpoint
from snellen.train.setup import prepare
from snellen.train.training import Training

FILES = dict(
    seed.split(b"\n", 1) for name, seed in harness.seeds("run_folder").items() if not name.startswith("found-")
)
"""A whole run, by name of file; made by `make_corpus`."""
FOLDER = harness.own_folder()
for name, content in FILES.items():
    (FOLDER / name.decode()).parent.mkdir(exist_ok=True)
    (FOLDER / name.decode()).write_bytes(content)
_DATA = make_eyechart(seed=0, train=120, test=0)
_TWO = _DATA.train.take(np.arange(2), "train")
_TRAINING = Training(prepare(Run(FOLDER).recipe, _DATA, seed=0, device="cpu", precision="fp32"), steps=16)


def read(content: bytes) -> None:
    """Every reader of the folder gives what it promises, or a sentence."""
    name, _, changed = content.partition(b"\n")
    if name not in FILES:
        return
    path = FOLDER / name.decode()
    path.write_bytes(changed)
    try:
        _look(open_run(FOLDER), name.decode())
    finally:
        path.write_bytes(FILES[name])


def _look(run: Run, changed: str) -> None:
    ledger = Ledger(run.folder / "ledger.jsonl")
    if changed.endswith((".json", ".jsonl")):
        json.dumps(record_json(run, ledger), allow_nan=False)
        json.dumps(evidence(run), allow_nan=False)
        ledger.problems()
        graded_on_test(run, ledger)
    if changed in ("run.json", "recipe.json", "weights.safetensors"):
        answers = predict(restore(run), _TWO)
        assert answers.logits.shape == (2, len(run.info["data"]["class_names"]))
    if changed in ("run.json", "predictions_val.npz"):
        stored = Predictions.load(run.folder / "predictions_val.npz")
        repr(stored)
        score(stored)
        scorecard(stored)
    if changed == "resume/state.safetensors":
        load_checkpoint(_TRAINING, run.folder / changed)


def edit(content: bytes, chance: Random) -> bytes:
    """The file's own structure changed: fields, lines, tensors, arrays inside the archive."""
    name, end, file = content.partition(b"\n")
    if name.endswith(b".jsonl"):
        file = edited_lines(file, chance)
    elif name.endswith(b".json"):
        file = edited_json(file, chance)
    elif name.endswith(b".safetensors"):
        file = edited_tensors(file, chance)
    else:
        file = _edited_archive(file, chance)
    return name + end + file


def _edited_archive(content: bytes, chance: Random) -> bytes:
    """One array of an .npz changed, left out or given another name."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as file:
            members = {each: file.read(each) for each in file.namelist()}
    except Exception:
        return content
    if not members:
        return content
    name = chance.choice(sorted(members))
    array = members.pop(name)
    choice = chance.random()
    if choice < 0.4 and name == "about.npy":
        header, about = array[:128], edited_json(array[128:], chance)
        shape = f"({len(about)},), }}".encode()
        start = header.find(b"(")
        members[name] = (header[:start] + shape).ljust(127)[:127] + b"\n" + about
    elif choice < 0.8:
        members[name] = edited_array(array, chance)
    elif choice < 0.9:
        members[chance.choice(sorted(members) or ["x"])] = array
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for each, data in members.items():
            file.writestr(zipfile.ZipInfo(each), data)
    return buffer.getvalue()


if __name__ == "__main__":
    harness.fuzz(read, edit, folder=FOLDER)
