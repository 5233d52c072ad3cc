from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.errors import InvalidSetting
from snellen.guards import model_guards
from snellen.guards.model_guards import (
    initial_loss,
    published_statistics,
    repeatable_evaluation,
    small_image_stem,
    untrained,
)
from snellen.models.catalog import ModelSpec, build, pixel_range
from snellen.models.normalized import Normalized
from snellen.models.resnet18 import ResNet18
from snellen.predict.predict import predict
from snellen.recipes.catalog import RECIPES


def fresh(name, images, **options):
    return build(
        ModelSpec(
            name, image_shape=images.image_shape, num_classes=10, mean=(0.5,) * 3, std=(0.25,) * 3, options=options
        ),
        seed=0,
    )


SMALL = {"widths": (8, 8, 16, 16)}


class Odd(nn.Module):
    """A network whose answers are moved, by `amount`, as `odd` says of the batch and of how often it was asked."""

    def __init__(self, model, odd, amount):
        super().__init__()
        self.model, self.odd, self.amount, self.asked = model, odd, amount, 0

    def forward(self, images):
        self.asked += 1
        return self.model(images) + self.amount * self.odd(images, self.asked)


class StubbornDropout(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return functional.dropout(self.model(images), 0.5, training=True)


def test_a_plain_model_answers_the_same_twice_and_is_left_in_its_mode(val):
    model = fresh("small_cnn", val, **SMALL).train()
    stored = predict(model, val)
    assert repeatable_evaluation(model, val, stored=stored).passed
    assert model.training


def test_how_far_answers_may_be_apart_is_a_hundredth_and_on_a_cpu_nothing_for_the_same_batch(val):
    model = fresh("small_cnn", val, **SMALL)
    answers = predict(model, val).logits[:32]
    largest = float(np.abs(answers).max())
    for share, sound in ((0.009, True), (0.011, False)):
        alone = Odd(model, lambda images, asked: len(images) == 1, share * largest)
        assert repeatable_evaluation(alone, val).passed is sound
        assert repeatable_evaluation(alone, val, bf16=True).passed  # a tenth
    result = repeatable_evaluation(Odd(model, lambda images, asked: len(images) == 1, 0.2 * largest), val, bf16=True)
    assert (result.passed, "An image alone and in a batch of 32" in result.evidence) == (False, True)
    result = repeatable_evaluation(Odd(model, lambda images, asked: asked, 1e-4 * largest), val)
    assert (result.passed, "The same 32 images asked twice" in result.evidence) == (False, True)


def test_the_guard_asks_a_few_pictures_and_as_the_grading_ran(val, monkeypatch):
    asked = []

    def spied(model, images, **how):
        asked.append((len(images), how["bf16"], how["finite"], how.get("batch_size")))
        return predict(model, images, **how)

    monkeypatch.setattr(model_guards, "predict", spied)
    model = fresh("small_cnn", val, **SMALL)
    for bf16 in (False, True):
        for count in (300, 3):
            repeatable_evaluation(model, val.take(np.arange(count), "val"), bf16=bf16)
    assert asked == [
        (min(most, count), bf16, False, size)
        for bf16 in (False, True) for count in (300, 3) for most, size in ((32, None), (32, None), (4, 1))
    ]  # fmt: skip


def test_answers_on_file_are_found_by_id_and_only_where_all_are_there(val):
    model = fresh("small_cnn", val, **SMALL)
    stored = predict(model, val)
    assert repeatable_evaluation(model, val, stored=stored.take(np.arange(len(val))[::-1])).evidence.endswith(
        "on file."
    )
    assert repeatable_evaluation(model, val, stored=stored.take(np.arange(31))).evidence.endswith("as in a batch.")
    largest = float(np.abs(stored.logits[:32]).max())
    for share, bf16, sound in ((0.009, False, True), (0.011, False, False), (0.09, True, True)):
        moved = replace(stored, logits=stored.logits + np.float32(share * largest))
        assert repeatable_evaluation(model, val, stored=moved, bf16=bf16).passed is sound


def test_dropout_that_ignores_eval_is_seen(val):
    result = repeatable_evaluation(StubbornDropout(fresh("small_cnn", val, **SMALL)), val)
    assert result.passed is False
    assert "model.eval()" in result.remedy


def test_batch_statistics_in_evaluation_are_seen(val):
    model = fresh("small_cnn", val, **SMALL)
    for name in ("bn1", "bn2", "bn3", "bn4"):
        own = getattr(model.net, name)
        setattr(model.net, name, nn.BatchNorm2d(own.num_features, track_running_stats=False))
    result = repeatable_evaluation(model, val)
    assert result.passed is False
    assert "track_running_stats" in result.remedy


def test_answers_on_file_to_augmented_images_are_seen(val):
    model = fresh("small_cnn", val, **SMALL)
    mirrored = replace(val, images=np.ascontiguousarray(val.images[:, :, ::-1]))
    result = repeatable_evaluation(model, val, stored=predict(model, mirrored))
    assert result.passed is False
    assert "on file" in result.evidence


def test_answers_on_file_to_other_images_are_not_compared(val, train):
    model = fresh("small_cnn", val, **SMALL)
    result = repeatable_evaluation(model, val, stored=predict(model, train.take(np.arange(5), "train")))
    assert result.passed
    assert "on file" not in result.evidence


def test_a_model_whose_answers_are_no_numbers_does_not_pass(val):
    model = fresh("small_cnn", val, **SMALL)
    with torch.no_grad():
        model.get_parameter("net.fc.bias").fill_(float("nan"))
    assert repeatable_evaluation(model, val).passed is False


@pytest.mark.parametrize("name", ["plain_cnn", "small_cnn", "sprint_net"])
def test_models_for_small_images_keep_their_positions(val, name):
    assert small_image_stem(fresh(name, val), val.image_shape).passed


def test_resnet18_keeps_positions_with_the_small_stem_and_loses_them_with_the_stock_one():
    widths = (4, 4, 8, 8)
    small = ResNet18((64, 64, 3), 10, widths=widths, stem="small", residual=True)
    stock = ResNet18((64, 64, 3), 10, widths=widths, stem="stock", residual=True)
    assert small_image_stem(small, (32, 32, 3)).passed
    result = small_image_stem(stock, (32, 32, 3))
    assert result.passed is False
    assert "32 px a side become 16, then 8, after the first convolutions and 1 in the end" in result.evidence
    assert "--set" not in result.remedy  # a network of somebody's own, and of another library, has no such field
    assert small_image_stem(stock, (64, 64, 3)).passed


@pytest.mark.parametrize(
    ("maps", "passed"),
    [
        ([32, 16, 4], True),
        ([16, 9, 2], True),
        ([32, 16, 1], False),
        ([16, 8, 8], False),
        ([16, 8, 1], False),
        ([9], True),
    ],
)
def test_both_an_early_map_and_the_last_one_must_be_large_enough(monkeypatch, maps, passed):
    rows = [SimpleNamespace(kind="Conv2d", output_shape=(4, side, side + 3)) for side in maps]
    others = [SimpleNamespace(kind="MaxPool2d", output_shape=(4, 1, 1))]
    monkeypatch.setattr(model_guards, "describe_layers", lambda model, image_shape: rows + others)
    assert small_image_stem(None, (32, 40, 3)).passed is passed
    assert small_image_stem(None, (64, 64, 3)).passed


def test_a_long_picture_is_judged_by_its_shorter_side():
    stock = ResNet18((64, 64, 3), 10, widths=(4, 4, 8, 8), stem="stock", residual=True)
    for shape in ((32, 96, 3), (96, 32, 3)):
        result = small_image_stem(stock, shape)
        assert result.passed is False
        assert result.evidence.startswith("32 px a side become 16, then 8")


def test_the_catalog_refuses_the_stock_stem_before_the_guard_could_find_it(val):
    with pytest.raises(InvalidSetting, match="stem='stock'"):
        fresh("resnet18", val, stem="stock")


def test_an_mlp_has_no_positions_to_lose(val):
    assert small_image_stem(fresh("mlp", val), val.image_shape).passed is None


@pytest.mark.parametrize("name", ["mlp", "plain", "small_cnn", "sprint", "glance"])
def test_every_small_recipe_starts_as_a_blind_guess(train, val, name):
    model = untrained(RECIPES[name], train, mean=[0.5] * 3, std=[0.28] * 3, seed=1)
    assert initial_loss(model, val).passed


def test_two_pictures_are_enough_for_the_first_loss_and_one_is_not(val):
    model = fresh("mlp", val)
    assert initial_loss(model, val.take(np.arange(2), "val")).passed
    assert initial_loss(model, val.take(np.arange(1), "val")).passed is None


@pytest.mark.parametrize(("off", "passed"), [(-0.6, False), (-0.4, True), (0.4, True), (0.6, False)])
def test_half_a_nat_from_a_blind_guess_is_let_pass(val, off, passed):
    class Told(nn.Module):
        def __init__(self):
            super().__init__()
            self.place = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            right = torch.from_numpy(val.labels[val.evenly(32)])
            share = torch.tensor(np.exp(-(np.log(10) + off)))  # the probability of the label, for that loss
            return functional.one_hot(right, 10) * (share / ((1 - share) / 9)).log()

    assert initial_loss(Told(), val).passed is passed


def test_a_last_layer_a_hundred_times_too_large_is_seen(val):
    model = fresh("small_cnn", val, **SMALL)
    with torch.no_grad():
        model.get_parameter("net.fc.weight").mul_(100)
    result = initial_loss(model, val)
    assert result.passed is False
    assert "ln 10 = 2.30" in result.evidence


def test_images_that_were_not_scaled_are_seen_where_nothing_normalises_inside(val):
    model = fresh("plain_cnn", val)
    model.normalize.std.div_(255 * 4)
    assert initial_loss(model, val).passed is False


def test_a_loss_that_is_no_number_is_no_blind_guess(val):
    model = fresh("small_cnn", val, **SMALL)
    with torch.no_grad():
        model.get_parameter("net.fc.bias").fill_(float("nan"))
    assert initial_loss(model, val).passed is False


@pytest.mark.parametrize(("which", "channel"), [("mean", 0), ("std", 2), (None, 0)])
def test_pretrained_weights_want_every_mean_and_std_that_they_were_made_with(which, channel):
    mean, std = (list(each) for each in pixel_range("efficientnet_lite0"))
    if which is not None:
        {"mean": mean, "std": std}[which][channel] += 2e-4
    found = published_statistics(SimpleNamespace(normalize=Normalized(mean, std)), "efficientnet_lite0")
    assert found.passed == (which is None)
    assert found.passed or found.severity == "error"
    unknown = published_statistics(SimpleNamespace(normalize=Normalized(mean, std)), "small_cnn")
    assert unknown.passed is None
