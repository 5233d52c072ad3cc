"""The speed-run network and its deeper form: shapes, paths, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from tests.models.parameters import parameter_count
from torch import nn

from snellen.errors import InvalidSetting
from snellen.models.catalog import ModelSpec, build
from snellen.models.sprint_net import ConvBeforePool, MarathonNet, ResidualBlock, SprintNet
from snellen.models.summary import multiply_adds

SHAPE = (32, 32, 3)


def test_the_arithmetic_of_an_image_is_that_of_the_layer_table() -> None:
    # results/LOG.md, "Where a training step of sprint_net goes": whitening, six convolutions, head, in millions; of the
    # first in each block what pooling reads.
    expected = 0.3 + 13.3 * (30 / 31) ** 2 + 8.3 + 33.2 * (14 / 15) ** 2 + 28.9 + 28.9 * (6 / 7) ** 2 + 5.3
    assert multiply_adds(SprintNet(SHAPE, 10), SHAPE) / 1e6 == pytest.approx(expected, rel=0.01)


def test_a_marathon_block_has_one_convolution_more_and_the_widths_of_its_source() -> None:
    net = MarathonNet(SHAPE, 10)
    assert [net.block1.norm1.num_features, net.block2.norm1.num_features, net.block3.norm1.num_features] == [
        128, 384, 512,
    ]  # fmt: skip
    same = SprintNet(SHAPE, 10, widths=(128, 384, 512))
    third = 9 * (128**2 + 384**2 + 512**2) + (128 + 384 + 512)  # filters, and the norms' biases
    assert parameter_count(net) == parameter_count(same) + third


def test_the_path_around_carries_what_the_deep_one_loses() -> None:
    block = ResidualBlock(8, 8).eval()
    images = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        shallow = block.activation(block.norm1(block.pool(block.conv1(images))))
        assert not torch.allclose(block(images), block.activation(shallow))
        block.conv3.weight.zero_()
        torch.testing.assert_close(block(images), block.activation(shallow))


@pytest.mark.parametrize(("height", "width"), [(6, 6), (7, 6), (6, 7), (7, 7), (11, 5)])
def test_what_pooling_does_not_read_is_left_out_and_nothing_else_changes(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    conv = ConvBeforePool(4, 5, kernel_size=3, padding=1)
    plain = nn.Conv2d(4, 5, kernel_size=3, padding=1)
    plain.load_state_dict(conv.state_dict())
    images = torch.randn(2, 4, height, width, generator=generator)
    assert conv(images).shape[2:] == (height // 2 * 2, width // 2 * 2)
    upstream = torch.randn(2, 5, height // 2, width // 2, generator=generator)
    gradients = []
    for layer in (conv, plain):
        asked = images.clone().requires_grad_()
        pooled = nn.functional.max_pool2d(layer(asked), 2)
        pooled.backward(upstream)
        gradients.append((pooled.detach(), asked.grad, layer.weight.grad, layer.bias.grad))
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("build", [SprintNet, MarathonNet])
def test_the_first_filters_let_the_picture_through(build: type) -> None:
    filters = build(SHAPE, 10).block1.conv1.weight.detach()
    inputs = filters.shape[1]
    identity = torch.zeros(inputs, inputs, 3, 3)
    identity[torch.arange(inputs), torch.arange(inputs), 1, 1] = 1
    assert torch.equal(filters[:inputs], identity)
    assert not torch.equal(filters[inputs : 2 * inputs], identity)


@pytest.mark.parametrize("name", ["sprint_net", "marathon_net"])
def test_what_does_not_fit_is_refused_with_the_models_name(name: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"widths=\(8, 8\) is not possible for {name}: 3 numbers"):
        build(ModelSpec(name, SHAPE, 10, [0.5] * 3, [0.2] * 3, {"widths": (8, 8)}), seed=0)
    with pytest.raises(InvalidSetting, match=f"Images of 15x20 px are too small for {name}"):
        build(ModelSpec(name, (15, 20, 3), 10, [0.5] * 3, [0.2] * 3), seed=0)


def test_whitened_patches_are_uncorrelated_and_of_variance_one_in_both_signs() -> None:
    net, generator = SprintNet((20, 24, 3), 4), torch.Generator().manual_seed(0)
    noise = torch.randn(60, 3, 20, 24, generator=generator)
    images = noise + noise.roll(1, 1) + noise.mean(dim=(2, 3), keepdim=True)  # channels that follow each other
    net.init_whitening(images)
    seen = nn.functional.conv2d(images, net.whiten.weight, net.whiten.bias).transpose(0, 1).flatten(1)
    torch.testing.assert_close(seen[:12], -seen[12:])
    torch.testing.assert_close(seen[:12] @ seen[:12].T / seen.shape[1], torch.eye(12), atol=0.02, rtol=0)
    net.init_whitening(images[:, :1].expand(-1, 3, -1, -1))  # of grey pictures some directions hold nothing
    assert torch.isfinite(net.whiten.weight).all()
    assert not net.whiten.weight.requires_grad


def test_logits_are_means_over_the_last_width_of_a_head_of_variance_one() -> None:
    net, given = SprintNet((16, 16, 3), 4, widths=(8, 12, 16)), list[torch.Tensor]()
    net.head.register_forward_hook(lambda _, inputs, __: given.append(inputs[0]))
    logits = net(torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(logits, given[0] @ net.head.weight.T / 16)
    assert net.head.weight.std().item() == pytest.approx(1)
