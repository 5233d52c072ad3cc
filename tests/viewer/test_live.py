"""The answers themselves: equal to the evaluation's, to the report's, and to each other."""

from __future__ import annotations

import copy
import dataclasses
import io
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, RunError
from snellen.inspect.feature_space import nearest
from snellen.predict.predict import predict
from snellen.viewer.live import Loaded, answer, explain


def as_png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_of_the_data_set_gets_the_answer_it_gets_in_the_data_set(
    loaded: Loaded, tiny_dataset: Dataset
) -> None:
    few = tiny_dataset.train.take(np.arange(6), "all")
    expected = predict(loaded.model, few).probabilities
    for pixels, row in zip(few.images, expected, strict=True):
        top = answer(loaded, as_png(pixels))["top"]
        assert [name for name, _ in top] == np.argsort(-row, kind="stable")[:5].tolist()
        assert [share for _, share in top] == pytest.approx(sorted(row, reverse=True)[:5], abs=1e-6)


def test_a_picture_unlike_those_of_the_training_is_called_so(loaded: Loaded, tiny_dataset: Dataset) -> None:
    content, familiar = as_png(tiny_dataset.train.images[0]), loaded.familiarity
    assert familiar is not None
    assert answer(loaded, content)["unlike"] == ""
    strict = replace(loaded, familiarity=replace(familiar, val=familiar.val - 9))
    assert answer(strict, content)["unlike"].endswith("farther from them than all 30 val pictures")
    assert answer(replace(loaded, familiarity=None), content)["unlike"] is None


def test_the_small_picture_is_to_the_pixel_what_the_network_got(loaded: Loaded, tiny_dataset: Dataset) -> None:
    pixels = tiny_dataset.train.images[3]
    small = Image.open(io.BytesIO(b64decode(answer(loaded, as_png(pixels))["input"]["data"])))
    np.testing.assert_array_equal(np.asarray(small), pixels)


@pytest.mark.parametrize(
    ("fit", "square"), [("crop", [1 / 3, 0, 2 / 3, 1]), ("pad", [0, -1, 1, 2]), ("squash", [0, 0, 1, 1])]
)
def test_the_square_is_named_in_fractions_of_the_picture(loaded: Loaded, fit: str, square: list[float]) -> None:
    wide = as_png(np.zeros((40, 120, 3), dtype=np.uint8))
    assert answer(loaded, wide, fit)["square"] == pytest.approx(square)  # type: ignore[arg-type]


def test_a_large_picture_is_shown_smaller_and_a_small_one_as_it_is(loaded: Loaded) -> None:
    large = answer(loaded, as_png(np.zeros((600, 1200, 3), dtype=np.uint8)))
    assert large["shown"]["tile"] == [240, 480]
    assert large["picture"]["size"] == [1200, 600]
    assert answer(loaded, as_png(np.zeros((7, 9, 3), dtype=np.uint8)))["shown"]["tile"] == [7, 9]


def test_a_training_picture_is_its_own_nearest_neighbour(loaded: Loaded) -> None:
    row = 5
    seen = explain(loaded, as_png(loaded.learned.images[row]))
    for space, near in enumerate(seen["neighbours"]):
        assert near[0][1] == loaded.learned.labels[row], space
        assert near[0][2] == pytest.approx(1.0, abs=1e-3)
    rows, _ = nearest(loaded.features.last[[row]], loaded.features.last, count=5)
    assert [label for _, label, _ in seen["neighbours"][-1]] == loaded.learned.labels[rows[0]].tolist()


def test_maps_are_for_the_answer_and_the_runner_up_at_each_depth(loaded: Loaded, tiny_dataset: Dataset) -> None:
    content = as_png(tiny_dataset.train.images[0])
    seen, top = explain(loaded, content), answer(loaded, content)["top"]
    assert [cam["class"] for cam in seen["cams"]] == [name for name, _ in top[:2]]
    assert [layer["key"] for layer in seen["layers"]] == ["early", "middle", "late"]
    for cam in seen["cams"]:
        assert [each["shape"] for each in cam["maps"]] == [layer["map"] for layer in seen["layers"]]


def test_questions_asked_at_once_get_the_answers_they_get_alone(loaded: Loaded, tiny_dataset: Dataset) -> None:
    pictures = [as_png(pixels) for pixels in tiny_dataset.train.images[:12]]
    alone = [(answer(loaded, each), explain(loaded, each)) for each in pictures]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda each: answer(loaded, each), pictures * 2))
        seen = list(pool.map(lambda each: explain(loaded, each), pictures * 2))
    assert answers == [each for each, _ in alone] * 2
    assert seen == [each for _, each in alone] * 2


def test_a_picture_of_another_size_is_not_explained(loaded: Loaded) -> None:
    with pytest.raises(InvalidSetting, match="33x32 pixels; the network takes 32x32"):
        explain(loaded, as_png(np.zeros((32, 33, 3), dtype=np.uint8)))


def test_an_answer_that_is_no_number_is_a_sentence_and_no_answer(loaded: Loaded, tiny_dataset: Dataset) -> None:
    model = copy.deepcopy(loaded.model)
    with torch.no_grad():
        for parameter in model.net.parameters():
            parameter.fill_(3e38)  # finite, as weights from anywhere may be; what comes of them is not
    damaged = dataclasses.replace(loaded, model=model)
    with pytest.raises(RunError, match="its weights are damaged"):
        answer(damaged, as_png(tiny_dataset.train.images[0]))
