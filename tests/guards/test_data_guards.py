from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snellen.data.arrays import from_arrays
from snellen.data.cifar10 import read
from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.data.pixel_statistics import measure
from snellen.data.splits import split
from snellen.guards import data_guards
from snellen.guards.copies import find_copies
from snellen.guards.data_guards import (
    class_balance,
    labels_match_images,
    pixel_order,
    pixel_statistics,
)
from snellen.guards.duplicates import exact_duplicates


def scrambled(images):
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(images.shape)


def grey(images):
    return np.repeat(images.mean(axis=3, keepdims=True).astype(np.uint8), 3, axis=3)


def test_letters_as_they_are_have_their_pixels_in_order(train):
    assert pixel_order(train).passed
    assert pixel_order(replace(train, images=grey(train.images))).passed
    assert pixel_order(replace(train, images=train.images[..., :1])).passed


@pytest.mark.parametrize(("side", "looked_at"), [(4, 10), (8, 10), (12, 4), (32, 3)])
def test_of_large_pictures_fewer_are_looked_at_down_to_a_least_number(train, monkeypatch, side, looked_at):
    asked, evenly = [], LabeledImages.evenly
    monkeypatch.setattr(LabeledImages, "evenly", lambda self, count: (asked.append(count), evenly(self, count))[1])
    for name, value in (("_SAMPLE", 10), ("_LEAST_SAMPLE", 3), ("_SAMPLE_PIXELS", 10 * 8 * 8)):
        monkeypatch.setattr(data_guards, name, value)
    pixel_order(replace(train, images=np.ascontiguousarray(train.images[:, :side, :side])))
    assert asked == [looked_at]


def test_of_pictures_of_32_px_a_thousand_are_looked_at(train, monkeypatch):
    asked, evenly = [], LabeledImages.evenly
    monkeypatch.setattr(LabeledImages, "evenly", lambda self, count: (asked.append(count), evenly(self, 10))[1])
    pixel_order(train)
    assert asked == [1_000]


def test_blank_pictures_are_in_no_wrong_order(train):
    assert pixel_order(replace(train, images=np.full_like(train.images, 7))).passed


def test_pictures_of_one_column_are_judged_along_it(train):
    assert pixel_order(replace(train, images=np.ascontiguousarray(train.images[:, :, 9:10]))).passed


@pytest.mark.parametrize("colour", [lambda images: images, grey])
def test_channels_first_bytes_that_were_reshaped_are_seen_and_the_remedy_undoes_it(train, colour):
    wrong = scrambled(colour(train.images))
    result = pixel_order(replace(train, images=wrong))
    assert result.passed is False
    assert "transpose(0, 2, 3, 1)" in result.remedy
    mended = wrong.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(mended, colour(train.images))


def test_shuffled_pixels_and_noise_are_seen(train, rng):
    order = rng.permutation(32 * 32)
    shuffled = train.images.reshape(-1, 32 * 32, 3)[:, order].reshape(train.images.shape)
    assert pixel_order(replace(train, images=shuffled)).passed is False
    noise = rng.integers(0, 256, train.images.shape, dtype=np.uint8)
    assert pixel_order(replace(train, images=noise)).passed is False


def test_equal_classes_are_balanced_and_a_rare_one_is_not(train):
    assert class_balance(train).passed
    rare = train.take(np.flatnonzero((train.labels != 3) | (np.arange(len(train)) % 5 == 0)), "train")
    result = class_balance(rare)
    assert result.passed is False
    assert repr(train.class_names[3]) in result.evidence
    assert f"is right for {100 * rare.counts.max() / len(rare):.1f} %" in result.evidence
    assert "--per-class" in result.remedy


@pytest.mark.parametrize(
    ("counts", "passed"), [((30, 10), True), ((31, 10), False), ((10, 30), True), ((10, 31), False)]
)
def test_three_times_the_smallest_class_is_balanced_and_one_picture_more_is_not(counts, passed):
    images = np.zeros((sum(counts), 1, 1, 1), dtype=np.uint8)
    assert class_balance(from_arrays(images, np.repeat([0, 1], counts)).train).passed is passed


