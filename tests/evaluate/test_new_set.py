"""Any labelled folder as a new set: what the run has seen is told apart by content, its sealed test is not answered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixed_pictures import write_folder
from snellen.data.eyechart import make_eyechart
from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.run_images import images_of
from snellen.data.sealed_images import SealedImages
from snellen.errors import DataError
from snellen.evaluate import new_set
from snellen.evaluate.new_set import NewEvaluation, evaluate_on_new
from snellen.evaluate.val import predict_run
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import stored_predictions
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.train.fit import FitOptions, fit


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Letters, runs and the cache of this file's tests."""
    folder = tmp_path_factory.mktemp("new")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        write_folder(make_eyechart(0, train=240, test=0).train, folder / "letters")
        yield folder


@pytest.fixture(scope="module")
def trained(place: Path, tiny_recipe: Recipe) -> Run:
    """A run on a folder of letters that has a sealed test part of its own."""
    dataset = load_folder(place / "letters", ImageOptions(side=32, fit="pad", test_fraction=0.2))
    options = FitOptions(device="cpu", precision="fp32", runs=place / "runs")
    return fit(tiny_recipe.replace(epochs=1), dataset, options)


@pytest.fixture
def folder(trained: Run, tmp_path: Path, place: Path) -> Path:
    """Other letters; among them, renamed, two of train, one of val, and one of the sealed test set."""
    write_folder(make_eyechart(7, train=60, test=0).train, tmp_path / "others")
    own = images_of(trained)
    assert own.val is not None
    assert own.test is not None
    taken = {"train0": own.train.names[0], "val0": own.val.names[0], "test0": own.test.names[0]}
    for name, file in taken.items():
        source = place / "letters" / file
        shutil.copy(source, tmp_path / "others" / Path(file).parent / f"{name}{source.suffix}")
    again = tmp_path / "others" / Path(own.train.names[1]).parent / "train1.png"
    Image.fromarray(own.train.images[1]).save(again)  # the same pixels in another file
    return tmp_path / "others"


def graded(run: Run, folder: Path) -> NewEvaluation:
    return evaluate_on_new(run, folder, device="cpu")


def test_what_the_run_has_seen_is_named_and_counted_apart(trained: Run, folder: Path) -> None:
    before = sorted(path.name for path in trained.folder.iterdir())
    found = graded(trained, folder)
    assert (found.predictions.split, len(found.predictions)) == ("new", 60)
    seen = {part: sorted(Path(name).stem for name in names) for part, names in found.seen.items()}
    assert seen == {"train": ["train0", "train1"], "val": ["val0"], "test": ["test0"]}
    own = images_of(trained)
    assert own.val is not None
    known = [predict_run(trained, part.take(rows, part.role), device="cpu", tta="none").correct
             for part, rows in ((own.train, np.arange(2)), (own.val, np.arange(1)))]  # fmt: skip
    assert found.seen_accuracy == Rate(int(sum(map(np.sum, known))), 3)
    assert not {"train0", "train1", "val0", "test0"} & {Path(name).stem for name in found.predictions.names}
    said = " ".join(found.sentences())
    assert "2 are in the run's train, and not counted" in said
    assert "1 is in the run's test, and not answered" in said
    assert sorted(path.name for path in trained.folder.iterdir()) == before


def test_labels_are_matched_by_name_whatever_folders_there_are(trained: Run, folder: Path) -> None:
    whole = graded(trained, folder).predictions
    for one in folder.iterdir():
        if one.name != "C":  # the first class of all
            shutil.rmtree(one)
    (folder / "Ape").mkdir()
    Image.new("RGB", (40, 40), (9, 90, 9)).save(folder / "Ape" / "1.png")
    (folder / "C" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    found = evaluate_on_new(trained, folder, device="cpu", tta="ten_crop")
    assert (whole.tta, found.predictions.tta) == (trained.recipe.tta, "ten_crop")
    row_of = {name: row for row, name in enumerate(whole.names)}
    rows = [row_of[name] for name in found.predictions.names]
    assert len(rows) == 6
    np.testing.assert_array_equal(found.predictions.labels, whole.labels[rows])
    np.testing.assert_allclose(found.predictions.logits, whole.logits[rows], atol=1e-4)
    assert [name.split(" ")[0] for name in found.left_out] == ["Ape/1.png", "C/broken.jpg"]
    assert "Ape/1.png (the run knows no 'Ape')" in " ".join(found.sentences())
    shutil.rmtree(folder / "Ape")
    assert len(graded(trained, folder).predictions) == 6  # nothing is to be learned from one class alone


def test_where_the_test_set_cannot_be_searched_it_is_said(
    trained: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert graded(trained, folder).unchecked == ""
    monkeypatch.setattr(SealedImages, "search_copies", lambda self, search: None)
    found = graded(trained, folder)
    assert (set(found.seen), len(found.predictions)) == ({"train", "val"}, 61)
    assert found.unchecked.startswith("Whether some are in the run's sealed test set cannot be told")
    assert found.unchecked in found.sentences()


def test_five_names_are_said_and_the_others_counted(trained: Run) -> None:
    val = stored_predictions(trained, "val")
    assert val is not None
    for count, ending in ((5, "p4"), (6, "p4 and 1 more"), (1_007, "p4 and 1,002 more")):
        names = tuple(f"p{at}" for at in range(count))
        found = NewEvaluation(Path("new"), val, {"train": names}, None, names, "")
        assert [line.endswith(f"p3, {ending}.") for line in found.sentences()] == [False, True, True]


def test_a_set_that_cannot_be_graded_is_refused_in_a_sentence(trained: Run, folder: Path, place: Path) -> None:
    with pytest.raises(DataError, match="are the run's own"):
        graded(trained, place / "letters")
    for one in list(folder.iterdir()):
        one.rename(folder / f"letter{one.name}")
    with pytest.raises(DataError, match="The run knows no class of .*, such as 'letterC'"):
        graded(trained, folder)


def test_where_the_runs_own_data_are_gone_its_test_set_is_not_risked(
    trained: Run, folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = trained.info["data"]
    (place / "letters").rename(place / "away")
    try:
        with pytest.raises(DataError, match="sealed test set cannot be told"):
            graded(trained, folder)
        trained.update_info(data=info | {"test": None})
        found = graded(trained, folder)
        for before in (None, replace(found.predictions, identities=None)):  # an older run keeps no identities
            with monkeypatch.context() as patch:
                patch.setattr(new_set, "stored_predictions", lambda run, split, before=before: before)
                assert graded(trained, folder).seen == {}
    finally:
        (place / "away").rename(place / "letters")
        trained.update_info(data=info)
    assert "Which of them the run learned from cannot be told" in found.unchecked
    # Its stored answers know which pictures they are of.
    assert [Path(name).stem for name in found.seen["val"]] == ["val0"]
