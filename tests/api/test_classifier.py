"""`SnellenClassifier` has scikit-learn's manners."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

import snellen
from snellen.data.eyechart import make_eyechart
from snellen.errors import InvalidSetting, UnknownName
from snellen.recipes.recipe import SGD, Augment, Recipe

LETTERS = make_eyechart(train=200, test=0).train
X, Y = LETTERS.images, np.array(LETTERS.class_names)[LETTERS.labels]
QUICK = Recipe(name="quick", model="mlp", widths=(16,), epochs=2, batch_size=32, optimizer=SGD(lr=0.05), tta="none")


def quick(**changes: Any) -> snellen.SnellenClassifier:
    return snellen.SnellenClassifier(**{"recipe": QUICK, "device": "cpu", **changes})


def test_it_learns_and_answers_with_the_labels_it_was_given() -> None:
    model = quick(epochs=30).fit(X, Y)
    assert model.score(X, Y) > 0.5
    assert set(model.predict(X[:50])) <= set("CDHKNORSVZ")
    np.testing.assert_allclose(model.predict_proba(X[:5]).sum(axis=1), 1)
    assert list(model.classes_) == sorted("CDHKNORSVZ")


def test_it_works_in_cross_val_score_and_grid_search() -> None:
    scores = cross_val_score(quick(), X, Y, cv=2)
    assert scores.shape == (2,)
    search = GridSearchCV(quick(), {"epochs": [1, 2]}, cv=2).fit(X, Y)
    assert search.best_params_["epochs"] in (1, 2)


def test_a_clone_trained_alike_answers_alike_to_the_bit() -> None:
    model = quick(settings={"optimizer.lr": 0.1}, random_state=3)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    first, second = (one.fit(X, Y).predict_proba(X) for one in (model, copy))
    assert first.tobytes() == second.tobytes()
    other = clone(model).set_params(random_state=4).fit(X, Y).predict_proba(X)
    assert other.tobytes() != first.tobytes()


def test_flat_grey_and_float_images_are_the_same_images() -> None:
    grey = np.ascontiguousarray(X[..., :1])
    expected = quick().fit(grey, Y).predict_proba(grey)
    flat = grey.reshape(len(grey), -1)
    for given in (flat, flat.astype(np.float64)):
        model = quick(image_shape=(32, 32, 1)).fit(given, Y)
        assert model.n_features_in_ == 1024
        np.testing.assert_array_equal(model.predict_proba(given), expected)
    np.testing.assert_array_equal(quick().fit(grey[..., 0], Y).predict_proba(grey[..., 0]), expected)


@pytest.mark.parametrize(
    ("images", "labels", "changes", "words"),
    [
        (X / 255, Y, {}, r"whole numbers from 0 to 255. From \[0, 1\]"),
        (X.reshape(len(X), -1), Y, {}, r"say which images it holds, image_shape="),
        (X.reshape(len(X), -1), Y, {"image_shape": (32, 32, 1)}, "X has 3072 features, but image_shape="),
        (X.transpose(0, 3, 1, 2), Y, {}, r"\(N, H, W, C\) with 1 or 3 channels"),
        (X, Y[:-1], {}, "200 images and y 199 labels"),
        (X, np.full(len(X), "C"), {}, "one class only"),
        (X[:, :8, :8], Y, {}, "too small for mlp"),
        (np.zeros_like(X), Y, {}, "one and the same value"),
    ],
)
def test_what_is_no_image_is_a_value_error_in_one_sentence(
    images: NDArray[Any], labels: NDArray[Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        quick(**changes).fit(images, labels)


def test_settings_and_recipes_that_do_not_exist_are_named() -> None:
    with pytest.raises(InvalidSetting, match="Did you mean"):
        quick(settings={"epoch": 3}).fit(X, Y)
    with pytest.raises(UnknownName):
        quick(recipe="no such").fit(X, Y)


def test_pictures_of_another_size_than_in_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="but fit saw"):
        quick().fit(X, Y).predict(X[:, :20, :20])


class OfFeatures(snellen.SnellenClassifier):
    """scikit-learn's checks hold tables of a few floats, which are no images: here a row becomes a grey picture.

    Everything else is `SnellenClassifier`: labels, seeds, copies, order and number of rows, messages.
    """

    def _images(self, X: Any, *, reset: bool) -> NDArray[np.uint8]:
        table = validate_data(self, X, reset=reset, dtype=np.float64)
        bright = 255 / (1 + np.exp(-np.clip(table, -30, 30) / 2))
        at = np.arange(16 * 16) * table.shape[1] // (16 * 16)
        return np.round(bright[:, at]).astype(np.uint8).reshape(-1, 16, 16, 1)


EXPECTED_FAILURES = {
    "check_readonly_memmap_input": "",
}


@pytest.mark.slow
def test_it_passes_scikit_learns_checks() -> None:
    recipe = QUICK.replace(epochs=20, batch_size=8, augment=Augment(), optimizer=SGD(lr=0.05, momentum=0.9))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            OfFeatures(recipe, device="cpu"), on_fail=None, on_skip=None, expected_failed_checks=EXPECTED_FAILURES
        )
    failed = {one["check_name"]: str(one["exception"]) for one in results if one["status"] == "failed"}
    for one in results:
        print(one["check_name"], one["status"], str(one["exception"])[:300])
    assert failed == {}
