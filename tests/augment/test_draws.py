"""Draws depend on (seed, epoch, kind, index) and on nothing else."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from snellen.augment.draws import draw
from snellen.recipes.recipe import Augment

EVERYTHING = Augment(crop_pixels=4, flip="random", brightness=0.2, contrast=0.3, saturation=0.4)


def as_arrays(draws):
    return {"shift": draws.shift, "flip": draws.flip} | {
        name: getattr(draws, name) for name in ("brightness", "contrast", "saturation")
    }


def test_same_seed_and_epoch_give_the_same_draws():
    first, again = (draw(EVERYTHING, seed=7, epoch=3, count=500) for _ in range(2))
    for name, values in as_arrays(first).items():
        np.testing.assert_array_equal(values, as_arrays(again)[name], err_msg=name)


@pytest.mark.parametrize("other", [{"seed": 8}, {"epoch": 4}])
def test_another_seed_or_epoch_changes_every_kind_of_draw(other):
    first = draw(EVERYTHING, seed=7, epoch=3, count=500)
    second = draw(EVERYTHING, **{"seed": 7, "epoch": 3, "count": 500, **other})
    for name, values in as_arrays(first).items():
        assert (values != as_arrays(second)[name]).any(), name


def test_the_numbers_themselves_are_pinned_because_results_rest_on_them():
    draws = draw(EVERYTHING, seed=1, epoch=2, count=4)
    assert draws.shift.tolist() == [[4, 5], [3, 8], [3, 0], [2, 1]]
    assert draws.flip.tolist() == [True, False, True, False]
    np.testing.assert_allclose(draws.brightness, [1.147583, 0.972973, 1.169096, 0.814412], rtol=1e-6)
    np.testing.assert_allclose(draws.contrast, [1.102283, 0.766609, 1.006905, 0.913706], rtol=1e-6)
    np.testing.assert_allclose(draws.saturation, [0.633382, 1.319999, 0.751159, 1.174393], rtol=1e-6)
    assert draw(Augment(flip="alternate"), seed=1, epoch=2, count=6).flip.tolist() == [0, 0, 1, 0, 1, 0]


PINNED = {
    "operations": {
        "kind": [[13, 7], [4, 10], [0, 9], [8, 6]], "sign": [[1, -1], [-1, -1], [1, -1], [-1, -1]], "magnitude": 7,
    },
    "rectangles": {
        "on": [1, 0, 1, 0], "area": [0.148537, 0.273262, 0.252505, 0.096736],
        "aspect": [2.13253, 0.334516, 0.389092, 0.607989], "down": [0.982607, 0.668374, 0.247772, 0.048664],
        "right": [0.342808, 0.258463, 0.02004165, 0.392533],
    },
    "mixes": {
        "own": [0.11582, 0.000685944, 0.525608, 0.154364], "cut": [1, 0, 1, 1],
        "down": [0.451951, 0.711739, 0.886633, 0.964453], "right": [0.44412, 0.685076, 0.691535, 0.255433],
    },
    "windows": {
        "area": [0.922478, 0.710801, 0.773749, 0.931514], "aspect": [0.908917, 0.88867, 1.129385, 0.831477],
        "down": [0.06020841, 0.720429, 0.0536627, 0.912452], "right": [0.607606, 0.868576, 0.641607, 0.215618],
        "side": 0.8,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", PINNED)
def test_so_are_those_of_every_further_kind(kind):
    stronger = {"randaugment": 2, "randaugment_magnitude": 7, "erase": 0.5, "mixup": 0.2, "cutmix": 0.7}
    drawn = getattr(draw(Augment(**stronger, resized_crop=0.4, resized_crop_side=0.8), seed=1, epoch=2, count=4), kind)
    assert vars(drawn).keys() == PINNED[kind].keys()
    for name, values in PINNED[kind].items():
        np.testing.assert_allclose(getattr(drawn, name), values, rtol=1e-5, err_msg=name)


def test_more_images_keep_the_draws_of_the_first_ones():
    few, many = (draw(EVERYTHING, seed=7, epoch=3, count=count) for count in (100, 1000))
    for name, values in as_arrays(few).items():
        np.testing.assert_array_equal(values, as_arrays(many)[name][:100], err_msg=name)


def test_switching_one_kind_off_leaves_the_other_kinds_alone():
    without_flip = Augment(crop_pixels=4, brightness=0.2, contrast=0.3, saturation=0.4)
    full, part = (draw(augment, seed=7, epoch=3, count=500) for augment in (EVERYTHING, without_flip))
    assert not part.flip.any()
    for name in ("shift", "brightness", "contrast", "saturation"):
        np.testing.assert_array_equal(getattr(full, name), getattr(part, name), err_msg=name)


def test_offsets_are_uniform_over_all_eighty_one_windows():
    shift = draw(EVERYTHING, seed=0, epoch=0, count=81_000).shift
    observed = np.bincount(shift[:, 0] * 9 + shift[:, 1], minlength=81)
    chi_square = ((observed - 1000) ** 2 / 1000).sum()
    assert 35 < chi_square < 140  # 80 degrees of freedom; both tails below 1 in 10,000


@settings(deadline=None, max_examples=40)
@given(pad=st.integers(1, 16), seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 2**32 - 1))
def test_offsets_are_uniform_for_every_padding_seed_and_epoch(pad, seed, epoch):
    places = 2 * pad + 1
    shift = draw(Augment(crop_pixels=pad), seed=seed, epoch=epoch, count=200 * places).shift
    for axis in (0, 1):
        # Below 1e-7 once in 100,000 runs of this test, if the offsets are uniform.
        assert stats.chisquare(np.bincount(shift[:, axis], minlength=places)).pvalue > 1e-7


@pytest.mark.parametrize("image", [0, 7])
def test_over_the_epochs_each_image_sees_all_its_windows_equally_often(image):
    shift = np.stack([draw(Augment(crop_pixels=2), seed=3, epoch=e, count=8).shift[image] for e in range(5000)])
    observed = np.bincount(shift[:, 0] * 5 + shift[:, 1], minlength=25)
    assert stats.chisquare(observed).pvalue > 1e-3
    assert abs(np.corrcoef(shift[:-1].sum(axis=1), shift[1:].sum(axis=1))[0, 1]) < 0.05


@pytest.mark.parametrize("pad", [1, 2, 16])
def test_offsets_reach_both_ends_and_stay_inside(pad):
    shift = draw(Augment(crop_pixels=pad), seed=0, epoch=0, count=5000).shift
    assert shift.dtype == np.int64
    assert shift.min(axis=0).tolist() == [0, 0]
    assert shift.max(axis=0).tolist() == [2 * pad, 2 * pad]


def test_random_flip_is_a_fair_coin_that_is_thrown_again_every_epoch():
    epochs = np.stack([draw(EVERYTHING, seed=0, epoch=epoch, count=10_000).flip for epoch in range(4)])
    assert abs(epochs.mean() - 0.5) < 0.01
    assert abs((epochs[0] == epochs[1]).mean() - 0.5) < 0.03


def test_alternate_flip_shows_both_sides_of_every_image_in_two_successive_epochs():
    epochs = [draw(Augment(flip="alternate"), seed=5, epoch=epoch, count=2000).flip for epoch in range(4)]
    for before, after in itertools.pairwise(epochs):
        assert (before ^ after).all()
    assert abs(epochs[0].mean() - 0.5) < 0.05


def test_factors_fill_their_range_and_are_none_where_off():
    draws = draw(Augment(brightness=0.3), seed=0, epoch=0, count=20_000)
    assert draws.contrast is None
    assert draws.saturation is None
    assert draws.brightness.dtype == np.float32
    assert draws.brightness.min() == pytest.approx(0.7, abs=1e-3)
    assert draws.brightness.max() == pytest.approx(1.3, abs=1e-3)
    assert draws.brightness.mean() == pytest.approx(1.0, abs=5e-3)


def test_kinds_of_draw_do_not_follow_each_other():
    draws = draw(EVERYTHING, seed=0, epoch=0, count=20_000)
    columns = [*draws.shift.T, draws.flip, draws.brightness, draws.contrast, draws.saturation]
    correlation = np.corrcoef(np.stack(columns)) - np.eye(6)
    assert np.abs(correlation).max() < 0.03


def test_nothing_on_draws_nothing():
    draws = draw(Augment(), seed=0, epoch=0, count=3)
    assert draws.shift.tolist() == [[0, 0]] * 3
    assert not draws.flip.any()
    assert {value for name, value in vars(draws).items() if name not in ("pad", "shift", "flip")} == {None}


def test_at_takes_rows_in_the_order_asked_for():
    draws, rows = draw(EVERYTHING, seed=0, epoch=0, count=50), np.array([40, 3, 3])
    for name, values in as_arrays(draws.at(rows)).items():
        np.testing.assert_array_equal(values, as_arrays(draws)[name][[40, 3, 3]], err_msg=name)


def test_one_row_is_the_draws_of_one_image():
    draws = draw(EVERYTHING, seed=0, epoch=0, count=50)
    one = draws[7]
    assert (one.pad, one.down, one.right, one.flip) == (4, *draws.shift[7], draws.flip[7])
    assert one.saturation == draws.saturation[7]


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 2**32}, {"epoch": -1}])
def test_a_seed_or_epoch_that_does_not_fit_one_word_is_refused(wrong):
    with pytest.raises(AssertionError, match="another .seed, epoch."):
        draw(EVERYTHING, **{"seed": 0, "epoch": 0, "count": 1, **wrong})
