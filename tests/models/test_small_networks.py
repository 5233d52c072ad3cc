"""The small networks: what they are made of, and what they cannot know."""

from __future__ import annotations

import pytest
import torch
from tests.models.parameters import parameter_count
from torch import nn

from snellen.models.small_networks import MLP, PlainCNN, SmallCNN


@pytest.mark.parametrize(
    ("widths", "expected"),
    [((512,), 3072 * 512 + 512 + 512 * 10 + 10), ((8,), 3072 * 8 + 8 + 8 * 10 + 10)],
)
def test_it_has_two_linear_layers_with_biases_and_nothing_else(widths, expected):
    assert parameter_count(MLP((32, 32, 3), 10, widths=widths)) == expected


def test_its_default_has_512_units():
    assert parameter_count(MLP((32, 32, 3), 10)) == 1_578_506


def test_it_does_not_know_which_pixels_are_neighbours():
    net, images = MLP((16, 16, 1), 3), torch.rand(4, 1, 16, 16)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))
    shuffled_images = images.flatten(1)[:, order].view(4, 1, 16, 16)
    expected = net(images)
    with torch.no_grad():
        net.hidden.weight.copy_(net.hidden.weight[:, order])
    torch.testing.assert_close(net(shuffled_images), expected)


def test_its_parameters_are_three_convolutions_and_one_linear_layer():
    convolutions = (3 * 9 + 1) * 32 + (32 * 9 + 1) * 64 + (64 * 9 + 1) * 128
    assert parameter_count(PlainCNN((32, 32, 3), 10)) == convolutions + 128 * 4 * 4 * 10 + 10 == 113_738


def test_nothing_inside_it_is_normalised_so_training_and_evaluation_agree():
    net, images = PlainCNN((16, 16, 3), 4), torch.rand(2, 3, 16, 16)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert torch.equal(net.train()(images), net.eval()(images))


def test_sides_that_eight_does_not_divide_lose_the_rest():
    assert PlainCNN((23, 17, 1), 4)(torch.rand(2, 1, 23, 17)).shape == (2, 4)


def expected_parameters(widths, channels=3, classes=10):
    pairs = zip((channels, *widths), widths, strict=False)
    return sum(9 * before * after + 2 * after for before, after in pairs) + (widths[-1] + 1) * classes


def test_its_parameters_are_those_of_four_convolutions_with_batch_norm_and_one_linear_layer():
    assert parameter_count(SmallCNN((32, 32, 3), 10)) == expected_parameters((64, 64, 128, 128)) == 261_834


def test_a_narrower_one_exists():
    narrow = SmallCNN((32, 32, 3), 10, widths=(16, 16, 32, 32))
    assert parameter_count(narrow) == expected_parameters((16, 16, 32, 32)) == 17_082


def test_it_has_exactly_four_convolutions_of_three_by_three_each_with_its_batch_norm():
    modules = list(SmallCNN((32, 32, 3), 10).modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    assert [module.kernel_size for module in convolutions] == [(3, 3)] * 4
    assert sum(isinstance(module, nn.BatchNorm2d) for module in modules) == 4


def test_the_picture_is_halved_twice_before_the_global_average():
    net, sizes = SmallCNN((32, 32, 3), 10), []
    for convolution in (net.conv1, net.conv2, net.conv3, net.conv4):
        convolution.register_forward_hook(lambda _, given, __: sizes.append(tuple(given[0].shape[2:])))
    net(torch.rand(2, 3, 32, 32))
    assert sizes == [(32, 32), (32, 32), (16, 16), (16, 16)]
