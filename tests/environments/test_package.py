"""What is handed out: a source archive, a wheel made from it, and that wheel installed and at work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.environments.conftest import require_fine

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "snellen"
HANDED_OUT = ("pyproject.toml", "README.md", "LICENSE", "SECURITY.md", "CHANGELOG.md", "constraints.txt", "MANIFEST.in")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source archive and the wheel, made from it and from nothing else."""
    pytest.importorskip("build", reason="pip install build")
    folder = tmp_path_factory.mktemp("package")
    tree = folder / "tree"
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in HANDED_OUT:
        shutil.copy(ROOT / name, tree)
    (tree / "tests").mkdir()
    (tree / "tests" / "test_house.py").write_text("")  # what must not travel, where setuptools looks for it
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(tree)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    require_fine(built)
    (archive,), (wheel,) = (list((folder / "dist").glob(kind)) for kind in ("*.tar.gz", "*.whl"))
    return archive, wheel


@pytest.fixture(scope="session")
def installed(made: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `snellen` of a fresh virtual environment: the wheel, and beside it the libraries of this one."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
    bin_folder = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(bin_folder / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    require_fine(subprocess.run([*pip, str(made[1])], capture_output=True, text=True, timeout=300))
    (site,) = folder.rglob("site-packages")
    libraries = {str(Path(path)) for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    # Plain folders: the .pth files in them, such as that of an editable Snellen, are not followed.
    (site / "libraries.pth").write_text("\n".join(sorted(libraries)) + "\n")
    return bin_folder / "snellen"


def run(command: Path, *arguments: str, cwd: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CI")}
    return require_fine(
        subprocess.run([str(command), *arguments], cwd=cwd, env=kept | {"HOME": str(cwd)}, capture_output=True,
                       text=True, timeout=300)
    )  # fmt: skip


def test_the_wheel_holds_the_package_whole_and_nothing_else(made: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(made[1]) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = next(wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())
    wanted = {f"snellen/{path.relative_to(SOURCE).as_posix()}" for path in SOURCE.rglob("*") if path.is_file()}
    assert inside == {name for name in wanted if "__pycache__" not in name}
    assert {"snellen/py.typed", "snellen/report/web/page.html", "snellen/report/web/main.js"} <= inside
    assert "License-Expression: MIT" in metadata


def test_the_source_archive_holds_what_it_takes_to_build_and_to_trust_but_no_tests_and_no_results(
    made: tuple[Path, Path],
) -> None:
    with tarfile.open(made[0]) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert set(HANDED_OUT) <= inside
    assert not [name for name in inside if name.startswith(("tests", "results", "runs", "docs"))]


def test_the_installed_command_trains_and_shows(installed: Path, tmp_path: Path) -> None:
    where = [str(installed.with_name("python")), "-c", "import snellen; print(snellen.__file__)"]
    found = run(Path(where[0]), *where[1:], cwd=tmp_path).strip()
    assert installed.parents[1] in Path(found).parents  # this wheel, no other Snellen
    assert "snellen train eyechart" in run(installed, "--help", cwd=tmp_path)
    assert "sprint" in run(installed, "recipes", cwd=tmp_path)
    quick = ("--set", "epochs=0.02", "widths=[4,4,4]", "--device", "cpu", "--precision", "fp32", "--name", "first")
    assert "n=5000" in run(installed, "train", "eyechart", *quick, cwd=tmp_path)
    run(installed, "report", "runs/first", "--layer-views", "2", cwd=tmp_path)
    assert "<html" in (tmp_path / "runs/first/report.html").read_text()[:500]
    assert '"commit": null' in (tmp_path / "runs/first/environment.json").read_text()
