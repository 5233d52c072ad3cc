"""From run folders to a page: what is in it, and what is refused with a sentence."""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from snellen.cli.main import main
from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.errors import DataError, RunError, UsageError
from snellen.evaluate.test_set import ledger_of
from snellen.predict.predictions import Predictions
from snellen.report import page as page_module
from snellen.report.originals import Original
from snellen.report.page import Options, Page, build_page, learned_pictures, write_report
from snellen.report.shown import Shown
from snellen.runs.environment import redact_paths
from snellen.runs.run import Run


def test_the_page_holds_both_runs_on_the_same_pictures(page: Page, tiny_dataset: Dataset) -> None:
    assert list(page.content["splits"]) == ["val"]
    assert list(page.content["splits"]["val"]["runs"]) == ["0", "1"]
    assert page.sprites["val"].count == 30  # a tenth of 300
    assert page.content["data"]["classes"] == list(tiny_dataset.train.class_names)


def test_one_run_is_looked_at_closely_and_each_has_its_geometry(page: Page) -> None:
    views = page.content["layer_views"]
    assert (views["run"], views["split"], len(views["pictures"])) == (0, "val", 8)
    assert [layer["key"] for layer in views["layers"]] == ["early", "middle", "late"]
    for answers in page.content["splits"]["val"]["runs"].values():
        assert len(base64.b64decode(answers["geometry"]["cosine"]["data"])) == 10 * 10 * 4
    assert views["spaces"] == ["early", "middle", "last"]  # the last layer's features are those that are classified
    for seen in views["pictures"]:
        assert len(seen["neighbours"]) == len(views["spaces"])
        assert len(seen["cams"]) in (1, 2)
        assert all(0 <= tile < page.sprites["learned"].count for near in seen["neighbours"] for tile, _, _ in near)


def test_without_layer_views_no_model_is_read(own_run: Run, small_eyechart: None) -> None:
    content = build_page([own_run], Options(layer_views=0)).content
    assert content["layer_views"] is None
    assert "geometry" not in content["splits"]["val"]["runs"]["0"]


def test_the_file_lands_in_the_run_folder_and_says_the_same_each_time(own_run: Run, small_eyechart: None) -> None:
    path = write_report([own_run], options=Options(layer_views=2, device="cpu"))
    assert path == own_run.folder / "report.html"
    first = path.read_bytes()
    assert write_report([own_run], options=Options(layer_views=2, device="cpu")).read_bytes() == first


def test_a_graded_run_shows_its_test_pictures_and_the_look_without_a_new_line(graded_run: Run) -> None:
    ledger = ledger_of(graded_run)
    before = ledger.path.read_bytes()
    content = build_page([graded_run], Options(layer_views=0)).content
    assert list(content["splits"]) == ["val", "test"]
    assert content["runs"][0]["ledger"][0]["look"] == 1
    assert ledger.path.read_bytes() == before


def test_test_predictions_without_a_ledger_line_are_not_shown(graded_run: Run) -> None:
    ledger_of(graded_run).path.unlink()
    assert list(build_page([graded_run], Options(layer_views=0)).content["splits"]) == ["val"]


def test_a_ledger_line_about_other_weights_does_not_count(graded_run: Run, own_run: Run) -> None:
    path = ledger_of(graded_run).path
    weights = json.loads(path.read_text().splitlines()[0])["candidates"][0]["weights"]
    path.write_text(path.read_text().replace(weights, "0" * 64))
    assert list(build_page([graded_run], Options(layer_views=0)).content["splits"]) == ["val"]


def test_other_val_pictures_than_those_graded_are_refused(own_run: Run, small_eyechart: None) -> None:
    info = own_run.info["data"]
    own_run.update_info(data={**info, "val": {**info["val"], "fingerprint": "0" * 64}})
    with pytest.raises(DataError, match="--data"):
        build_page([own_run], Options(layer_views=0))


def test_an_unfinished_run_and_one_without_predictions_are_refused(own_run: Run, small_eyechart: None) -> None:
    (own_run.folder / "predictions_val.npz").unlink()
    with pytest.raises(RunError, match="snellen evaluate"):
        build_page([own_run], Options())
    own_run.update_info(status="interrupted")
    with pytest.raises(RunError, match="--resume"):
        build_page([own_run], Options())


def test_runs_on_different_data_do_not_share_a_page(own_run: Run, tmp_path: Path, small_eyechart: None) -> None:
    other = tmp_path / "runs" / "other"
    shutil.copytree(own_run.folder, other)
    Run(other).update_info(data={**own_run.info["data"], "name": "cifar10"})
    with pytest.raises(UsageError, match="cifar10, eyechart"):
        build_page([own_run, Run(other)], Options())


def test_runs_on_other_classes_of_a_data_set_of_one_name_do_not_share_a_page_either(
    own_run: Run, tmp_path: Path
) -> None:
    other = tmp_path / "runs" / "other"
    shutil.copytree(own_run.folder, other)
    Run(other).update_info(data={**own_run.info["data"], "class_names": [*"abcdefghij"]})
    with pytest.raises(UsageError, match="trained on eyechart, eyechart"):
        build_page([own_run, Run(other)], Options())


