"""One HTML file out of many: styles, scripts and data inlined, with a policy that lets nothing else in.

The scripts are ES modules as a server would send them. Here each becomes a function that returns its exports, in the
order in which they import one another; no tool besides this file is needed, neither by us nor by a user. The viewer
serves the same file with one entry of its own, and with leave to ask the server it came from.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from snellen.report.encoding import Sprite, json_for_html

OFFLINE, LIVE = "offline.js", "live.js"
"""The entries: a page that is a file, and a page that `snellen view` serves."""
_STYLES = ("page.css", "gallery.css", "marking.css", "original.css", "figures.css", "pipeline.css", "forced.css")
_LIVE_STYLES = ("tryyours.css",)
_IMPORT = re.compile(r'^import \{ ([^}]+?),? \} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


def web_file(name: str) -> str:
    """The text of one file of the front end."""
    return resources.files("snellen.report").joinpath("web", name).read_text(encoding="utf-8")


def bundle_html(title: str, page: Any, sprites: Mapping[str, Sprite], *, entry: str = OFFLINE) -> str:
    """The whole page as one file that loads nothing.

    Args:
        title: for the window; any text.
        page: the data, JSON-able; names in it may be anything.
        sprites: sheets of pictures by the name under which the page asks for them.
        entry: `OFFLINE` or `LIVE`.
    """
    # Sheets stand last, so that the page is drawn before they are read.
    sheets = "\n".join(
        f'<script type="text/plain" id="sprite-{html.escape(name)}-{part}" data-mime="{sprite.mime}">{text}</script>'
        for name, sprite in sprites.items()
        for part, text in enumerate(sprite.texts)
    )
    blanks = {
        "title": html.escape(title),
        "policy": content_policy(entry),
        "style": _bundle_styles(entry),
        "data": json_for_html(page),
        "sheets": sheets,
        "script": bundle_scripts(entry),
    }
    # One pass: a value that happens to contain a blank's name is not filled in again.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: blanks[found[1]], web_file("page.html"))


def content_policy(entry: str = OFFLINE) -> str:
    """The content security policy: this script, this style, pictures made in the page; live also the own server."""
    script, style = _digest(bundle_scripts(entry)), _digest(_bundle_styles(entry))
    connect = "'self'" if entry == LIVE else "'none'"
    return (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; img-src blob: data:; connect-src {connect}; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def bundle_scripts(entry: str = OFFLINE) -> str:
    """The modules that an entry needs as one script, imports first."""
    order: list[str] = []
    _visit(entry, order, ())
    return '"use strict";\n' + "\n".join(_as_function(name) for name in order)


def _bundle_styles(entry: str) -> str:
    return "\n".join(web_file(name) for name in (*_STYLES, *(_LIVE_STYLES if entry == LIVE else ())))


def _visit(name: str, order: list[str], path: tuple[str, ...]) -> None:
    assert name not in path, f"modules import each other in a circle: {' > '.join((*path, name))}"
    if name in order:
        return
    for _, imported in _IMPORT.findall(web_file(name)):
        _visit(imported, order, (*path, name))
    order.append(name)


def _as_function(name: str) -> str:
    source = web_file(name)
    exports = _EXPORT.findall(source)
    body = _IMPORT.sub(lambda found: f"const {{ {found[1]} }} = {_variable(found[2])};\n", source)
    body = _EXPORT.sub("", body)
    assert not re.search(r"^(import|export)\b", body, re.MULTILINE), f"{name} has an import or export of another form"
    assert "</script" not in body.lower(), f"{name} would end its own element"
    return f"const {_variable(name)} = (() => {{\n{body}return {{ {', '.join(exports)} }};\n}})();"


def _variable(name: str) -> str:
    return "module_" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
