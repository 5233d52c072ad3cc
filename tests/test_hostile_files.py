"""Pickles with a payload in the place of every file that Snellen reads: refused or overlooked, and never run."""

from __future__ import annotations

import builtins
import os
import pickle
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.fuzz.harness import NotAllowed, watched

from mixed_pictures import read_picture
from snellen.data.cifar10 import PUBLISHED, unpickled
from snellen.data.dataset import Dataset
from snellen.data.download import unpack
from snellen.data.ledger import Ledger
from snellen.data.listing import ListedFile
from snellen.data.tables import list_table
from snellen.errors import SnellenError
from snellen.export.safetensors_file import load_folder
from snellen.models.catalog import ModelSpec, build
from snellen.models.weights import load_pretrained, restore
from snellen.predict.predictions import Predictions
from snellen.recipes.json_form import read_recipe
from snellen.runs.run import Run, open_run
from snellen.train.checkpoint import load_checkpoint
from snellen.train.setup import prepare
from snellen.train.training import Training


class Calls:
    """Pickles to a program that calls `function(*arguments)` when it is loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments


def as_checkpoint(call: Calls) -> bytes:
    """The payload as `torch.save` writes it: a zip with a pickle inside."""
    buffer = BytesIO()
    torch.save({"state": call}, buffer)
    return buffer.getvalue()


def as_archive(call: Calls) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("logits.npy", b"\x93NUMPY\x01\x00" + pickle.dumps(call))
    return buffer.getvalue()


WRITINGS: dict[str, Callable[[Calls], bytes]] = {
    **{f"protocol {number}": lambda call, number=number: pickle.dumps(call, protocol=number) for number in range(6)},
    "torch.save": as_checkpoint,
    "zip": as_archive,
}


@pytest.fixture(params=WRITINGS)
def payload(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    """A file that makes the folder `canary` when it is unpickled, by one of two ways."""
    canary = str(tmp_path / "canary")
    call = (
        Calls(os.mkdir, canary)
        if len(request.param) % 2
        else Calls(builtins.eval, f"__import__('os').mkdir({canary!r})")
    )
    return WRITINGS[request.param](call)


READERS: dict[str, Callable[[Path, Run, Dataset], object]] = {
    "batch": lambda path, run, data: unpickled(path.read_bytes(), name="batch"),
    "picture": lambda path, run, data: read_picture(path),
    "archive": lambda path, run, data: unpack(PUBLISHED, path, path.with_name("out")),
    "recipe": lambda path, run, data: read_recipe(path),
    "table": lambda path, run, data: list_table(ListedFile.by_user(path.rename(path.with_suffix(".csv")))),
    "parquet": lambda path, run, data: list_table(ListedFile.by_user(path.rename(path.with_suffix(".parquet")))),
    "predictions": lambda path, run, data: Predictions.load(path),
    "checkpoint": lambda path, run, data: load_checkpoint(
        Training(prepare(run.recipe, data, seed=0, device="cpu", precision="fp32"), steps=16), path
    ),
    "weights to begin with": lambda path, run, data: load_pretrained(
        build(ModelSpec("mlp", image_shape=(32, 32, 3), num_classes=10, mean=[0.5] * 3, std=[0.2] * 3), seed=0),
        path.rename(path.with_suffix(".safetensors")),
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_pickle_in_place_of_a_file_is_a_sentence_and_is_not_run(
    reader: str, payload: bytes, finished_run: Run, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(payload)
    with pytest.raises(SnellenError), watched(tmp_path):
        READERS[reader](path, finished_run, tiny_dataset)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["run.json", "recipe.json", "metrics.jsonl", "weights.safetensors", "ledger.jsonl"])
def test_a_pickle_in_a_run_folder_is_a_sentence_or_overlooked_and_is_not_run(
    name: str, payload: bytes, own_run: Run, tmp_path: Path
) -> None:
    (own_run.folder / name).write_bytes(payload)
    with watched(tmp_path):
        try:
            run = open_run(own_run.folder)
            assert run.journal.rows() == [] or name != "metrics.jsonl"
            assert not any(line.intact for line in Ledger(run.folder / "ledger.jsonl").lines())
            restore(run)
        except SnellenError:
            assert name in ("run.json", "recipe.json", "weights.safetensors")
        else:
            assert name in ("metrics.jsonl", "ledger.jsonl")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_pickle_in_an_exported_folder_is_a_sentence_and_is_not_run(name: str, payload: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / name).write_bytes(payload)
    with pytest.raises(SnellenError), watched(tmp_path):
        load_folder(tmp_path)
    assert not (tmp_path / "canary").exists()


# The watch itself


def test_the_canary_would_have_sung_and_the_watch_would_have_seen_it(tmp_path: Path) -> None:
    song = pickle.dumps(Calls(os.mkdir, str(tmp_path / "canary")))
    with pytest.raises(NotAllowed, match=r"pickle\.find_class"), watched(tmp_path):
        pickle.loads(song)
    pickle.loads(song)
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "act",
    [
        lambda other: (other / "new").write_bytes(b"x"),
        lambda other: (other / "new").mkdir(),
        lambda other: (other / "old").unlink(),
        lambda other: (other / "old").rename(other / "new"),
        lambda other: (other / "new").symlink_to("old"),
        lambda other: os.system("true"),
        lambda other: sum(n * n for n in range(10_000_000)),
    ],
    ids=["write", "folder", "remove", "rename", "link", "process", "long"],
)
def test_what_must_not_happen_is_seen(
    act: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.harness.LONGEST_SECONDS", 0.05)
    other, own = tmp_path / "other", tmp_path / "own"
    other.mkdir(), own.mkdir()
    (other / "old").write_bytes(b"")
    with pytest.raises(NotAllowed), watched(own):
        act(other)
    assert [path.name for path in other.iterdir()] == ["old"]


def test_what_may_happen_is_not_minded(tmp_path: Path) -> None:
    with watched(tmp_path):
        (tmp_path / "new").write_bytes((Path(__file__)).read_bytes())
        (tmp_path / "new").rename(tmp_path / "newer")
        (tmp_path / "newer").unlink()
