"""What others do with a run: a torch module, tables, records of logging, types."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import snellen
from snellen.data.dataset import Dataset
from snellen.errors import MissingExtra
from snellen.recipes.recipe import Recipe

USER = """
from pathlib import Path
import numpy as np
import torch
import snellen

data: snellen.Dataset = snellen.load("eyechart", subset=200)
own: snellen.Dataset = snellen.from_arrays(np.zeros((4, 16, 16, 3), dtype=np.uint8), ["a", "b"] * 2)
recipe: snellen.Recipe = snellen.recipe("glance", epochs=1)
run: snellen.TrainedRun = snellen.fit(recipe, data, quiet=True)
folder: Path = run.folder
names: tuple[str, ...] = run.class_names
answers = run.predict([Path("a.png"), np.zeros((32, 32, 3), dtype=np.uint8)])
best: list[str] = answers.classes
module: torch.nn.Module = run.module()
again: snellen.TrainedRun = snellen.open_run(folder, code="mine.py")
try:
    again.evaluate("test", reason="final number")
except snellen.SnellenError as error:
    print(error)

@snellen.register("schedule", "square")
def square(done: float) -> float:
    return (1 - done) ** 2
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Dataset, tiny_recipe: Recipe) -> snellen.TrainedRun:
    return snellen.fit(tiny_recipe, tiny_dataset, runs=tmp_path_factory.mktemp("runs"), device="cpu", quiet=True)


def test_a_module_takes_bytes_of_pictures_and_answers_as_predict_does(
    run: snellen.TrainedRun, tiny_dataset: Dataset
) -> None:
    images, module = tiny_dataset.train.images[:16], run.module()
    with torch.no_grad():
        found = module(torch.from_numpy(images))
    assert (found.dtype, found.shape, module.training) == (torch.float32, (16, 10), False)
    assert np.allclose(
        found, run.predict(images, device="cpu").probabilities, atol=2e-3 if run.info["precision"] == "bf16" else 1e-5
    )
    assert not np.allclose(found, run.predict(images[:, :, ::-1], device="cpu").probabilities, atol=2e-3)
    with pytest.raises(TypeError, match=r"\(N, H, W, C\) uint8.* got torch.float32"):
        module(torch.from_numpy(images) / 255)


def test_a_table_has_a_row_for_each_image_in_pandas_and_in_arrow(
    run: snellen.TrainedRun, tiny_dataset: Dataset
) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    found = run.predictions()
    table = found.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert [*table][:7] == ["name", "id", "split", "label", "predicted", "correct", "confidence"]
    assert [*table][7:] == [f"p({name})" for name in run.class_names]
    assert table["correct"].mean() == pytest.approx(run.accuracy.value)  # type: ignore[union-attr]
    assert (table["label"] == table["predicted"]).tolist() == table["correct"].tolist()
    assert np.allclose(table[[*table][7:]].sum(axis=1), 1)
    assert found.to_arrow().column_names == [*table]
    assert found.to_arrow()["predicted"].to_pylist() == table["predicted"].tolist()
    new = run.predict(tiny_dataset.train.images[:3]).predictions.to_arrow()
    assert (new["label"].to_pylist(), new["correct"].to_pylist()) == ([None] * 3, [None] * 3)


def test_a_library_that_is_missing_is_named(run: snellen.TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("pandas", "pyarrow"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match="pip install pandas"):
        run.predictions().to_pandas()
    with pytest.raises(MissingExtra, match="pip install pyarrow"):
        run.predictions().to_arrow()


def test_what_a_quiet_training_says_is_told_to_whoever_listens(
    tmp_path: Path, tiny_dataset: Dataset, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO, logger="snellen")
    snellen.fit("mlp", tiny_dataset, epochs=1, runs=tmp_path, device="cpu", quiet=True)
    said = [record.getMessage() for record in caplog.records if record.name == "snellen"]
    assert any(line.startswith("mlp on ") for line in said)
    assert sum(line.lstrip().startswith("1 ") for line in said) == 1  # the epoch's row
    assert capsys.readouterr() == ("", "")


@pytest.mark.processes
def test_a_users_program_passes_mypy_in_strict_mode(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file", "/dev/null", "user.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (tmp_path / "user.py").write_text(USER + "\nwrong: int = run.folder\n", encoding="utf-8")
    assert "Incompatible types" in subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
