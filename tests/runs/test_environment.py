"""Where a run was made: enough to repeat it, nothing that is secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

import snellen
from snellen.runs import environment
from snellen.runs.environment import describe_environment, memory_gib, processor_name


def test_it_names_version_processor_memory_packages_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/snellen", "train", "my data", "--seed", "3"])
    about = describe_environment()
    assert about["snellen"] == snellen.__version__
    assert about["command"] == "snellen train 'my data' --seed 3"
    assert about["packages"]["torch"].startswith("2.")
    assert about["cores"] >= 1
    assert about["memory_gib"] == memory_gib()
    assert about["processor"] == processor_name()
    assert about["started"].endswith("+00:00")
    json.dumps(about, allow_nan=False)


@pytest.mark.parametrize(
    ("spec", "program", "command"),
    [
        (None, "/usr/bin/snellen", "snellen --seed 3"),
        ("snellen.__main__", "/src/snellen/__main__.py", "snellen --seed 3"),
        ("benchmarks.seeds", "/src/benchmarks/seeds.py", "python -m benchmarks.seeds --seed 3"),
        (None, "experiments/birds.py", "python birds.py --seed 3"),
        (None, "", "python --seed 3"),
    ],
)
def test_the_command_names_what_was_started(
    spec: str | None, program: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = ModuleType("__main__")
    started.__spec__ = None if spec is None else ModuleSpec(spec, None)
    monkeypatch.setitem(sys.modules, "__main__", started)
    monkeypatch.setattr(sys, "argv", [program, "--seed", "3"])
    assert describe_environment()["command"] == command


def test_no_value_of_an_environment_variable_is_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hunter2-do-not-print"
    for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "HF_TOKEN", "PASSWORD"):
        monkeypatch.setenv(name, secret)
    text = json.dumps(describe_environment())
    assert secret not in text
    assert os.environ.get("HOME", "/nowhere") + "/" not in text


def test_the_commit_is_named_and_a_changed_tree_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"ls-files": "errors.py", "rev-parse": "0123456789ab", "status": ""}
    monkeypatch.setattr(environment, "_git", lambda folder, *arguments: answers[arguments[0]])
    assert describe_environment()["commit"] == "0123456789ab"
    answers["status"] = " M errors.py"
    assert describe_environment()["commit"] == "0123456789ab+changes"
    answers["ls-files"] = ""
    assert describe_environment()["commit"] is None


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 5)])
def test_without_git_there_is_no_commit_and_no_failure(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr(environment, "_git", fail)
    assert describe_environment()["commit"] is None
