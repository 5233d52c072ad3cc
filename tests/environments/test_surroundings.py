"""Homes, languages, one core, little memory, no bf16, an install that cannot be written: it works, or says why not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.environments.conftest import SMALL, TRAIN, child, require_fine, require_sentence

NOBODY = 54_321
NOWHERE = "/proc/nowhere"  # a folder that not even root can make


def limited(megabytes: int) -> tuple[str, ...]:
    return ("prlimit", f"--as={megabytes << 20}")


needs_prlimit = pytest.mark.skipif(shutil.which("prlimit") is None, reason="no prlimit: apt-get install util-linux")


def as_nobody() -> tuple[str, ...]:
    """The prefix that runs a process as a user without a name; skips where this user cannot become one."""
    before = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv here: apt-get install util-linux")
    tried = subprocess.run([*before, sys.executable, "-c", "import torch"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"another user cannot start this Python: {tried.stderr.strip()[-200:]}")
    return before


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach; pytest's own are for its user alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


# Home


@pytest.mark.parametrize("home", [None, NOWHERE], ids=["no HOME", "a HOME that is not there"])
def test_a_home_is_not_needed(place: Path, home: str | None) -> None:
    require_fine(child("evaluate", "runs/first", cwd=place, env={"HOME": home}))


@pytest.mark.slow
def test_a_training_without_a_home_works(tmp_path: Path) -> None:
    require_fine(child(*TRAIN, cwd=tmp_path, env={"HOME": NOWHERE}))


def test_where_own_pictures_cannot_be_cached_the_sentence_says_where_and_what_to_do(place: Path) -> None:
    for name in ("a", "b"):
        (place / "mine" / name).mkdir(parents=True)
        for number in range(3):
            picture = place / "mine" / name / f"{number}.png"
            shutil.copy(place / "letter.png", picture)
            with picture.open("ab") as file:
                file.write(f"{name}{number}".encode())  # other content, so that the split has what to divide
    said = require_sentence(child("data", "info", "mine", cwd=place, env={"HOME": NOWHERE}))
    assert NOWHERE in said
    assert "XDG_CACHE_HOME" in said
    require_fine(child("data", "info", "mine", cwd=place, env={"HOME": NOWHERE, "XDG_CACHE_HOME": str(place / "c")}))


# Another user, and an install that only root can write


@pytest.mark.slow
def test_a_user_without_a_name_or_a_home_trains_with_an_install_that_cannot_be_written(open_folder: Path) -> None:
    before = as_nobody()
    os.chown(open_folder, NOBODY, NOBODY)
    env = {"HOME": None, "PYTHONDONTWRITEBYTECODE": None, "USER": None, "LOGNAME": None}
    require_fine(child(*TRAIN, "--name", "first", cwd=open_folder, env=env, before=before))
    require_fine(child("report", "runs/first", "--layer-views", "2", cwd=open_folder, env=env, before=before))


@pytest.mark.slow
def test_a_folder_of_another_user_is_refused_before_training(open_folder: Path) -> None:
    said = require_sentence(child(*TRAIN, cwd=open_folder, before=as_nobody()))
    assert "this user may not write there" in said
    assert not (open_folder / "runs").exists()


# Language


@pytest.mark.parametrize(
    "language",
    [
        {"LANG": "C", "LC_ALL": None},
        {"LC_ALL": "POSIX"},
        {"LC_ALL": "tr_TR.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=lambda language: " ".join(f"{name}={value}" for name, value in language.items()),
)
def test_no_language_and_no_code_page_ends_a_command(place: Path, language: dict[str, str | None]) -> None:
    done = child("recipes", cwd=place, env=language, encoding="latin-1")
    assert "sprint" in require_fine(done)
    found = json.loads(require_fine(child("recipes", "--json", cwd=place, env=language)))
    assert found == json.loads(require_fine(child("recipes", "--json", cwd=place)))


@pytest.mark.slow
def test_val_is_graded_alike_in_the_plainest_language(place: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    one, other = (child("evaluate", "runs/first", cwd=place, env=env, encoding="latin-1") for env in (plain, {}))
    assert require_fine(one).isascii()
    assert len(require_fine(one).splitlines()) == len(require_fine(other).splitlines())


# Little of everything


@pytest.mark.slow
@needs_prlimit
def test_in_one_gigabyte_a_small_training_and_its_page_work(tmp_path: Path) -> None:
    require_fine(child(*TRAIN, "--name", "first", cwd=tmp_path, before=limited(1024)))
    require_fine(child("report", "runs/first", "--layer-views", "2", cwd=tmp_path, before=limited(1024)))


@needs_prlimit
def test_what_does_not_fit_into_one_gigabyte_is_one_sentence(tmp_path: Path) -> None:
    large = ("train", "eyechart", "--set", "widths=[512,512,512]", "batch_size=256", "--device", "cpu")
    said = require_sentence(child(*large, "--precision", "fp32", cwd=tmp_path, before=limited(1024)))
    assert said.startswith("snellen: Out of memory. Use a smaller batch, for example: --set batch_size=128")
    done = child(*large, "--precision", "fp32", "--name", "second", "--json", cwd=tmp_path, before=limited(1024))
    assert json.loads(done.stdout)["exit_code"] == 1
    assert done.stderr == ""


@pytest.mark.slow
@needs_prlimit
def test_where_pytorch_itself_does_not_fit_it_is_the_same_sentence(tmp_path: Path) -> None:
    assert "Out of memory." in require_sentence(child(*TRAIN, cwd=tmp_path, before=limited(350)))


@pytest.mark.slow
@needs_prlimit
@pytest.mark.parametrize("megabytes", range(640, 1441, 80))
def test_at_no_limit_there_is_a_traceback_or_an_abort(tmp_path: Path, megabytes: int) -> None:
    """Below about 600 MB PyTorch's own start may abort, which no Python sees."""
    done = child("train", "eyechart", "--set", "epochs=0.1", cwd=tmp_path, before=limited(megabytes),
                 script=SMALL.parents[1] / "src" / "snellen" / "__main__.py")  # fmt: skip
    if done.returncode == 0:
        require_fine(done)
    else:
        assert "Out of memory." in require_sentence(done)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("taskset") is None, reason="no taskset here: apt-get install util-linux")
def test_on_one_core_it_trains_and_says_how_many_there_were(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    env = {"OMP_NUM_THREADS": None}
    require_fine(child(*TRAIN, "--name", "first", cwd=tmp_path, env=env, before=("taskset", "-c", str(core))))
    assert json.loads((tmp_path / "runs/first/environment.json").read_text())["cores"] == 1


@pytest.mark.slow
def test_where_the_processor_has_no_bf16_fp32_is_chosen_and_the_reason_is_said(tmp_path: Path) -> None:
    done = child(*TRAIN, "--name", "first", cwd=tmp_path, env={"ONEDNN_MAX_CPU_ISA": "AVX2"})
    require_fine(done)
    assert "cpu, fp32 (bf16 is not faster here: a training step runs at" in done.stderr
    assert json.loads((tmp_path / "runs/first/run.json").read_text())["precision"] == "fp32"
