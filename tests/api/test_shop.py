"""The shop window: what the command line does, from Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import snellen
from snellen.data.dataset import Dataset
from snellen.data.splits import split
from snellen.errors import DataError, InvalidSetting, RunError, SealError, UnknownName, UsageError
from snellen.metrics.scorecard import scorecard
from snellen.models.weights import weights_hash
from snellen.predict.familiarity import FILE, stored_familiarity
from snellen.predict.own_pictures import predict_pictures
from snellen.predict.predictions import Predictions
from snellen.recipes.catalog import find_recipe
from snellen.recipes.recipe import DataPruning, Recipe, Resolution
from snellen.runs.run import Run


@pytest.fixture(scope="module")
def trained(finished_run: Run) -> snellen.TrainedRun:
    return snellen.open_run(finished_run.folder)


def test_everything_in_the_window_is_there_and_listed() -> None:
    assert set(snellen.__all__) <= set(dir(snellen))
    for name in snellen.__all__:
        assert getattr(snellen, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'fitt'. It has: Dataset, Recipe,"):
        _ = snellen.fitt


def test_a_recipe_is_changed_by_keyword_and_two_underscores_reach_inside() -> None:
    changed = snellen.recipe("small_cnn", epochs=3, optimizer__lr=0.2, widths=(4, 4, 8, 8), augment__flip="random")
    assert (changed.epochs, changed.optimizer.lr, changed.widths, changed.augment.flip) == (
        3,
        0.2,
        (4, 4, 8, 8),
        "random",
    )
    assert snellen.recipe("sprint") == find_recipe("sprint")
    whole = snellen.recipe("sprint", data_pruning=DataPruning(skip=0.3), resolutions=(Resolution(side=24, until=0.5),))
    assert (whole.data_pruning, whole.resolutions) == (DataPruning(skip=0.3), (Resolution(side=24, until=0.5),))
    with pytest.raises(InvalidSetting, match=r"epochs=\{3\} is nothing that a recipe can hold: set has no form"):
        snellen.recipe("sprint", epochs={3})
    with pytest.raises(InvalidSetting, match="Did you mean 'epochs'"):
        snellen.recipe("sprint", epoch=3)
    with pytest.raises(UnknownName):
        snellen.recipe("sprnt")


def test_fit_trains_the_same_weights_as_the_command_line(
    finished_run: Run, tiny_recipe: Recipe, small_eyechart: None, tmp_path: Path
) -> None:
    run = snellen.fit(tiny_recipe, "eyechart", device="cpu", precision="fp32", runs=tmp_path, quiet=True)
    assert weights_hash(Run(run.folder)) == weights_hash(finished_run)
    assert run.folder == tmp_path / "eyechart-tiny-s0"
    assert len(run.history) == 2


def _public() -> Iterator[tuple[Callable[..., Any], str]]:
    """Every argument of the window but pictures, arrays and settings, which have sentences of their own."""
    verbs = [getattr(snellen, name) for name in snellen.__all__ if inspect.isfunction(getattr(snellen, name))]
    of_a_run = [verb for name, verb in vars(snellen.TrainedRun).items() if inspect.isfunction(verb) and name[0] != "_"]
    for verb in (*verbs, *of_a_run):
        for name in inspect.signature(verb).parameters:
            if name not in ("self", "pictures", "images", "labels", "settings"):
                yield verb, name


@pytest.mark.parametrize(("verb", "name"), list(_public()), ids=lambda value: getattr(value, "__name__", value))
def test_an_argument_of_a_wrong_type_is_one_sentence(
    trained: snellen.TrainedRun, tiny_dataset: Dataset, verb: Callable[..., Any], name: str
) -> None:
    needed = {
        "self": trained, "recipe": "glance", "data": tiny_dataset, "name_or_path": "eyechart", "path": ".",
        "images": tiny_dataset.train.images, "labels": tiny_dataset.train.labels, "pictures": tiny_dataset.train.images,
        "kind": "loss",
    }  # fmt: skip
    parameters = inspect.signature(verb).parameters
    given = {key: needed.get(key) for key, one in parameters.items() if one.default is one.empty and one.kind == 1}
    if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
        first = [given["self"]] if "self" in given else []
        with pytest.raises(InvalidSetting, match=f"{name}=3 is not possible: "):
            verb(*first, 3)
        return
    with pytest.raises(InvalidSetting, match=f"{name}=<object .*> is not possible: "):
        verb(**{**given, name: object()})


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seed": "a"}, "seed='a' is not possible: a whole number"),
        ({"seed": True}, "seed=True is not possible: a whole number"),
        ({"track": "mlflow"}, "track='mlflow' is not possible: a list of text"),
        ({"track": [3]}, r"track=\[3\] is not possible: a list of text"),
    ],
)
def test_what_python_would_take_for_something_else_is_refused(
    tiny_recipe: Recipe, tiny_dataset: Dataset, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        snellen.fit(tiny_recipe, tiny_dataset, **wrong)


def test_a_run_offers_its_verbs_and_no_insides(trained: snellen.TrainedRun) -> None:
    assert [name for name in dir(trained) if not name.startswith("_")] == [
        "accuracy", "class_names", "dataset", "evaluate", "evaluate_on", "export", "folder", "guards", "history",
        "info", "model", "module", "name", "predict", "predictions", "recipe", "report", "robustness",
    ]  # fmt: skip
    assert trained == snellen.open_run(trained.folder)


def test_a_format_that_does_not_exist_is_refused_with_those_that_do(trained: snellen.TrainedRun) -> None:
    with pytest.raises(InvalidSetting, match="formats='coreml' is not possible: 'onnx' or 'int8' or 'torch'"):
        trained.export("coreml")  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match=r"formats=\['onnx'\] is not possible"):
        trained.export(["onnx"])  # type: ignore[arg-type]


def test_fit_takes_settings_and_arrays(tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path) -> None:
    names = np.array(tiny_dataset.train.class_names)
    data = snellen.from_arrays(tiny_dataset.train.images, names[tiny_dataset.train.labels])
    run = snellen.fit(
        tiny_recipe, data, seed=np.int64(3), epochs=1, runs=tmp_path, precision="fp32", device="cpu", quiet=True
    )
    assert run.class_names == tiny_dataset.train.class_names
    assert run.recipe.epochs == 1
    assert run.accuracy is not None
    assert run.evaluate().plain.accuracy == run.accuracy


def test_arrays_that_do_not_fit_together_are_one_sentence() -> None:
    images = np.zeros((4, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="3 class names for 2 different labels"):
        snellen.from_arrays(images, [0, 1, 0, 1], class_names=("a", "b", "c"))
    with pytest.raises(DataError, match="the images are of different shapes"):
        snellen.from_arrays([[1], [1, 2]], [0, 1])
    with pytest.raises(DataError, match=r"must be \(N, H, W, C\) uint8"):
        snellen.from_arrays(images / 255, [0, 1, 0, 1])


def test_evaluate_gives_the_stored_grades(trained: snellen.TrainedRun, finished_run: Run) -> None:
    stored = Predictions.load(finished_run.folder / "predictions_val.npz")
    assert trained.evaluate() == scorecard(stored)
    assert trained.accuracy == scorecard(stored).plain.accuracy


def test_test_is_opened_through_the_ledger_and_with_a_reason(
    own_run: Run, small_eyechart: None, tmp_path: Path
) -> None:
    run = snellen.open_run(own_run.folder)
    with pytest.raises(UsageError, match="with its reason"):
        run.evaluate("test")
    blocked = tmp_path / "ledger-is-a-folder"
    blocked.mkdir()
    with pytest.raises(SealError):
        run.evaluate("test", reason="first", ledger=blocked)
    card = run.evaluate("test", reason="first", ledger=tmp_path / "mine.jsonl", device="cpu")
    assert (card.split, card.plain.accuracy.n) == ("test", 60)
    assert '"reason":"first"' in (tmp_path / "mine.jsonl").read_text()


def test_arguments_without_effect_are_refused(trained: snellen.TrainedRun) -> None:
    with pytest.raises(UsageError, match="no effect on val"):
        trained.evaluate(reason="no need")
    with pytest.raises(UsageError, match="cannot be chosen on test"):
        trained.evaluate("test", tta="flip", reason="r")
    with pytest.raises(InvalidSetting, match="'val' or 'test'"):
        trained.evaluate("train")  # type: ignore[arg-type]


# Predict: any picture, the same answer as the command line.


@pytest.fixture
def picture(tmp_path: Path, rng: np.random.Generator) -> Path:
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 4), dtype=np.uint8), "RGBA")
    path = tmp_path / "alpha.png"
    coarse.resize((70, 50), Image.Resampling.BICUBIC).save(path)
    return path


def test_a_path_an_image_and_a_folder_get_the_answer_of_the_command_line(
    trained: snellen.TrainedRun, finished_run: Run, picture: Path
) -> None:
    (entry,) = predict_pictures(finished_run, [picture], top=3)
    expected = [(row["class"], row["probability"]) for row in entry["top"]]
    for given in (picture, str(picture), [picture], Image.open(picture), [Image.open(picture)], picture.parent):
        answers = trained.predict(given, device="cpu")
        assert answers.top(3) == [expected]
        assert answers.classes == [expected[0][0]]


def test_answers_say_which_pictures_are_unlike_those_of_the_training(own_run: Run, picture: Path) -> None:
    run, familiarity = snellen.open_run(own_run.folder), stored_familiarity(own_run)
    assert familiarity is not None
    (entry,) = predict_pictures(own_run, [picture])
    answers = run.predict(picture, device="cpu")
    assert answers.familiarity == (entry["familiarity"],)
    replace(familiarity, val=familiarity.val - 9).save(own_run)
    answers = run.predict(picture, device="cpu")
    assert answers.unfamiliar is not None
    assert answers.unfamiliar.tolist() == [True]
    for shown in (repr(answers), answers._repr_html_()):
        assert "unlike the training pictures: farther from them than all 30 val pictures" in shown
    (own_run.folder / FILE).unlink()
    answers = run.predict(picture, device="cpu")
    assert answers.unfamiliar is None
    assert "unlike" not in repr(answers)


def test_arrays_are_answered_as_they_are_and_others_are_made_to_fit(
    trained: snellen.TrainedRun, tiny_dataset: Dataset
) -> None:
    val = split(tiny_dataset).val
    assert val is not None
    answers = trained.predict(val.images, device="cpu")
    expected = trained.predictions().probabilities
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-6)
    assert (answers.predictions.labels == -1).all()
    assert trained.predict(val.images[0], device="cpu").classes == answers.classes[:1]
    assert trained.predict(val, device="cpu").classes == answers.classes
    larger = val.images[:2].repeat(2, axis=1).repeat(2, axis=2)
    assert trained.predict(larger, device="cpu").images.shape == (2, 32, 32, 3)
    assert trained.predict(val.images[0, :, :, 0], device="cpu").images.shape == (1, 32, 32, 3)


def test_views_are_averaged_where_asked_for(trained: snellen.TrainedRun, tiny_dataset: Dataset) -> None:
    val = split(tiny_dataset).val
    assert val is not None
    stored = trained.predictions().with_tta()
    np.testing.assert_allclose(
        trained.predict(val, tta=True, device="cpu").probabilities, stored.probabilities, atol=1e-6
    )


def test_what_is_no_picture_is_one_sentence(trained: snellen.TrainedRun, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"From \[0, 1\]: \(images \* 255\)"):
        trained.predict(np.zeros((2, 32, 32, 3)))
    with pytest.raises(DataError, match="There is no picture"):
        trained.predict([])
    with pytest.raises(DataError, match="There is no picture at"):
        trained.predict(tmp_path / "nowhere.png")
    with pytest.raises(RunError, match="There is no run at"):
        snellen.open_run(tmp_path / "nowhere")


def test_a_folders_unreadable_files_cost_no_answers_and_a_named_one_is_an_error(
    trained: snellen.TrainedRun, picture: Path
) -> None:
    (picture.parent / "broken.png").write_bytes(b"x")
    answers = trained.predict(picture.parent, device="cpu")
    assert answers.names == (picture.name,)
    assert "is not a picture" in answers.problems["broken.png"]
    assert "1 unreadable" in repr(answers)
    with pytest.raises(DataError, match="broken.png is not a picture"):
        trained.predict([picture, picture.parent / "broken.png"], device="cpu")


# Results show themselves.


def test_a_comparison_says_which_and_by_how_much(trained: snellen.TrainedRun) -> None:
    found = snellen.compare(trained, trained)
    assert (found.kind, found.rows[1].difference.value) == ("models", 0)  # type: ignore[union-attr]
    assert "McNemar" in repr(found)
    assert "McNemar" in found._repr_html_()
    assert repr(snellen.compare(trained.folder, str(trained.folder))) == repr(found)
    with pytest.raises(RunError, match="There is no run at nowhere"):
        snellen.compare("nowhere", "b")
    with pytest.raises(UsageError, match="at least two runs, got 1"):
        snellen.compare(trained)


def test_unsure_answers_are_rejected_as_by_the_command(own_run: Run, right_from: float, picture: Path) -> None:
    trained = snellen.open_run(own_run.folder)
    assert trained.predict(picture, device="cpu").rejected is None
    answers = trained.predict(picture, target_accuracy=0.99, device="cpu")
    assert answers.rule is not None
    assert answers.rule.threshold == right_from
    assert answers.rejected.tolist() == [answers.top(1)[0][0][1] < right_from]  # type: ignore[union-attr]
    assert ("rejected: not sure enough" in repr(answers)) == answers.rejected.all()  # type: ignore[union-attr]
    just = replace(answers.rule, threshold=answers.probabilities.max())
    assert replace(answers, rule=just).rejected.tolist() == [False]
    with pytest.raises(InvalidSetting, match="a fraction"):
        trained.predict(picture, target_accuracy=99, device="cpu")


def test_runs_are_listed_and_those_that_cannot_be_read_are_warned_of(own_run: Run) -> None:
    folder = own_run.folder.parent
    (one,) = snellen.list_runs(folder)
    assert (one["folder"], one["recipe"], one["status"]) == (own_run.folder, "tiny", "finished")
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text("{", encoding="utf-8")
    with pytest.warns(UserWarning, match="broken"):
        assert snellen.list_runs(str(folder)) == [one]
    with pytest.raises(RunError, match="There is no folder"):
        snellen.list_runs(folder / "nowhere")


def test_a_run_shows_its_accuracy_guards_and_curves(trained: snellen.TrainedRun) -> None:
    assert trained.accuracy is not None
    for text in (repr(trained), trained._repr_html_()):
        assert trained.accuracy.text(2) in text
    html = trained._repr_html_()
    assert "guards passed" in html
    assert "data:image/png;base64," in html


def test_answers_show_pictures_and_the_best_classes(trained: snellen.TrainedRun, picture: Path) -> None:
    answers = trained.predict(picture, device="cpu")
    name, value = answers.top(1)[0][0]
    assert repr(answers).startswith(f"alpha.png  {name} {100 * value:.1f} %")
    html = answers._repr_html_()
    assert html.count("data:image/png;base64,") == 1
    assert f"{100 * value:.1f} %" in html
    with pytest.raises(InvalidSetting, match="k=0 is not possible: 1 or more"):
        answers.top(0)


def test_grades_and_predictions_show_each_class_and_escape_its_name(trained: snellen.TrainedRun) -> None:
    html = trained.evaluate()._repr_html_()
    assert all(f">{name}<" in html for name in trained.class_names)
    stored = trained.predictions()
    assert repr(stored).startswith("<Predictions: 30 val images of eyechart, 10 classes, ")
    assert "and 20 more" in stored._repr_html_()
    hostile = Predictions(
        stored.logits, stored.labels, stored.ids, ("<script>", *stored.class_names[1:]), "val", data="<b>"
    )
    for shown in (hostile._repr_html_(), scorecard(hostile)._repr_html_()):
        assert "<script>" not in shown
        assert "<b>" not in shown
