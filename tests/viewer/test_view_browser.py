"""“Try your own” in a real browser against a real server: chosen, pasted, dropped, refused; on a phone, in the dark."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snellen.data.dataset import Dataset
from snellen.report.page import Page
from snellen.viewer.auth import Limits
from snellen.viewer.live import Loaded

pytestmark = pytest.mark.browser

EVIL = '<img src=x onerror="document.title=1">'
Open = Callable[..., Any]


@pytest.fixture
def visit(chromium: Any) -> Iterator[Open]:
    """Open a viewer by its printed address at “Try your own”; nothing may be complained about or asked elsewhere."""
    complaints: list[str] = []
    contexts = []

    def enter(viewer: Any, *, width: int = 1280, dark: bool = False, phone: bool = False) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light",
            reduced_motion="reduce", has_touch=phone, is_mobile=phone,
        )  # fmt: skip
        contexts.append(context)
        tab = context.new_page()
        own = ("blob:", "data:", f"{viewer.origin}/")
        tab.on("request", lambda asked: asked.url.startswith(own) or complaints.append(asked.url))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        # Chromium itself writes a line for each answer of 400 and more, or none; those are under test here.
        tab.on("console", lambda said: said.text.startswith("Failed to load resource") or complaints.append(said.text))
        tab.goto(viewer.url)
        tab.wait_for_selector("html[data-ready]")
        assert "token" not in tab.url
        tab.get_by_role("link", name="Try your own").click()
        tab.wait_for_selector(".try")
        return tab

    yield enter
    for context in contexts:
        context.close()
    assert complaints == []


def a_file(image: Image.Image, name: str = "mine.png") -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


@pytest.fixture
def letter(tiny_dataset: Dataset) -> dict[str, Any]:
    """A letter of the eye chart, three times as wide as it is high."""
    wide = np.tile(tiny_dataset.train.images[0], (1, 3, 1))
    return a_file(Image.fromarray(wide))


def wait_inside(tab: Any) -> None:
    tab.wait_for_selector(".tried .layer, .tried-inside .card")


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_a_chosen_picture_is_answered_and_explained(
    visit: Open, viewer: Any, letter: dict[str, Any], width: int, dark: bool
) -> None:
    tab = visit(viewer, width=width, dark=dark, phone=width == 390)
    assert tab.get_by_role("button", name="Take a photograph").is_visible() is (width == 390)
    tab.set_input_files(".from-disk", letter)
    wait_inside(tab)
    values = [float(text.split()[-2]) for text in tab.locator(".tried .bars .value").all_inner_texts()]
    assert len(values) == 5
    assert values == sorted(values, reverse=True)
    best = tab.locator(".tried .bars .name").first.inner_text()
    assert tab.locator(".tried .verdict strong").inner_text() == best
    assert tab.locator("[role=status]").inner_text().startswith(f"{best}, ")
    assert tab.locator(".tried .layer").count() == 3
    assert tab.locator(".tried .cams figure").count() == 9  # the picture, its answer and the runner-up, at three layers
    assert tab.locator(".tried .near figure").count() == 15
    assert "PNG, 96×32 pixels" in tab.locator(".upload figcaption").inner_text()
    assert (
        tab.evaluate("getComputedStyle(document.querySelector('.network-sees canvas')).imageRendering") == "pixelated"
    )
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_the_frame_lies_where_the_square_was_taken_and_follows_the_choice(
    expect: Callable[[Any], Any], visit: Open, viewer: Any, letter: dict[str, Any]
) -> None:
    tab = visit(viewer)
    tab.set_input_files(".from-disk", letter)
    wait_inside(tab)

    def shapes() -> list[float]:
        return list(
            tab.evaluate(
                """() => {
                    const [picture, frame] = [".framed canvas", ".framed .frame"].map((s) => document.querySelector(s).getBoundingClientRect());
                    return [(frame.left - picture.left) / picture.width, frame.width / picture.width, frame.height / picture.height];
                }"""  # noqa: E501
            )
        )

    assert shapes() == pytest.approx([1 / 3, 1 / 3, 1], abs=0.01)
    tab.get_by_role("button", name="whole, with bars").click()
    tab.wait_for_selector("[aria-pressed=true] >> text=whole, with bars")
    expect(tab.locator("[role=status]")).not_to_contain_text("…")
    assert shapes() == pytest.approx([0, 1, 3], abs=0.02)


def test_a_picture_can_be_pasted_and_dropped(visit: Open, viewer: Any, letter: dict[str, Any]) -> None:
    hand_over = """([name, data]) => {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        const given = new DataTransfer();
        given.items.add(new File([bytes], "mine.png", { type: "image/png" }));
        const event = name === "paste"
            ? new ClipboardEvent("paste", { clipboardData: given, bubbles: true, cancelable: true })
            : new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
        return event.defaultPrevented;
    }"""
    for name in ("paste", "drop"):
        tab = visit(viewer)
        handled = tab.evaluate(hand_over, [name, base64.b64encode(letter["buffer"]).decode()])
        assert handled is (name == "drop")  # else the browser would leave the page and show the file
        wait_inside(tab)


def test_several_pictures_are_each_answered_and_can_be_looked_at(
    expect: Callable[[Any], Any], visit: Open, viewer: Any, letter: dict[str, Any], tiny_dataset: Dataset
) -> None:
    tab = visit(viewer)
    other = a_file(Image.fromarray(tiny_dataset.train.images[7]), "other.png")
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"}
    tab.set_input_files(".from-disk", [letter, broken, other])
    pile = tab.locator(".pile button")
    expect(pile).to_have_count(3)
    expect(pile.nth(1)).to_contain_text("cannot be read")
    expect(pile.nth(2)).to_contain_text("%")
    wait_inside(tab)
    pile.nth(2).click()
    expect(pile.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(tab.locator(".upload figcaption")).to_contain_text("32×32 pixels")
    assert pile.nth(2).inner_text().split("\n")[-1].startswith(tab.locator(".tried .verdict strong").inner_text())


def test_the_camera_is_answered_while_it_runs_and_goes_out_when_the_view_is_left(
    expect: Callable[[Any], Any], visit: Open, viewer: Any
) -> None:
    tab = visit(viewer)
    tab.get_by_role("button", name="Use the camera").click()
    expect(tab.locator(".camera .verdict")).to_contain_text("%")
    tab.evaluate("() => { window.track = document.querySelector('video').srcObject.getTracks()[0] }")
    tab.get_by_role("button", name="Look at this one").click()
    wait_inside(tab)
    assert tab.evaluate("window.track.readyState") == "ended"
    tab.get_by_role("button", name="Use the camera").click()
    expect(tab.locator(".camera .verdict")).to_contain_text("%")
    tab.evaluate("() => { window.track = document.querySelector('video').srcObject.getTracks()[0] }")
    tab.get_by_role("link", name="Overview", exact=True).click()
    tab.wait_for_function("() => window.track.readyState === 'ended'")


def test_a_file_that_is_no_picture_is_a_sentence_and_the_next_one_is_answered(
    expect: Callable[[Any], Any], visit: Open, viewer: Any, letter: dict[str, Any]
) -> None:
    tab = visit(viewer)
    status = tab.locator("[role=status]")
    tab.set_input_files(".from-disk", {"name": "a.png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"})
    expect(status).to_have_text("The picture is not a picture Snellen reads (JPEG, PNG, WEBP, GIF, BMP, AVIF).")
    tab.set_input_files(".from-disk", {**letter, "buffer": letter["buffer"][:200]})
    expect(status).to_contain_text("The picture is broken and cannot be read")
    tab.set_input_files(".from-disk", letter)
    wait_inside(tab)


def test_a_file_that_is_too_large_is_not_even_sent(
    expect: Callable[[Any], Any], visit: Open, start: Callable[..., Any]
) -> None:
    with start(limits=Limits(body_bytes=1_000_000)) as viewer:
        tab = visit(viewer)
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.set_input_files(".from-disk", {"name": "a.png", "mimeType": "image/png", "buffer": b"x" * 1_200_000})
        expect(tab.locator("[role=status]")).to_have_text("The file has 1.2 MB; at most 1 MB are read.")
        assert asked == []


def test_a_class_called_like_markup_is_read_and_not_run(
    visit: Open, start: Callable[..., Any], prepared: tuple[Page, list[Loaded]], letter: dict[str, Any]
) -> None:
    page = prepared[0]
    data = {**page.content["data"], "classes": [f"{EVIL}{number}" for number in range(10)]}
    with start(page=dataclasses.replace(page, content={**page.content, "data": data})) as viewer:
        tab = visit(viewer)
        tab.set_input_files(".from-disk", {**letter, "name": f"{EVIL}.png"})
        wait_inside(tab)
        assert tab.locator(".tried .verdict strong").inner_text().startswith(EVIL)
        assert tab.locator("img").count() == 0
        assert tab.title() != "1"


def test_by_keys_alone_the_file_dialogue_opens_and_the_fit_is_chosen(visit: Open, viewer: Any) -> None:
    tab = visit(viewer)
    tab.evaluate(
        """() => document.querySelector(".from-disk").addEventListener("click", (event) => {
            event.preventDefault();
            document.documentElement.dataset.dialogue = "asked for";
        })"""
    )
    tab.get_by_role("button", name="Choose pictures").focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.documentElement.dataset.dialogue") == "asked for"
    for _ in range(3):  # past the camera
        tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    assert tab.locator(".fits [aria-pressed=true]").all_inner_texts() == ["whole, with bars"]
    nameless = tab.evaluate(
        """() => [...document.querySelectorAll("button, a, input:not([hidden]), select")]
            .filter(e => !(e.getAttribute("aria-label") || e.textContent.trim() || e.title || e.labels?.length))
            .map(e => e.outerHTML)"""
    )
    assert nameless == []


def test_when_the_viewer_is_gone_the_page_says_so(
    expect: Callable[[Any], Any], visit: Open, start: Callable[..., Any], letter: dict[str, Any]
) -> None:
    with start() as viewer:
        tab = visit(viewer)
        tab.context.set_offline(True)
        tab.set_input_files(".from-disk", letter)
        expect(tab.locator("[role=status]")).to_contain_text("Is `snellen view` still running?")
