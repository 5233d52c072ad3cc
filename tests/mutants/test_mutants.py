"""The mutants still fit the sources, and the hunt for them works. All of them: `python -m tests.mutants`."""

from __future__ import annotations

import ast
import hashlib
import json
import os

import pytest
from tests.mutants.by_syntax import SOURCE, changes, in_one_line
from tests.mutants.by_syntax import mutant as mutant_of
from tests.mutants.catalog import MUTANTS
from tests.mutants.equivalent import EQUIVALENT
from tests.mutants.hunt import SETS, hunt, require_sound
from tests.mutants.mutant import ROOT, Mutant, UnfitMutant

QUICK = ("split-not-stratified", "looks-counted-from-zero")
"""Their tests train nothing."""
ONE_TEST = ("data/test_splits.py::test_equal_pictures_go_by_their_id",)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_line_stands_once_and_the_broken_file_is_still_python(mutant: Mutant) -> None:
    ast.parse(mutant.broken())


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_tests_that_must_notice_are_there(mutant: Mutant) -> None:
    for path in mutant.paths:
        file, _, name = path.partition("::")
        assert name in ("", *_tests_in(file)), path
        assert "pytest.mark.slow" not in _tests_in(file).get(name, ()), (
            f"neither make test nor make test-all runs {path}"
        )


def test_what_is_called_equivalent_is_still_a_change_of_its_file() -> None:
    for file, new in EQUIVALENT:
        changed = changes((SOURCE / file).read_text(encoding="utf-8"))
        assert new in {in_one_line(mutant_of(file, change).new) for change in changed}, (file, new)


def _tests_in(file: str) -> dict[str, set[str]]:
    """The names of its functions, and what decorates them."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: {ast.unparse(each) for each in node.decorator_list} for node in functions}


def test_the_two_sets_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for markers in SETS.values():
        assert f'-m "{markers}"' in makefile


def test_a_line_that_is_gone_or_stands_several_times_is_refused() -> None:
    gone = Mutant("gone", "data/splits.py", "not a line of it", "", ("data/test_splits.py",))
    twice = Mutant("twice", "data/splits.py", "test=dataset.test", "test=None", ("data/test_splits.py",))
    for mutant, times in ((gone, 0), (twice, 2)):
        with pytest.raises(UnfitMutant, match=f"{mutant.name}: .* stands {times} times in data/splits.py, not once"):
            mutant.broken()


@pytest.mark.processes
def test_the_quickest_mutants_are_caught_and_the_sources_stay_as_they_were() -> None:
    before = _sources()
    mutants = [MUTANTS[name] for name in QUICK]
    require_sound(mutants)
    for mutant in mutants:
        assert hunt(mutant).caught_in == "make test", mutant.name
    assert _sources() == before


@pytest.mark.processes
def test_a_mistake_that_no_test_looks_for_survives() -> None:
    harmless = Mutant("harmless", "data/splits.py", "spare = max(0, wanted", "spare = max(+0, wanted", ONE_TEST)
    assert hunt(harmless).caught_by is None


@pytest.mark.processes
def test_a_program_that_no_longer_starts_is_no_mutant() -> None:
    dead = Mutant("dead", "data/splits.py", "import numpy as np\n", "import nothing as np\n", ONE_TEST)
    with pytest.raises(UnfitMutant, match="dead: the tests did not run"):
        hunt(dead)


def test_the_recorded_hunt_says_where_it_was_made_and_that_nothing_survived() -> None:
    records = sorted((ROOT / "results" / "reliability").glob("*_mutants.json"))
    if not records:
        pytest.skip("no hunt has been recorded yet")
    latest = json.loads(records[-1].read_text(encoding="utf-8"))
    assert latest["command"].startswith("python -m tests.mutants")
    assert latest["commit"]
    assert latest["machine"]
    assert latest["n"] == latest["caught"] == len(latest["mutants"]) >= 20
    assert latest["survived"] == []


def _sources() -> str:
    digest = hashlib.sha256()
    for folder, _, files in sorted(os.walk(ROOT / "src" / "snellen")):
        for name in sorted(files):
            if name.endswith(".py"):
                digest.update((ROOT / folder / name).read_bytes())
    return digest.hexdigest()