@pytest.mark.parametrize(("pixels", "count"), [(10**9, 30), (12 * 20 * 32, 12), (1, 6)])
def test_the_larger_pictures_are_the_fewer_are_compared_with_but_not_too_few(
    few_images: LabeledImages, monkeypatch: pytest.MonkeyPatch, pixels: int, count: int
) -> None:
    for name, number in (("_LEARNED", 30), ("_FEWEST_LEARNED", 6), ("_LEARNED_PIXELS", pixels)):
        monkeypatch.setattr(page_module, name, number)
    images = dataclasses.replace(few_images, images=np.ascontiguousarray(few_images.images[:, :20]), role="train")
    learned = learned_pictures(images)
    assert np.bincount(learned.labels).tolist() == [count // 3] * 3
    assert learned.role == "train"


def test_an_original_is_shown_of_what_any_run_has_wrong_as_far_as_it_is_in_the_page(few_images: LabeledImages) -> None:
    logits = np.eye(3, dtype=np.float32)[few_images.labels]
    first, other = (Predictions.of(dataclasses.replace(few_images, role="val"), logits.copy()) for _ in range(2))
    first.logits[3], other.logits[[7, 9]], other.logits[50] = [0, 0, 9], [0, 9, 0], [9, 0, 0]
    asked: list[tuple[int, int]] = []

    def of(number: int, most: int) -> Original:
        asked.append((number, most))
        return Original(np.zeros((4, 6, 3), dtype=np.uint8), (0.0, 0.0, 1.0, 1.0), (60, 40))

    behind: Any = SimpleNamespace(names=dict.fromkeys([0, 3, 7, 50], "a file"), of=of)  # of 9 there is none
    said: list[str] = []
    shown = Shown(few_images, np.array([0, 3, 9, 50]))  # 7 is not in the page
    about, sheets = page_module._mistakes("val", behind, shown, [first, other], Options(say=said.append))
    assert asked == [(3, 640), (50, 640)]
    assert list(about) == ["3", "50"]
    assert [each["sheet"] for each in about.values()] == list(sheets) == ["original-val-3", "original-val-50"]
    assert said == ["val: 2 originals"]


def test_the_page_names_no_folder_of_this_disk(page: Page, finished_run: Run) -> None:
    assert page.content["data"]["source"] == "made from seed 0"
    folder = finished_run.folder.resolve()
    assert str(folder.parent) not in json.dumps(page.content)
    assert page.content["runs"][0]["path"] == f"{folder.parent.name}/{folder.name}"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/srv/me/data/cifar-10-batches-py", "cifar-10-batches-py"),
        ("as far as /srv/me/runs/ledger.jsonl knows", "as far as ledger.jsonl knows"),
        (r"C:\Users\me\runs\a.json", "a.json"),
        ("793 images/s, 1/2 and and/or", "793 images/s, 1/2 and and/or"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_of_a_path_only_its_last_part_is_told(text: str, left: str) -> None:
    assert redact_paths({"a": [text, 1, None]}) == {"a": [left, 1, None]}


def test_a_second_map_stands_beside_the_principal_components(own_run: Run, small_eyechart: None) -> None:
    options = Options(layer_views=2, device="cpu", map="tsne")
    maps = build_page([own_run], options).content["splits"]["val"]["runs"]["0"]["geometry"]["maps"]
    assert [each["name"] for each in maps] == ["PCA", "t-SNE"]
    assert len(maps[0]["points"]["data"]) == len(maps[1]["points"]["data"])


def test_a_map_whose_library_is_missing_is_refused_before_any_work(
    own_run: Run, small_eyechart: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    said: list[str] = []
    with pytest.raises(UsageError, match=r"pip install 'snellen\[map\]'"):
        build_page([own_run], Options(map="umap", say=said.append))
    assert said == []


def test_a_robustness_card_is_handed_on_and_a_broken_one_says_so(own_run: Run, small_eyechart: None) -> None:
    (own_run.folder / "robustness.json").write_text('{"clean": {}, "rows": []}')
    assert build_page([own_run], Options(layer_views=0)).content["runs"][0]["robustness"] == {"clean": {}, "rows": []}
    (own_run.folder / "robustness.json").write_text("{")
    assert "unreadable" in build_page([own_run], Options(layer_views=0)).content["runs"][0]["robustness"]


def test_the_command_says_where_the_file_is(
    own_run: Run, small_eyechart: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "elsewhere" / "page.html"
    code = main(["report", str(own_run.folder), "--out", str(out), "--layer-views", "0", "--json"])
    assert code == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(out), "bytes": out.stat().st_size}


@pytest.mark.parametrize(
    ("arguments", "word"), [(["report"], "Which run"), (["report", "x", "--layer-views", "-1"], "-1")]
)
def test_a_command_without_a_run_or_with_a_number_below_zero_is_a_usage_error(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert word in capsys.readouterr().err


def test_a_map_without_layer_views_is_a_usage_error(own_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(own_run.folder), "--map", "umap", "--layer-views", "0"]) == 2
    assert "no effect" in capsys.readouterr().err
