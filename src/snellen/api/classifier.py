"""A classifier with scikit-learn's manners, for `cross_val_score`, `GridSearchCV` and pipelines.

It trains as `snellen train --final` does, on every picture it is given, and keeps no run folder: splitting and grading
are the caller's here. For a run with grades, guards and a report, use `snellen.fit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.errors import DataError, TrainingDiverged, require_types
from snellen.models.device import default_settings
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.catalog import find_recipe
from snellen.recipes.json_form import with_values
from snellen.recipes.recipe import Recipe
from snellen.train.setup import prepare, require_start
from snellen.train.training import Training, train

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise ImportError("SnellenClassifier needs scikit-learn: pip install 'snellen[sklearn]'") from error


class SnellenClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Images in, classes out.

    Args:
        recipe: a recipe's name, or a `Recipe`.
        epochs: passes over the images; None leaves the recipe's own.
        settings: further fields of the recipe, such as {"optimizer.lr": 0.1, "batch_size": 128}.
        image_shape: (H, W, C) of the images; needed only where X is flat, (N, H*W*C).
        random_state: seed of initialisation, order and augmentation. The same one gives the same bits on the same CPU.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "fp32", "bf16", or "auto", which measures for a second in each `fit`.

    Attributes:
        classes_: (K,) the labels, sorted.
        model_: the trained network.
        recipe_: the recipe as it was used.
        image_shape_: (H, W, C).
    """

    def __init__(
        self,
        recipe: str | Recipe = "small_cnn",
        *,
        epochs: float | None = None,
        settings: Mapping[str, Any] | None = None,
        image_shape: tuple[int, int, int] | None = None,
        random_state: Any = 0,
        device: str = "auto",
        precision: str = "fp32",
    ) -> None:
        self.recipe = recipe
        self.epochs = epochs
        self.settings = settings
        self.image_shape = image_shape
        self.random_state = random_state
        self.device = device
        self.precision = precision

    @default_settings()
    def fit(self, X: Any, y: Any) -> SnellenClassifier:
        """Train on all of X.

        Args:
            X: (N, H, W, C) or (N, H, W), uint8; or flat (N, H*W*C) with `image_shape`. Whole numbers from 0 to 255 in
                another type will do.
            y: (N,) labels of any kind.

        Raises:
            ValueError: shapes, types or values that are no images, or fewer than two classes.
            TrainingDiverged: the weights became NaN or infinite.
        """
        require_types(self)
        images = self._images(X, reset=True)
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        if len(labels) != len(images):
            raise ValueError(f"X has {len(images)} images and y {len(labels)} labels.")
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class only ({self.classes_[0]!r}); a choice needs at least 2 classes.")
        self.image_shape_ = images.shape[1:]
        self.recipe_ = self._recipe()
        require_start(self.recipe_)
        dataset = Dataset("arrays", self._labeled(images, numbers, "all"), test=None, source="arrays in memory")
        try:
            setup = prepare(
                self.recipe_, dataset, seed=self._seed(), final=True, device=self.device, precision=self.precision
            )
        except DataError as error:  # scikit-learn's callers expect a ValueError of data
            raise ValueError(str(error)) from error
        too_fast = TrainingDiverged("The weights became NaN or infinite. Lower the rate: settings={'optimizer.lr': …}")
        try:
            self.model_ = train(Training(setup)).graded.eval()
        except TrainingDiverged as error:
            raise too_fast from error
        if not all(bool(torch.isfinite(value).all()) for value in self.model_.state_dict().values()):
            raise too_fast
        self._bf16 = setup.compute.bf16
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """(N,) the most probable class of each image, plain, one view."""
        found = self._answers(X).predicted
        return np.asarray(self.classes_[found])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(N, K) float64, in the order of `classes_`."""
        return self._answers(X).probabilities

    @default_settings()
    def _answers(self, X: Any) -> Predictions:
        check_is_fitted(self)
        images = self._images(X, reset=False)
        if images.shape[1:] != self.image_shape_:
            raise ValueError(f"X has images of shape {images.shape[1:]}, but fit saw {self.image_shape_}.")
        unknown = np.zeros(len(images), dtype=np.int64)
        return predict(self.model_, self._labeled(images, unknown, "new"), bf16=self._bf16)

    def _images(self, X: Any, *, reset: bool) -> NDArray[np.uint8]:
        """X as (N, H, W, C) uint8."""
        if getattr(X, "ndim", 2) == 2:
            X = validate_data(self, X, reset=reset, dtype="numeric", ensure_min_samples=1)
            X = _shaped(X, self.image_shape)
        pixels = np.asarray(X)
        pixels = pixels[..., None] if pixels.ndim == 3 else pixels
        if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or len(pixels) == 0:
            raise ValueError(f"X must hold images, (N, H, W, C) with 1 or 3 channels or (N, H, W); got {pixels.shape}.")
        if pixels.dtype == np.uint8:
            return np.ascontiguousarray(pixels)
        if not np.isrealobj(pixels) or not bool(((pixels >= 0) & (pixels <= 255) & (pixels % 1 == 0)).all()):
            raise ValueError(
                f"X ({pixels.dtype}) must hold whole numbers from 0 to 255. "
                "From [0, 1]: (X * 255).round().astype('uint8')."
            )
        return np.ascontiguousarray(pixels, dtype=np.uint8)

    def _labeled(self, images: NDArray[np.uint8], numbers: NDArray[np.int64], role: Any) -> LabeledImages:
        ids = np.arange(len(images), dtype=np.int64)
        names = tuple(map(str, self.classes_))
        return LabeledImages(images, numbers.astype(np.int64), names, ids, role, "arrays")

    def _recipe(self) -> Recipe:
        recipe = find_recipe(self.recipe) if isinstance(self.recipe, str) else self.recipe
        epochs = {} if self.epochs is None else {"epochs": self.epochs}
        return with_values(recipe, {**(self.settings or {}), **epochs})

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))


def _shaped(X: NDArray[Any], image_shape: tuple[int, int, int] | None) -> NDArray[Any]:
    if image_shape is None:
        raise ValueError(f"X is flat, {X.shape}: say which images it holds, image_shape=(H, W, C).")
    if X.shape[1] != np.prod(image_shape):
        raise ValueError(f"X has {X.shape[1]} features, but image_shape={image_shape} makes {np.prod(image_shape)}.")
    return X.reshape(-1, *image_shape)
