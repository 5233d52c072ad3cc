import pytest
import torch
from torch import nn

from snellen.models.efficientnet_lite import SameConv2d
from snellen.models.resnet18 import ResNet18
from snellen.models.small_networks import SmallCNN
from snellen.models.summary import describe_layers, multiply_adds


def test_arithmetic_worked_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, groups=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 6, 5))
    convolution, linear = describe_layers(net, (4, 6, 3))
    assert (convolution.kind, convolution.output_shape) == ("Conv2d", (8, 4, 6))
    assert convolution.macs == 8 * 4 * 6 * 27
    assert (linear.output_shape, linear.macs) == ((5,), 192 * 5)


@pytest.mark.parametrize("device", ["cpu", "meta"])  # the model stays where it is
def test_every_kind_of_convolution_is_called_by_one_name_and_the_rest_by_their_own(device):
    net = nn.Sequential(SameConv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 4 * 6, 5))
    rows = describe_layers(net.to(device), (4, 6, 3))
    assert [row.kind for row in rows] == ["Conv2d", "BatchNorm2d", "Linear"]


def test_grouped_convolutions_cost_their_share():
    net = nn.Conv2d(8, 8, 3, padding=1, groups=4)
    assert multiply_adds(net, (4, 4, 8)) == 8 * 16 * 2 * 9


def test_resnet18_at_32_px_costs_555_million_multiply_adds():
    assert 555e6 < multiply_adds(ResNet18((32, 32, 3), 10), (32, 32, 3)) < 557e6


def test_the_stock_stem_costs_fifteen_times_less_at_32_px():
    stock = ResNet18((64, 64, 3), 10, stem="stock")  # refused below 64 px, but it can be asked what it would cost
    assert multiply_adds(stock, (32, 32, 3)) == pytest.approx(37e6, rel=0.01)


def test_looking_changes_neither_weights_nor_running_statistics_nor_mode_nor_hooks():
    net = SmallCNN((16, 16, 3), 10).train()
    net.bn2.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    describe_layers(net, (16, 16, 3))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert (net.training, net.bn1.training, net.bn2.training) == (True, True, False)
    assert not any(module._forward_hooks for module in net.modules())
