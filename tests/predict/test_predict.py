"""Predictions: every image once, nothing learnt, nothing random; and the test-time views, their windows and weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from snellen.augment.batched import to_float
from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.errors import RunError
from snellen.models.catalog import ModelSpec, build
from snellen.models.normalized import Classifier, Normalized
from snellen.predict.predict import evaluating, images_at_once, predict, views
from snellen.recipes.recipe import TTA

TTAS: tuple[TTA, ...] = ("none", "flip", "shift", "ten_crop")


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return build(
        ModelSpec(
            "small_cnn",
            image_shape=(32, 32, 3),
            num_classes=10,
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            options={"widths": (4, 4, 8, 8)},
        ),
        seed=0,
    ).eval()


@pytest.fixture(scope="module")
def pictures(tiny_dataset: Dataset) -> LabeledImages:
    return tiny_dataset.train.take(np.arange(70, dtype=np.int64)[::-1], "val")


def test_each_image_is_answered_once_in_its_own_row(model: nn.Module, pictures: LabeledImages) -> None:
    answers = predict(model, pictures, batch_size=16)
    with torch.inference_mode():
        one_by_one = [model(to_float(torch.from_numpy(image[None])))[0].numpy() for image in pictures.images]
    np.testing.assert_allclose(answers.logits, np.stack(one_by_one), atol=1e-5)
    np.testing.assert_array_equal(answers.ids, pictures.ids)
    np.testing.assert_array_equal(answers.labels, pictures.labels)
    assert (answers.class_names, answers.split, answers.data) == (pictures.class_names, "val", "eyechart")
    assert (answers.tta, answers.tta_logits) == ("none", None)


def test_the_model_answers_in_its_fast_form_and_stays_as_it_is(model: nn.Module, pictures: LabeledImages) -> None:
    heard: list[str] = []
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_hook(lambda *_: heard.append("norm")) for norm in norms]
    hooks.append(model.net.get_submodule("fc").register_forward_pre_hook(lambda *_: heard.append("last")))
    predict(model, pictures, batch_size=70)
    for hook in hooks:
        hook.remove()
    assert heard == ["last"]  # norms are folded away; what listens to other layers still hears them
    assert norms == [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


class Forked(nn.Module):
    """A network that no graph can stand for: its way depends on what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3 * 32 * 32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(x.flatten(1))
        return logits if logits.sum() > 1e9 else -logits


def test_a_network_that_cannot_be_traced_answers_all_the_same(pictures: LabeledImages) -> None:
    model = Classifier(Normalized([0.5] * 3, [0.25] * 3), Forked()).eval()
    with torch.inference_mode():
        wanted = model(to_float(torch.from_numpy(pictures.images))).numpy()
    np.testing.assert_allclose(predict(model, pictures).logits, wanted, atol=1e-5)


@pytest.mark.parametrize("tta", TTAS)
def test_the_batch_size_does_not_matter_beyond_rounding(model: nn.Module, pictures: LabeledImages, tta: TTA) -> None:
    whole = predict(model, pictures, tta=tta, batch_size=500)
    for size in (1, 23, 70):
        other = predict(model, pictures, tta=tta, batch_size=size)
        np.testing.assert_allclose(other.logits, whole.logits, atol=1e-5)
        np.testing.assert_allclose(other.with_tta().logits, whole.with_tta().logits, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "count"),
    [((32, 32, 3), 500), ((16, 16, 3), 500), ((64, 64, 1), 125), ((64, 32, 3), 250), ((32, 64, 3), 250),
     ((800, 800, 3), 1)],
)  # fmt: skip
def test_of_large_pictures_fewer_are_answered_at_once_and_always_one(shape: tuple[int, ...], count: int) -> None:
    assert images_at_once(shape) == count


def test_no_picture_has_no_answer(model: nn.Module, pictures: LabeledImages) -> None:
    none = predict(model, pictures.take(np.arange(0), "val"), tta="flip")
    assert (none.logits.shape, none.with_tta().logits.shape) == ((0, 10), (0, 10))


def test_asking_twice_gives_the_same_bits(model: nn.Module, pictures: LabeledImages) -> None:
    first, second = (predict(model, pictures, tta="shift") for _ in range(2))
    np.testing.assert_array_equal(first.logits, second.logits)
    np.testing.assert_array_equal(first.with_tta().logits, second.with_tta().logits)


@pytest.mark.parametrize("tta", TTAS[1:])
def test_the_views_are_averaged_by_their_weights_beside_the_plain_answer(
    model: nn.Module, pictures: LabeledImages, tta: TTA
) -> None:
    answers = predict(model, pictures, tta=tta)
    images = to_float(torch.from_numpy(pictures.images))
    with torch.inference_mode():
        by_hand = sum(weight * model(view) for weight, view in views(images, tta))
    assert answers.tta_logits is not None
    np.testing.assert_allclose(answers.tta_logits, np.asarray(by_hand), atol=1e-5)
    np.testing.assert_array_equal(answers.logits, predict(model, pictures).logits)


def test_only_the_least_confident_get_the_further_views(model: nn.Module, pictures: LabeledImages) -> None:
    every, some = (predict(model, pictures, tta="flip", tta_fraction=share) for share in (1.0, 0.25))
    confidence = some.probabilities.max(axis=1)
    unsure = np.argsort(confidence, kind="stable")[:18]  # a quarter of 70, rounded up
    sure = np.setdiff1d(np.arange(70), unsure)
    assert some.tta_logits is not None
    assert every.tta_logits is not None
    np.testing.assert_array_equal(some.tta_logits[sure], some.logits[sure])
    np.testing.assert_allclose(some.tta_logits[unsure], every.tta_logits[unsure], atol=1e-5)
    assert (some.tta_logits[unsure] != some.logits[unsure]).any(axis=1).all()


