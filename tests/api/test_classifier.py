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
from snellen.recipes.recipe import SGD, Recipe

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
    with pytest.raises(InvalidSetting, match="begins with weights of your own, and none are named"):
        quick(recipe="finetune").fit(X, Y)
    with pytest.raises(InvalidSetting, match="settings=3 is not possible: named values or None"):
        quick(settings=3).fit(X, Y)
    with pytest.raises(InvalidSetting, match="device=3 is not possible: text"):
        quick(device=3).fit(X, Y)


def test_pictures_of_another_size_than_in_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="but fit saw"):
        quick().fit(X, Y).predict(X[:, :20, :20])


class OfFeatures(snellen.SnellenClassifier):
    """scikit-learn's checks hold tables of a few floats, which are no images: here a row becomes a grey picture.

    Everything else is `SnellenClassifier`: labels, seeds, copies, order and number of rows, messages.
    """

    def _images(self, X: Any, *, reset: bool) -> NDArray[np.uint8]:
        table = validate_data(self, X, reset=reset, dtype=np.float64)
        bright = 127.5 * (1 + np.sin(table / 2))  # any range of floats shows as light and dark
        at = np.arange(16 * 16) * table.shape[1] // (16 * 16)
        return np.round(bright[:, at]).astype(np.uint8).reshape(-1, 16, 16, 1)


ROUNDS_BY_BATCH = {
    "check_methods_subset_invariance": "float32 products round their last bits by the size of the batch; it wants 1e-7"
}


@pytest.mark.slow
def test_it_passes_all_of_scikit_learns_checks_when_their_tables_are_made_pictures() -> None:
    recipe = QUICK.replace(epochs=20, batch_size=8, optimizer=SGD(lr=0.05, momentum=0.9))
    assert failures(OfFeatures(recipe, device="cpu"), ROUNDS_BY_BATCH) == {}


FITS_A_TABLE = "it fits a table of a few floats, which holds no images; the test before makes pictures of it"
EXPECTED_FAILED_CHECKS = dict.fromkeys(
    (
        "check_classifier_data_not_an_array",
        "check_classifiers_classes",
        "check_classifiers_one_label",
        "check_classifiers_regression_target",
        "check_classifiers_train",
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_dtype_object",
        "check_estimators_dtypes",
        "check_estimators_fit_returns_self",
        "check_estimators_nan_inf",
        "check_estimators_overwrite_params",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_fit2d_1feature",
        "check_fit2d_1sample",
        "check_fit2d_predict1d",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_fit_score_takes_y",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_pipeline_consistency",
        "check_positive_only_tag_during_fit",
        "check_readonly_memmap_input",
        "check_requires_y_none",
        "check_supervised_y_2d",
    ),
    FITS_A_TABLE,
)


def test_as_it_is_it_fails_those_checks_only_that_fit_a_table() -> None:
    assert failures(quick(), EXPECTED_FAILED_CHECKS) == {}
    assert set(failures(quick())) == set(EXPECTED_FAILED_CHECKS)


def failures(estimator: snellen.SnellenClassifier, expected: dict[str, str] | None = None) -> dict[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # checks provoke warnings to see what becomes of them
        results = check_estimator(estimator, on_fail=None, on_skip=None, expected_failed_checks=expected)
    return {one["check_name"]: str(one["exception"]) for one in results if one["status"] == "failed"}
