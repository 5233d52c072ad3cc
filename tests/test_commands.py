"""Every command that README and docs show: the parser takes it, and a test runs it, or the page says why none does."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.documented import ROOT, Command, commands, commands_of, inline_options, options_of
from tests.made_shards import jpeg

from snellen.cli.main import VERBS, _gather, _parse, main
from snellen.data import catalog
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.recipes.catalog import RECIPES, find_recipe
from snellen.recipes.json_form import with_settings
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.train.fit import FitOptions, fit

SHOWN = commands()
RUN_BY = {"own.md": "tests/test_own_page.py"}
"""Pages that a test of their own follows from top to bottom."""
FIRST: dict[str, Command] = {}
for shown in SHOWN:
    if not (shown.not_run or shown.run_by or shown.page in RUN_BY):
        FIRST.setdefault(shown.line, shown)
HERE = list(FIRST.values())  # each once, in the order of the pages


def ours(command: Command) -> Iterator[list[str]]:
    """What is behind `snellen` in a line, for each time that it is called there."""
    for part in command.line.split(" && "):
        words = shlex.split(part.partition(" > ")[0])
        if "snellen" in words:
            yield words[words.index("snellen") + 1 :]


@pytest.mark.parametrize("command", SHOWN, ids=lambda one: f"{one.page}: {one.line}")
def test_the_parser_takes_it(command: Command) -> None:
    for verb, *rest in ours(command):
        module = importlib.import_module(f"snellen.cli.{verb}")
        for option in ("--set", "--to", "--track"):
            rest = _gather(rest, option)
        arguments = _parse(module.Args, getattr(module, "completed", list)(rest), verb)
        if arguments.__dict__.get("recipe") in RECIPES:
            with_settings(find_recipe(arguments.recipe), getattr(arguments, "set", ()))
    if script := re.search(r"python3? -m ((?:benchmarks|tests)[\w.]*)((?: .*)?)", command.line):
        path = ROOT / script[1].replace(".", "/")
        source = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
        for option in re.findall(r"--([a-z-]+)", script[2]):
            assert re.search(rf'"--{option}"|^    {option.replace("-", "_")}:', source, re.MULTILINE), option
    if target := re.fullmatch(r"make (\w[\w-]*)", command.line):
        assert f"\n{target[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_option_in_a_sentence_is_one_of_its_verb() -> None:
    known = {verb: {*options_of(importlib.import_module(f"snellen.cli.{verb}").Args)} for verb in VERBS}
    assert not [each for each in inline_options() if each[2] not in known[each[1]] | {"--help"}]


def test_a_mark_names_a_test_that_reads_the_page() -> None:
    for page, name in {(one.page, one.run_by) for one in SHOWN if one.run_by} | {*RUN_BY.items()}:
        assert page.removesuffix(".md") in (ROOT / name).read_text(encoding="utf-8")


def test_a_command_without_a_mark_is_run() -> None:
    marked = "<!-- not run (cifar10): hours -->\n    snellen train cifar10   # a\n    snellen train eyechart\n"
    text = f"{marked}\n```\nmake demo\n```\n"
    found = [(one.line, one.not_run) for one in commands_of("x.md", text)]
    assert found == [("snellen train cifar10", "hours"), ("snellen train eyechart", ""), ("make demo", "")]
    assert [one.page for one in HERE].count("evaluate.md") >= 3


# Those that are run, page by page, in one folder

SMALL = {
    "glance": {"epochs": 1.0, "widths": (4, 8, 8), "batch_size": 32},
    "transfer": {"epochs": 1.0, "min_steps": 0, "side": 64},
}
REACHED = {"0.99": "0.3"}
"""What a small network cannot do, and what it can."""
BIRDS = ("crow", "finch", "gull")


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Dataset, tiny_recipe: Recipe, finished_run: Run
) -> Iterator[Path]:
    """A working folder as the pages take it for granted, with data and recipes that are small."""
    here, was = tmp_path_factory.mktemp("shown"), Path.cwd()
    options = FitOptions(device="cpu", precision="fp32", runs=here / "runs", seed=1, name="NEW")
    fit(tiny_recipe, tiny_dataset, options)
    for name, source in {"NAME": finished_run.folder, "OLD": finished_run.folder, "A": finished_run.folder}.items():
        shutil.copytree(source, here / "runs" / name)
    for name in ("B", "C"):
        shutil.copytree(here / "runs" / "NEW", here / "runs" / name)
    write_pictures(here)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog._LOADERS, "eyechart", lambda data, download, progress: tiny_dataset)
        for name, changes in SMALL.items():
            patch.setitem(RECIPES, name, RECIPES[name].replace(**changes))
        patch.setenv("XDG_CACHE_HOME", str(here / "cache"))
        patch.delenv("SNELLEN_DATA", raising=False)  # a command that lacks its mark fails at once, and trains no hours
        os.chdir(here)
        yield here
        os.chdir(was)


def write_pictures(here: Path) -> None:
    """Birds, as photographs go; the same as a table; letters that were labelled later; some to be named."""
    rows = ["path,label"]
    for number in range(30):
        kind = BIRDS[number % 3]
        path = here / "birds" / kind / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number, side=96))
        rows.append(f"{path.relative_to(here)},{kind}")
    (here / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    shutil.copytree(here / "birds", here / "flowers")
    shutil.copytree(here / "birds" / "crow", here / "new")
    shutil.copy(here / "new" / "0.jpg", here / "cat.jpg")
    first = "birds/crow/0.jpg"
    (here / "corrections.csv").write_text(f"file,new\n{first.partition('/')[2]},gull\n", encoding="utf-8")
    letters = make_eyechart(seed=7, train=40, test=0).train
    for number, (image, label) in enumerate(zip(letters.images, letters.labels, strict=True)):
        path = here / "new_birds" / letters.class_names[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(image)).save(path)
    shutil.copy(path, here / "letter.png")


@pytest.mark.long
@pytest.mark.parametrize("command", HERE, ids=lambda one: f"{one.page}: {one.line}")
def test_it_runs(command: Command, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called: list[Any] = list(ours(command))
    assert called, f"{command.page} shows {command.line}: run it in a test, or mark it `<!-- not run: WHY -->`"
    for words in called:
        code = main([REACHED.get(word, word) for word in words])
        said = capsys.readouterr()
        assert code == 0 or (code == 1 and words[0] == "doctor"), said.err  # a guard that failed is an answer too
    if target := re.search(r" > (\S+)", command.line):
        (folder / target[1]).write_text(said.out, encoding="utf-8")