def test_the_further_views_cost_only_the_unsure_images(pictures: LabeledImages) -> None:
    counted = []

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(1, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            counted.append(len(images))
            return self.head(images.mean(dim=(1, 2, 3))[:, None])

    predict(Counting(), pictures, tta="ten_crop", tta_fraction=0.1)
    assert sum(counted) == 70 + 7 * 9  # the first view is the plain one


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_asked_in_eval_mode_learns_nothing_and_keeps_its_mode(
    model: nn.Module, pictures: LabeledImages, training: bool
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluated = predict(model.eval(), pictures).logits
    answers = predict(model.train(training), pictures)
    np.testing.assert_array_equal(answers.logits, evaluated)
    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    model.eval()


def test_the_mode_comes_back_also_after_an_error(model: nn.Module) -> None:
    model.train()
    with pytest.raises(ZeroDivisionError), evaluating(model):
        assert not model.training
        raise ZeroDivisionError
    assert model.training
    model.eval()


def test_in_bf16_the_answers_are_close_and_still_float32(model: nn.Module, pictures: LabeledImages) -> None:
    exact, rough = predict(model, pictures), predict(model, pictures, bf16=True)
    assert rough.logits.dtype == np.float32
    assert 0 < np.abs(rough.logits - exact.logits).max() < 0.05


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_answers_that_are_no_numbers_are_refused_and_only_a_training_takes_them(
    pictures: LabeledImages, value: float
) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(images), 10)
            logits[::2, 3] = value
            return logits

    with pytest.raises(RunError, match="answers to 35 of 70 images are no finite numbers"):
        predict(Broken(), pictures, tta="flip")
    assert not np.isfinite(predict(Broken(), pictures, finite=False).logits).all()


def test_an_average_that_is_no_number_is_refused_also_where_the_plain_answer_is_one(pictures: LabeledImages) -> None:
    class BrokenLater(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.asked = nn.Parameter(torch.zeros(1)), 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.asked += 1
            return torch.full((len(images), 10), 0.0 if self.asked == 1 else float("nan"))

    with pytest.raises(RunError, match="answers to 70 of 70 images are no finite numbers"):
        predict(BrokenLater(), pictures, tta="flip")
    taken = predict(BrokenLater(), pictures, tta="flip", finite=False)
    assert (np.isfinite(taken.logits).all(), np.isnan(taken.with_tta().logits).all()) == (True, True)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(0))


def window(images: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """The images moved by so many pixels, reflected at the edge. Written one index at a time."""
    height, width = images.shape[-2:]

    def reflected(at: int, side: int) -> int:
        return -at if at < 0 else 2 * (side - 1) - at if at >= side else at

    rows = [reflected(at + down, height) for at in range(height)]
    columns = [reflected(at + right, width) for at in range(width)]
    return images[:, :, rows][:, :, :, columns]


@pytest.mark.parametrize("tta", TTAS)
def test_weights_sum_to_one_and_there_are_as_many_views_as_stated(images: torch.Tensor, tta: TTA) -> None:
    weights = [weight for weight, _ in views(images, tta)]
    assert sum(weights) == pytest.approx(1.0, abs=1e-12)
    assert len(weights) == {"none": 1, "flip": 2, "shift": 6, "ten_crop": 10}[tta]


@pytest.mark.parametrize("tta", TTAS)
def test_the_first_view_is_the_plain_image_and_none_changes_its_shape(images: torch.Tensor, tta: TTA) -> None:
    seen = [view for _, view in views(images, tta)]
    assert torch.equal(seen[0], images)
    assert {view.shape for view in seen} == {images.shape}


@pytest.mark.parametrize("tta", TTAS[1:])
def test_every_window_comes_with_its_mirror_image_at_the_same_weight(images: torch.Tensor, tta: TTA) -> None:
    seen = list(views(images, tta))
    for (weight, view), (mirrored_weight, mirrored) in zip(seen[::2], seen[1::2], strict=True):
        assert weight == mirrored_weight
        assert torch.equal(mirrored, view.flip(-1))


def test_shift_is_half_the_image_and_a_quarter_for_each_step_along_the_diagonal(images: torch.Tensor) -> None:
    expected = [(0.25, window(images, 0, 0)), (0.125, window(images, -1, -1)), (0.125, window(images, 1, 1))]
    for (weight, view), (wanted, picture) in zip(list(views(images, "shift"))[::2], expected, strict=True):
        assert weight == wanted
        assert torch.equal(view, picture)


def test_ten_crop_is_the_middle_and_four_corners_of_the_padded_image(images: torch.Tensor) -> None:
    moves = [(0, 0), (-4, -4), (-4, 4), (4, -4), (4, 4)]
    for (weight, view), move in zip(list(views(images, "ten_crop"))[::2], moves, strict=True):
        assert weight == 0.1
        assert torch.equal(view, window(images, *move))


@pytest.mark.parametrize("tta", TTAS)
def test_the_same_views_every_time(images: torch.Tensor, tta: TTA) -> None:
    torch.manual_seed(1)
    first = [view for _, view in views(images, tta)]
    torch.manual_seed(2)
    np.random.seed(2)
    assert all(torch.equal(a, b) for a, (_, b) in zip(first, views(images, tta), strict=True))
