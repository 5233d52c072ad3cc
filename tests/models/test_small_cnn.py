import torch
from tests.models.parameters import parameter_count
from torch import nn

from snellen.models.small_networks import SmallCNN


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
