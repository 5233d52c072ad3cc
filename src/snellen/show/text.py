"""Text that is data, shown: class names, file names, reasons and recipes may hold anything and are never orders.

One function per medium: `new_console` for the terminal, `figures.drawn` for Matplotlib, `notebook.escaped` for HTML.
All of them spell out what would steer a terminal, break a line or turn the reading direction: ESC is shown as \\x1b.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import IO, Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from snellen.paths import STEERING, visible
from snellen.serialize import to_json

_IN_LINES = re.compile(f"[{STEERING}]")


def visible_lines(text: str) -> str:
    """As `visible`, but line breaks are ours and stay."""
    return "\n".join(map(visible, text.split("\n")))


def shortened(text: str, longest: int) -> str:
    """At most `longest` letters, the last an ellipsis where some are missing."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; each cell in one line, with nothing in it that would end it."""
    cells = [[" ".join(str(text).split()).replace("|", "\\|") for text in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *cells])


def markdown_list(lines: Iterable[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def print_json(content: Any, *, indent: int | None = None) -> None:
    """Print a result for a program: as JSON has it, and without a byte that steers a terminal."""
    text = json.dumps(to_json(content), ensure_ascii=False, indent=indent)
    print(_IN_LINES.sub(lambda found: f"\\u{ord(found.group()):04x}", text))


def new_console(*, stderr: bool = False, quiet: bool = False, file: IO[str] | None = None) -> Console:
    """A terminal on which text is text: no markup, no `:names:` of emoji, and escape sequences are spelled out."""
    terminal = Console(highlight=False, markup=False, emoji=False, stderr=stderr, quiet=quiet, file=file)
    terminal.push_render_hook(_SpellOut())
    return terminal


class _SpellOut(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_SpelledOut(each) for each in renderables]


class _SpelledOut:
    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        segments: Iterable[Segment] = console.render(self._renderable, options)
        for segment in segments:
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)
