import torch
from tests.models.parameters import parameter_count
from torch import nn

from snellen.models.small_networks import PlainCNN


def test_its_parameters_are_three_convolutions_and_one_linear_layer():
    convolutions = (3 * 9 + 1) * 32 + (32 * 9 + 1) * 64 + (64 * 9 + 1) * 128
    assert parameter_count(PlainCNN((32, 32, 3), 10)) == convolutions + 128 * 4 * 4 * 10 + 10 == 113_738


def test_nothing_inside_it_is_normalised_so_training_and_evaluation_agree():
    net, images = PlainCNN((16, 16, 3), 4), torch.rand(2, 3, 16, 16)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert torch.equal(net.train()(images), net.eval()(images))


def test_sides_that_eight_does_not_divide_lose_the_rest():
    assert PlainCNN((23, 17, 1), 4)(torch.rand(2, 1, 23, 17)).shape == (2, 4)
