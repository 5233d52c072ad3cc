"""What somebody who has never seen the project needs: names that say where, a tree, and a tour that are true."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from tests.test_house import PLACE, ROOT, SOURCE, imports, name_of, room_of, tree_of

WHERE = {
    "a learning rate is scheduled": ("train/schedules.py", "def lr_fraction("),
    "val is split off": ("data/splits.py", "def split("),
    "a picture becomes a square": ("data/pictures.py", "def fitted("),
    "the interval of an accuracy is computed": ("metrics/intervals.py", "class Rate:"),
    "the page's matrix is drawn": ("report/web/confusions.js", "function matrix("),
}


@pytest.mark.parametrize("what", WHERE)
def test_the_name_of_a_file_says_where(what: str) -> None:
    name, definition = WHERE[what]
    assert definition in (SOURCE / name).read_text(encoding="utf-8"), what


def test_the_tree_in_the_readme_is_the_one_on_disk() -> None:
    tree = re.findall(r"^[├└]── (\w+)[./]", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(tree) == sorted(PLACE)


TOUR = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
CHAINS = [line.split("|")[2].split(" → ") for line in TOUR.splitlines() if line.startswith("|") and " → " in line]


def test_every_file_and_function_of_the_tour_is_there() -> None:
    names = re.findall(r"`(\w+/\w+\.(?:py|js))`(?::\s`(\w+)`)?", TOUR)
    assert names
    for name, function in names:
        text = (SOURCE / name).read_text(encoding="utf-8")
        assert not function or re.search(rf"^(?:    )?(?:def|class) {function}\b", text, re.MULTILINE), (name, function)


def test_every_file_that_the_docs_name_is_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
    rooms = "|".join(sorted({room_of(path) for path in SOURCE.glob("*/*.py")}))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        named = [SOURCE / name for name in re.findall(rf"`(?:src/snellen/)?((?:{rooms})/\w+\.(?:py|js))`", text)]
        named += [ROOT / name for name in re.findall(r"`(tests/[\w/]+\.py)`", text)]
        assert not [name_of(path) for path in named if not path.is_file()], page.name


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain[-1].split("`")[1])
def test_from_a_command_to_the_arithmetic_are_at_most_three_files_each_known_to_the_one_before(
    chain: list[str],
) -> None:
    files = [stop.split("`")[1] for stop in chain]
    assert len([name for name in files if not name.startswith("cli/")]) <= 3
    for first, second in pairwise(files):
        module = f"snellen.{second.removesuffix('.py').replace('/', '.')}"
        assert any(name.startswith(module) for name in imports(tree_of(SOURCE / first))), (first, second)