def test_the_label_asked_for_is_that_of_the_picture_most_alike(train, rng):
    motifs = rng.integers(60, 196, (train.num_classes, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
    alike = motifs[train.labels] + rng.integers(-5, 6, (len(train), 32, 32, 3))
    result = labels_match_images(replace(train, images=alike.astype(np.uint8)))
    assert result.passed
    assert "has the same label for 100.0 %" in result.evidence


def test_as_many_pictures_are_compared_and_asked_about_as_is_said(train, monkeypatch):
    monkeypatch.setattr(data_guards, "_QUERIES", 50)
    monkeypatch.setattr(data_guards, "_REFERENCES", 150)
    monkeypatch.setattr(data_guards, "_FEWEST", 50)
    evidence = labels_match_images(train).evidence
    assert evidence.startswith("The nearest of 200 pictures has the same label for ")
    assert " % of 50 (chance" in evidence


@pytest.mark.parametrize(("share", "passed"), [(0.5, False), (0.53, False), (0.55, None), (0.57, None), (0.6, True)])
def test_agreement_is_held_against_the_spread_of_chance(rng, share, passed):
    """Of 300 twins in two equal classes a share has one label each: the spread of chance is 0.0204."""
    twins, alike = rng.integers(0, 256, (300, 8, 8, 3), dtype=np.uint8).repeat(2, axis=0), round(300 * share / 2) * 2
    labels = np.stack([np.arange(300) % 2] * 2, axis=1)
    labels[alike:] = (0, 1)
    result = labels_match_images(from_arrays(twins, labels.reshape(-1)).train)
    assert f"{100 * alike / 300:.1f} % of 600 (chance: 50.0 %)" in result.evidence
    assert result.passed is passed


def test_a_class_without_images_is_no_division_by_zero(train):
    assert class_balance(train.take(np.flatnonzero(train.labels != 3), "train")).passed is False


def test_true_labels_match_their_images_and_shuffled_ones_do_not(train, rng):
    assert labels_match_images(train).passed
    assert labels_match_images(replace(train, labels=rng.permutation(train.labels))).passed is False
    mixed = train.take(rng.permutation(len(train)), "train")  # in turn, a shift would give each class another's name
    assert labels_match_images(replace(mixed, labels=np.roll(mixed.labels, 1))).passed is False


@pytest.mark.parametrize("seed", range(4))
def test_a_thousand_letters_as_they_come_raise_no_alarm(seed):
    assert labels_match_images(make_eyechart(seed=seed, train=850, test=0).train).passed


def test_too_few_images_are_not_judged(train):
    assert labels_match_images(train.take(np.arange(599), "train")).passed is None
    assert labels_match_images(train.take(np.arange(600), "train")).passed


def test_the_guard_against_shuffled_labels_counts_chance_where_one_class_is_most(train, rng):
    labels = np.where(rng.random(len(train)) < 0.9, 0, train.labels)
    assert labels_match_images(replace(train, labels=labels)).passed is False


def test_different_pictures_are_no_duplicates(train, val):
    assert exact_duplicates(find_copies(train, val, near=False)).passed
    assert exact_duplicates(find_copies(train, None, near=False)).passed


def test_a_picture_in_train_and_val_is_found(train, val):
    copied = replace(val, images=np.concatenate([train.images[5:6], val.images[1:]]))
    result = exact_duplicates(find_copies(train, copied, near=False))
    assert (result.passed, result.severity) == (False, "warning")
    assert "1 of 300 val images" in result.evidence


def test_one_picture_under_two_labels_is_found_under_one_label_it_is_let_pass(train):
    index = np.array([0, 0, 1, 2])
    twice = train.take(index, "train")
    assert exact_duplicates(find_copies(twice, None, near=False)).passed
    relabelled = replace(twice, labels=np.array([0, 1, 2, 3]))
    result = exact_duplicates(find_copies(relabelled, None, near=False))
    assert (result.passed, "1 copies within train, 1 of them under another label" in result.evidence) == (False, True)


def test_measured_statistics_pass(train):
    own = measure(train)
    assert pixel_statistics(own.mean, own.std, measured_on="train", train=train).passed


@pytest.mark.parametrize(
    ("mean", "std", "said"),
    [
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "ImageNet's"),
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "placeholder"),
        ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), "each image's own deviation"),
    ],
)
def test_famous_constants_are_recognised(train, mean, std, said):
    result = pixel_statistics(mean, std, measured_on="train", train=train)
    assert result.passed is False
    assert said in result.evidence


def test_two_hundredths_off_is_too_much_and_one_is_not(train):
    own = measure(train)
    for off, passed in ((0.03, False), (0.01, True)):
        moved = [value + off for value in own.mean]
        assert pixel_statistics(moved, own.std, measured_on="train", train=train).passed is passed


@pytest.mark.parametrize("role", ["test", "all", "val", "train+val"])
def test_statistics_of_other_images_than_those_trained_on_fail(train, role):
    own = measure(train)
    assert pixel_statistics(own.mean, own.std, measured_on=role, train=train).passed is False


def test_a_final_training_may_measure_train_and_val(train):
    own = measure(train)
    everything = replace(train, role="train+val")
    assert pixel_statistics(own.mean, own.std, measured_on="train+val", train=everything).passed


@pytest.mark.cifar10
def test_cifar10_passes_every_guard_that_looks_at_images_alone(cifar10_folder):
    parts = split(read(cifar10_folder))
    own = measure(parts.train)
    assert pixel_order(parts.train).passed
    assert class_balance(parts.train).passed
    assert labels_match_images(parts.train).passed
    assert exact_duplicates(find_copies(parts.train, parts.val, near=False)).passed
    assert pixel_statistics(own.mean, own.std, measured_on="train", train=parts.train).passed
    wrong = replace(parts.train, images=scrambled(parts.train.images))
    assert pixel_order(wrong).passed is False
