"""`snellen export`, and the example that needs nothing of Snellen."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snellen.export import onnx_file
from snellen.runs.run import Run

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: pip install 'snellen[export]'")

Snellen = Callable[..., Any]
EXAMPLE = Path(__file__).parents[2] / "examples" / "predict_onnx.py"


def test_to_given_twice_makes_both(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("export", own_run.folder, "--to", "torch", "--to", "safetensors", "--out", "made", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert set(answer.json["sizes"]) == {"model.pt2", "model.safetensors"}
    assert {path.name for path in Path("made").iterdir()} == {
        "model.pt2", "model.safetensors", "model.json", "parity.json", "MODEL_CARD.md",
    }  # fmt: skip


def test_it_prints_both_accuracies_and_where_the_files_are(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("export", own_run.folder, "--to", "int8", "--out", "made")
    assert answer.code == 0
    for words in ("PyTorch fp32", "model.int8.onnx", "n=30", "MODEL_CARD.md"):
        assert words in answer.out


def test_missing_packages_are_one_sentence_with_the_line_that_installs_them(
    snellen: Snellen, own_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "_PACKAGES", ("onnx", "no_such_package_here"))
    answer = snellen("export", own_run.folder)
    assert answer.code == 1
    assert "no_such_package_here, not installed here: pip install 'snellen[export]'" in answer.sentence


def test_the_default_is_one_onnx_file(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("export", own_run.folder, "--json")
    assert set(answer.json["sizes"]) == {"model.onnx"}
    assert answer.json["parities"][0]["refusal"] is None


@pytest.fixture
def pictures(tmp_path: Path, rng: np.random.Generator) -> list[Path]:
    """Plain RGB pictures, wide, high, large and small, one of them turned by its EXIF entry."""
    paths = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, (width, height, ending) in enumerate(
        [(32, 32, "png"), (90, 60, "jpg"), (40, 121, "png"), (17, 20, "jpg"), (300, 201, "jpg")]
    ):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        paths.append(tmp_path / f"{number}.{ending}")
        more = {"exif": exif} if number == 4 else {}
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(paths[-1], **more)
    return paths


@pytest.mark.processes
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_example_names_what_snellen_predict_names(
    snellen: Snellen, own_run: Run, pictures: list[Path], fit: str
) -> None:
    assert snellen("export", own_run.folder, "--out", "made").code == 0
    model = Path("made/model.onnx")
    about = onnx_file.OnnxSession(model.read_bytes()).metadata
    model.write_bytes(onnx_file.with_metadata(model.read_bytes(), {**about, "fit": fit}))
    ours = snellen("predict", own_run.folder, *pictures, "--fit", fit, "--json").json
    code = (
        f"import runpy, sys; sys.argv[1:] = {[str(model), *map(str, pictures)]!r}; "
        f"runpy.run_path({str(EXAMPLE)!r}); "
        "assert not {'torch', 'snellen'} & set(sys.modules), 'only onnxruntime, NumPy and Pillow'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 5 * len(pictures)
    for entry, line in zip(ours, lines[::5], strict=True):
        first = entry["top"][0]
        assert line == f"{entry['picture']}: {first['class']} {100 * first['probability']:.1f} %"


def test_the_example_has_at_most_22_lines_of_code() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    documented = ast.parse(text).body[0].end_lineno
    assert documented is not None
    assert sum(bool(line.strip()) for line in text.splitlines()[documented:]) <= 22
