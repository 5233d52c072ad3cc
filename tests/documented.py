"""The commands that README and docs show, and the marks that say which of them no test runs.

A command is a line of a block of code that begins with a program. `<!-- not run: WHY -->` before a block means none of
its commands, `<!-- not run (WORDS): WHY -->` those that hold one of the words, parted by |, and `<!-- run by
tests/X.py -->` says which test takes the block over.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PROGRAMS = re.compile(r"(?:[A-Z_]+=\S+ )*(?:snellen|torchrun|python3?|pip|make|tensorboard|pytest) ")
_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>not run|run by)(?: \((?P<words>[^)]*)\))?:? (?P<said>[^>]*?) -->\n+)?"
    r"(?:^```(?P<language>\w*)\n(?P<fenced>(?:(?!```)[^\n]*\n)*)```|(?P<indented>(?:^    [^\n]*\n)+))",
    re.MULTILINE,
)
_INLINE = re.compile(r"`snellen (\w+) ([^`]*)`")


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
        page: the file's name.
        line: the command, without the comment behind it.
        not_run: why no test runs it, or empty.
        run_by: the test that does, or empty.
    """

    page: str
    line: str
    not_run: str = ""
    run_by: str = ""


def commands() -> list[Command]:
    """All of them, page by page, as they stand there."""
    return [command for page in PAGES for command in commands_of(page.name, page.read_text(encoding="utf-8"))]


def commands_of(page: str, text: str) -> Iterator[Command]:
    """Those of one page."""
    for block in _BLOCK.finditer(text):
        if block["language"] not in (None, "", "sh"):
            continue
        code = (block["fenced"] or block["indented"]).replace("\\\n", " ")
        for line in map(str.strip, code.splitlines()):
            if not PROGRAMS.match(line):
                continue
            line = " ".join(re.split(r"\s+# ", line)[0].split())
            meant = block["mark"] if re.search(block["words"] or "", line) else None
            said = " ".join((block["said"] or "").split())
            yield Command(page, line, said if meant == "not run" else "", said if meant == "run by" else "")


def inline_options() -> Iterator[tuple[str, str, str]]:
    """Page, verb and option of every `snellen VERB … --option …` that stands in a sentence or a table."""
    for page in PAGES:
        for verb, rest in _INLINE.findall(page.read_text(encoding="utf-8")):
            yield from ((page.name, verb, option) for option in re.findall(r"--[a-z-]+", rest))


def options_of(holder: type) -> Iterator[str]:
    """A verb's options as they are typed, from its `Args`, those of the groups it takes among them."""
    for one in dataclasses.fields(holder):
        group = one.default_factory
        if isinstance(group, type) and dataclasses.is_dataclass(group):
            yield from options_of(group)
        elif "Positional" not in str(one.type):
            yield "--" + one.name.rstrip("_").replace("_", "-")
