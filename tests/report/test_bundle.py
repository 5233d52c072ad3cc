"""The file is one, closed: everything inside, nothing loaded, and names that cannot break out."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from snellen.report import bundle
from snellen.report.bundle import LIVE, OFFLINE, bundle_html, bundle_scripts, content_policy
from snellen.report.page import Page

EVIL = '</script><img src=x onerror="document.title=1">{{data}}'


class Elements(HTMLParser):
    """Tags with their attributes, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, dict[str, str | None], str]] = []
        self._open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag in ("script", "style")
        if self._open:
            self.inside.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            tag, attributes, before = self.inside[-1]
            self.inside[-1] = (tag, attributes, before + data)


@pytest.fixture
def written(renamed: Callable[[str], Page]) -> str:
    page = renamed(EVIL)
    return bundle_html(page.title, page.content, page.sprites)


def test_a_name_that_is_markup_adds_no_element(written: str, page: Page) -> None:
    plain = Elements(bundle_html(page.title, page.content, page.sprites))
    assert [tag for tag, _ in Elements(written).tags] == [tag for tag, _ in plain.tags]
    assert html.escape(EVIL) in written


def test_the_data_are_the_page_to_the_letter(written: str, renamed: Callable[[str], Page]) -> None:
    (data,) = [text for _, attributes, text in Elements(written).inside if attributes.get("id") == "page"]
    assert json.loads(data) == json.loads(json.dumps(renamed(EVIL).content))


def test_nothing_is_loaded_from_anywhere(written: str) -> None:
    for tag, attributes in Elements(written).tags:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "data:,") == "data:,", tag
    script = next(
        text for _, attributes, text in Elements(written).inside if not attributes and "module_offline" in text
    )
    assert re.findall(r"https?://[^\s\"']+", script) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|eval)\b|innerHTML", script)


def test_the_policy_allows_exactly_this_script_and_this_style(written: str) -> None:
    elements = Elements(written)
    policy = next(attributes["content"] for tag, attributes in elements.tags if attributes.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, attributes, text in elements.inside:
        if not attributes:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("entry", [OFFLINE, LIVE])
def test_every_module_is_there_once_and_after_what_it_imports(entry: str) -> None:
    order = re.findall(r"^const module_(\w+) = \(\(\) => \{", bundle_scripts(entry), re.MULTILINE)
    assert len(order) == len(set(order))
    assert f"{order[-1]}.js" == entry
    for name in order:
        for _, imported in bundle._IMPORT.findall(bundle.web_file(f"{name}.js")):
            assert order.index(imported.removesuffix(".js")) < order.index(name)


def test_the_two_entries_differ_in_the_live_parts_only() -> None:
    offline, live = (
        set(re.findall(r"^const module_(\w+)", bundle_scripts(entry), re.MULTILINE)) for entry in (OFFLINE, LIVE)
    )
    assert offline - live == {"offline"}
    assert live - offline == {"camera", "live", "server", "tryyours"}


def test_only_the_live_page_may_ask_its_server() -> None:
    assert "connect-src 'none'" in content_policy(OFFLINE)
    assert "connect-src 'self'" in content_policy(LIVE)
    assert "tried-columns" in bundle_html("", {}, {}, entry=LIVE)
    assert "tried-columns" not in bundle_html("", {}, {})


def test_modules_that_import_each_other_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "a.js": 'import { y } from "./b.js";\nexport const x = 1;\n',
        "b.js": 'import { x } from "./a.js";\nexport const y = 1;\n',
    }
    monkeypatch.setattr(bundle, "web_file", files.__getitem__)
    with pytest.raises(AssertionError, match=r"a\.js > b\.js > a\.js"):
        bundle._visit("a.js", [], ())
