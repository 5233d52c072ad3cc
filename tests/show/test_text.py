"""Text that is data reaches a terminal as text."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from snellen.paths import visible
from snellen.show.text import new_console, print_json, visible_lines

HOSTILE = "a\x1b]0;title\x07b\x1b[2J\x9b2J\u202ec\td"


def test_what_steers_is_spelled_out_and_the_rest_stays() -> None:
    assert visible("a\x1b[2J\nb\u202e") == r"a\x1b[2J\nb\u202e"
    assert visible_lines("a\x1b\nb") == "a\\x1b\nb"
    for text in ("straße, 一, हिन्दी, שלום, 🦉, 👩\u200d🔬", "می\u200cخواهم", "東京\u3000タワー"):
        assert visible(text) == text
    assert visible("caf\udce9\ud800\u200b") == r"caf\xe9\ud800\u200b"


@given(st.text())
def test_what_was_spelled_out_is_shown_as_it_is_and_can_be_written(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    assert "\n" not in visible(text).encode().decode()


@pytest.mark.parametrize("options", [{}, {"style": "bold"}, {"soft_wrap": True}])
def test_a_console_passes_nothing_on_that_steers(options: dict[str, object]) -> None:
    shown = new_console(file=io.StringIO())
    table = Table()
    table.add_column("name")
    table.add_row(Text(HOSTILE))
    for each in (Text(HOSTILE), HOSTILE.replace("[", "\\["), table):
        shown.print(each, **options)
    assert not set(shown.file.getvalue()) & {"\x1b", "\x07", "\x9b", "\u202e"}


@pytest.mark.parametrize("name", ["[red]not red[/red]", "[/]", "\\[a]", ":smile:", "3 \U0001f989"])
def test_a_console_takes_no_text_for_markup_or_an_emoji(name: str) -> None:
    shown = new_console(file=io.StringIO())
    table = Table(name, box=None)
    table.add_row(name)
    shown.print(name)
    shown.print(table)
    assert [line.strip() for line in shown.file.getvalue().splitlines()] == [name] * 3


def test_the_styles_of_our_own_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    shown = new_console(file=io.StringIO())
    shown.print("loud", style="bold")
    assert shown.file.getvalue() == "\x1b[1mloud\x1b[0m\n"


def test_json_for_a_program_holds_no_nan_and_no_byte_that_steers(capsys: pytest.CaptureFixture[str]) -> None:
    content = {"name": HOSTILE + "\ud800", "share": float("nan"), "text": "straße 一"}
    print_json(content)
    printed = capsys.readouterr().out
    assert json.loads(printed) == content | {"share": None}
    assert not set(printed) & {"\x1b", "\x07", "\x9b", "\u202e", "\ud800"}
    assert "straße 一" in printed
