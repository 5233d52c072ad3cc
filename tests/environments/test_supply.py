"""Where the parts come from: pinned, free of the holes that are known here, and listed with version and licence."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOLES = tomllib.loads(Path(__file__).with_name("known_holes.toml").read_text())
PINS = {
    canonicalize_name(name): Version(version)
    for name, _, version in (line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    if name
}
ASKED = [Requirement(text) for text in PROJECT["dependencies"]] + [
    Requirement(text) for extra in PROJECT["optional-dependencies"].values() for text in extra
]


def lowest(requirement: Requirement) -> Version:
    """The oldest version that a requirement admits."""
    (bound,) = [Version(one.version) for one in requirement.specifier if one.operator == ">="]
    return bound


def runtime_needs() -> set[str]:
    """Every package that an installed Snellen without extras brings along, by the metadata of those here."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in PROJECT["dependencies"]]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in found or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += [Requirement(text) for text in metadata.requires(name) or ()]
    return found


def test_every_package_that_is_asked_for_has_a_lower_bound_and_a_pin_within_it() -> None:
    for requirement in ASKED:
        pin = PINS[canonicalize_name(requirement.name)]
        assert lowest(requirement) <= pin, requirement
        assert requirement.specifier.contains(pin, prereleases=True), requirement


def test_every_library_that_is_imported_is_asked_for_by_its_own_name() -> None:
    """What another library happens to bring along may be gone with its next version."""
    owners = metadata.packages_distributions()
    asked = {canonicalize_name(requirement.name) for requirement in ASKED}
    found = set()
    for path in (ROOT / "src" / "snellen").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {name.partition(".")[0] for name in names}
    strangers = found - set(sys.stdlib_module_names) - {"snellen"}
    assert {"torch", "filelock"} <= strangers
    unasked = {name for name in strangers if not asked & {canonicalize_name(one) for one in owners.get(name, ())}}
    assert not unasked


def test_every_package_that_comes_along_is_pinned() -> None:
    assert runtime_needs() <= set(PINS)


@pytest.mark.parametrize("name", HOLES)
def test_no_pin_and_no_lower_bound_admits_a_version_with_a_known_hole(name: str) -> None:
    safe = Version(HOLES[name]["safe"])
    assert HOLES[name]["holes"]
    if name in PINS:
        assert PINS[canonicalize_name(name)] >= safe
    if "only_in" in HOLES[name] and callers(HOLES[name]["only_in"]) == set(HOLES[name]["called_by"]):
        return
    for requirement in ASKED:
        if canonicalize_name(requirement.name) == name:
            assert lowest(requirement) >= safe, f"pyproject.toml admits {name} {lowest(requirement)}"


def callers(functions: list[str]) -> set[str]:
    """The files of the package that name one of these, such as "torch.load", or import it from its module."""
    source, found = ROOT / "src" / "snellen", set()
    for path in source.rglob("*.py"):
        named: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                named.add(ast.unparse(node))
            elif isinstance(node, ast.ImportFrom):
                named |= {f"{node.module}.{alias.name}" for alias in node.names}
        if named & set(functions):
            found.add(str(path.relative_to(source)))
    return found


def test_who_calls_a_function_is_seen_in_either_spelling() -> None:
    assert callers(["torch.export.save"]) == {"export/torch_program.py"}
    assert "export/onnx_file.py" in callers(["torch.export.ExportedProgram"])


def test_the_page_on_security_names_only_tests_that_exist() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "SECURITY.md").read_text()))
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_the_bill_of_materials_lists_every_package_with_version_and_licence(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx_py", reason="pip install cyclonedx-bom")
    path = tmp_path / "sbom.json"
    options = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application", "--sv", "1.6"]
    command = [sys.executable, "-m", "cyclonedx_py", "environment", *options, "-o", str(path), sys.executable]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    bill = json.loads(path.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "snellen"
    listed = {canonicalize_name(one["name"]): one for one in bill["components"]}
    for name in runtime_needs():
        assert listed[name]["version"] == metadata.version(name)
        assert listed[name].get("licenses") or named_in_a_file(name), f"{name} without a licence"


def named_in_a_file(name: str) -> str:
    """The first line of the licence that a package brings along, where its metadata name none."""
    (path,) = [path for path in metadata.files(name) or () if path.name == "LICENSE"]
    return path.read_text().splitlines()[0]
