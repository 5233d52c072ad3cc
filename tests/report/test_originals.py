"""Pictures as they lie on the disk: whose they are, what is framed, what is refused; and the mistakes inside a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snellen.data.catalog import load
from snellen.data.folder_dataset import ImageOptions
from snellen.data.pictures import PictureForm
from snellen.data.run_images import images_of
from snellen.errors import DataError, InvalidSetting, UsageError
from snellen.evaluate.test_set import ledger_of
from snellen.predict.predictions import stored_predictions
from snellen.recipes.recipe import Recipe
from snellen.report import shown
from snellen.report.originals import framed, originals_of
from snellen.report.page import Options, Page, build_page
from snellen.runs.run import Run
from snellen.train.fit import FitOptions, fit


def a_photograph(path: Path, width: int, height: int, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path, quality=95)


@pytest.mark.parametrize(
    ("fit", "square"), [("crop", (0.25, 0, 0.75, 1)), ("pad", (0, -0.5, 1, 1.5)), ("squash", (0, 0, 1, 1))]
)
def test_framed_is_what_the_network_is_given(fit: Any, square: tuple[float, ...]) -> None:
    found = framed(Image.new("RGB", (400, 200)), PictureForm(32, fit), 100)
    assert found.pixels.shape == (50, 100, 3)
    assert found.size == (400, 200)
    assert found.square == pytest.approx(square)


@pytest.mark.parametrize(("size", "square"), [((200, 400), (0, 0.25, 1, 0.75)), ((400, 100), (0.25, 0, 0.75, 1))])
def test_framed_in_a_form_that_is_no_square_is_as_wide_as_the_form(
    size: tuple[int, int], square: tuple[float, ...]
) -> None:
    form = PictureForm(32) if size[0] < size[1] else PictureForm(32, width=64)
    assert framed(Image.new("RGB", size), form, 100).square == pytest.approx(square)


def test_only_files_of_the_data_set_can_be_asked_for(tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "secret.png"
    a_photograph(data / "a" / "1.png", 60, 40, (200, 0, 0))
    a_photograph(outside, 9, 9, (0, 0, 0))
    (data / "a" / "link.png").symlink_to(outside)
    names = {1: "a/1.png", 2: "../secret.png", 3: str(outside), 4: "a/link.png", 5: "a/gone.png"}
    found = originals_of(str(data), names, PictureForm(32))
    assert found is not None
    assert list(found.names) == [1]
    assert found.of(1, 30).pixels.shape == (20, 30, 3)
    for number in (0, 2, 3, 4, 5, 10**9):
        with pytest.raises(InvalidSetting, match=f"id={number} "):
            found.of(number, 30)
    (data / "a" / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError):
        found.of(1, 30)
    (data / "a" / "1.png").unlink()
    with pytest.raises(DataError, match=r"^a/1\.png cannot be read any more") as told:
        found.of(1, 30)
    assert str(tmp_path) not in str(told.value)
    assert originals_of("made from seed 0", names, PictureForm(32)) is None


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 96x64 photographs that cannot be told apart, so that there are mistakes."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 8)):
        for name in ("ant", "bee"):
            for n in range(count):
                a_photograph(folder / part / name / f"{n}.jpg", 96, 64, tuple(rng.integers(0, 256, 3).tolist()))
    return folder


@pytest.fixture(scope="module")
def photo_run(photographs: Path, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        dataset = load(str(photographs), options=ImageOptions(side=32))
        options = FitOptions(device="cpu", precision="fp32", runs=tmp_path_factory.mktemp("runs"))
        return fit(tiny_recipe, dataset, options)


@pytest.fixture(scope="module")
def with_originals(photo_run: Run) -> Page:
    return build_page([photo_run], Options(layer_views=0, originals=True, device="cpu"))


def test_the_mistakes_and_no_others_are_in_the_page(with_originals: Page) -> None:
    kept = with_originals.content["originals"]["val"]
    val = with_originals.content["splits"]["val"]
    card = val["runs"]["0"]["card"]["plain"]["accuracy"]
    assert len(kept) == card["n"] - card["hits"] > 0
    for about in kept.values():
        assert about["size"] == [96, 64]
        assert about["square"] == pytest.approx([1 / 6, 0, 5 / 6, 1])
        assert with_originals.sprites[about["sheet"]].tile == (64, 96)
    assert all(name.startswith("val/") for name in val["names"])


@pytest.mark.parametrize(("room", "side"), [(100 * 100, 100), (10 * 10, 48)])
def test_a_viewer_has_every_picture_the_more_the_smaller_but_none_of_fewer_than_48_pixels(
    photo_run: Run, monkeypatch: pytest.MonkeyPatch, room: int, side: int
) -> None:
    val = stored_predictions(photo_run, "val")
    assert val is not None
    monkeypatch.setattr(shown, "_LIVE_PIXELS", room * len(val))
    monkeypatch.setattr(shown, "_BYTES", 1)  # what a file may hold does not count
    found = shown.shown_split("val", [images_of(photo_run)], {0: val}, [photo_run], [ledger_of(photo_run)], every=True)
    assert (len(found.rows), found.most) == (len(val), side)


def test_without_files_there_are_no_originals(own_run: Run, small_eyechart: None) -> None:
    with pytest.raises(UsageError, match="--originals"):
        build_page([own_run], Options(layer_views=0, originals=True))


@pytest.mark.browser
def test_a_click_or_enter_fills_the_screen_with_the_original_and_escape_leaves(
    show: Callable[..., Any], with_originals: Page, expect: Callable[[Any], Any]
) -> None:
    tab = show("view=gallery&q=wrong", content=with_originals)
    assert tab.locator(".file-name code").inner_text().startswith("val/")
    tab.locator(".enlarge").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator(".original")).to_be_visible()
    expect(tab.locator(".original [role=status]")).to_contain_text("96×64 pixels")
    frame = tab.locator(".original .frame").bounding_box()
    whole = tab.locator(".original .framed").bounding_box()
    assert frame["width"] / whole["width"] == pytest.approx(2 / 3, abs=0.01)
    tab.keyboard.press("+")
    assert tab.locator(".original .framed").bounding_box()["width"] > 1.3 * whole["width"]
    tab.keyboard.press("Escape")
    expect(tab.locator(".original")).to_have_count(0)
    assert tab.evaluate("document.activeElement.className") == "enlarge"
