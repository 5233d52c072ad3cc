"""How results look in a notebook: quiet tables in the notebook's own colours, light or dark.

Jupyter asks an object for `_repr_html_`; what such methods return is built here. The rooms that compute know nothing of
notebooks, so their results are given the method when this file is imported, as `snellen`'s Python interface does. Every
text is escaped: class names come from folders and may hold anything.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from snellen.evaluate.compare_runs import Comparison
from snellen.metrics.scorecard import Scorecard
from snellen.paths import visible
from snellen.predict.predictions import Predictions

_TABLE = "border-collapse:collapse;margin:4px 0;color:inherit;font-size:inherit"
_CELL = "text-align:{side};padding:1px 14px 1px 0;border:0;white-space:nowrap"
_BAR = "display:inline-block;height:0.6em;width:{width:.0f}px;background:#3b6ea5;border-radius:1px"
_FAINT = "opacity:0.65"
_BAR_PIXELS = 120
_ROWS = 10


@dataclass(frozen=True)
class Markup:
    """Text that is HTML already and is not escaped again."""

    html: str


Text = str | Markup


def escaped(text: str) -> str:
    """Text that is data, for a page."""
    return escape(visible(text))


def bar(fraction: float) -> Markup:
    """A bar as long as a fraction in [0, 1]."""
    return Markup(f'<span style="{_BAR.format(width=_BAR_PIXELS * fraction)}"></span>')


def headline(text: str) -> str:
    """What matters most, in bold, on a line of its own."""
    return f'<div style="font-weight:600;margin:2px 0">{escaped(text)}</div>'


def line(text: str) -> str:
    """A line of detail."""
    return f'<div style="{_FAINT};margin:2px 0">{escaped(text)}</div>'


def picture(png: bytes, *, width: int) -> str:
    """A PNG inside the page, `width` pixels wide."""
    style = f"width:{width}px;max-width:100%;image-rendering:auto;margin:0"
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}" style="{style}">'


def lines(texts: Iterable[Text]) -> Markup:
    """Several lines in one cell."""
    # Equally high whatever is in them, so that a bar stays beside its name.
    style = "height:1.4em;line-height:1.4em"
    return Markup("".join(f'<div style="{style}">{_html(text)}</div>' for text in texts))


def table(header: Sequence[str], rows: Iterable[Sequence[Text]], *, left: int = 1) -> str:
    """A table without lines; the first `left` columns hold words, the others numbers."""
    head = "".join(_cell("th", text, at < left, f";{_FAINT};font-weight:400") for at, text in enumerate(header))
    body = "".join(
        "<tr>" + "".join(_cell("td", text, at < left) for at, text in enumerate(row)) + "</tr>" for row in rows
    )
    return f'<table style="{_TABLE}"><tr>{head}</tr>{body}</table>'


def block(*parts: str) -> str:
    """Parts under each other."""
    return f"<div>{''.join(parts)}</div>"


def _cell(tag: str, text: Text, left: bool, style: str = "") -> str:
    return f'<{tag} style="{_CELL.format(side="left" if left else "right")}{style}">{_html(text)}</{tag}>'


def _html(text: Text) -> str:
    return text.html if isinstance(text, Markup) else escaped(text)


def scorecard_html(card: Scorecard) -> str:
    """Accuracy, then every class, worst recall first, then what is mixed up most."""
    rows = [
        (
            row.name,
            bar(row.recall.value if row.recall else 0.0),
            "–" if row.recall is None else row.recall.share(),
            "–" if row.precision is None else row.precision.share(),
            str(row.support),
        )
        for row in sorted(card.classes, key=lambda row: row.recall.value if row.recall else 2.0)
    ]
    mixed = [f"mixed up: {pair}" for pair in card.worst_pairs[:3] if pair.count]
    return block(
        headline(str(card)), table(("class", "", "recall", "precision", "images"), rows, left=2), *map(line, mixed)
    )


def comparison_html(found: Comparison) -> str:
    """The verdict, then the table, then what belongs to the numbers."""
    return block(headline(found.verdict), table(*found.table()), *map(line, found.notes))


def predictions_html(predictions: Predictions) -> str:
    """The first images, each with its answer, how sure it is, and its label where one is known."""
    names = predictions.class_names
    rows = []
    for at, answer in enumerate(predictions.predicted[:_ROWS]):
        sure, label = float(predictions.probabilities[at, answer]), predictions.labels[at]
        known = names[label] if label >= 0 else "–"
        rows.append((predictions.names[at], names[answer], bar(sure), f"{100 * sure:.1f} %", known))
    rest = len(predictions) - len(rows)
    return block(
        headline(repr(predictions)[1:-1]),
        table(("image", "answer", "", "sure", "label"), rows, left=3),
        line(f"and {rest:,} more" if rest else ""),
    )


Scorecard._repr_html_ = scorecard_html  # type: ignore[attr-defined]
Comparison._repr_html_ = comparison_html  # type: ignore[attr-defined]
Predictions._repr_html_ = predictions_html  # type: ignore[attr-defined]
