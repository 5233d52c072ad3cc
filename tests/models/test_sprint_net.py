"""The speed-run network and its deeper form: shapes, paths, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from snellen.errors import InvalidSetting
from snellen.models.sprint_net import ResidualBlock, SprintNet, marathon_net, sprint_net
from snellen.models.summary import multiply_adds, parameter_count

SHAPE = (32, 32, 3)


def test_the_arithmetic_of_an_image_is_that_of_the_layer_table() -> None:
    # results/LOG.md, "Where a training step of sprint_net goes": whitening, six convolutions, head, in millions.
    expected = 0.3 + 13.3 + 8.3 + 33.2 + 28.9 + 28.9 + 5.3
    assert multiply_adds(sprint_net(SHAPE, 10), SHAPE) / 1e6 == pytest.approx(expected, rel=0.01)


def test_a_marathon_block_has_one_convolution_more_and_the_widths_of_its_source() -> None:
    net = marathon_net(SHAPE, 10)
    assert [net.block1.norm1.num_features, net.block2.norm1.num_features, net.block3.norm1.num_features] == [
        128, 384, 512,
    ]  # fmt: skip
    same = sprint_net(SHAPE, 10, widths=(128, 384, 512))
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


@pytest.mark.parametrize("build", [sprint_net, marathon_net])
def test_the_first_filters_let_the_picture_through(build: type) -> None:
    filters = build(SHAPE, 10).block1.conv1.weight.detach()
    inputs = filters.shape[1]
    identity = torch.zeros(inputs, inputs, 3, 3)
    identity[torch.arange(inputs), torch.arange(inputs), 1, 1] = 1
    assert torch.equal(filters[:inputs], identity)
    assert not torch.equal(filters[inputs : 2 * inputs], identity)


def _narrow(**options: Any) -> SprintNet:
    torch.manual_seed(1)
    return sprint_net(SHAPE, 10, widths=(24, 8, 8), **options)


def test_the_first_block_learns_from_its_share_alone_and_for_all() -> None:
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    shared, whole = _narrow(early_share=0.3).train(), _narrow().train()
    shared(images).square().sum().backward()
    # The same by hand: two of six images learn, and their gradient counts three times.
    others = whole.block1(whole.whiten_activation(whole.whiten(images[2:]))).detach()
    learners = whole.block1(whole.whiten_activation(whole.whiten(images[:2])))
    x = whole.block3(whole.block2(torch.cat([learners, others])))
    (whole.head(whole.pool(x).flatten(1)) / x.shape[1]).square().sum().backward()
    early = 0
    for (name, got), expected in zip(shared.named_parameters(), whole.parameters(), strict=True):
        if got.grad is None or expected.grad is None:
            assert got.grad is expected.grad, name
            continue
        is_early = name.startswith(("whiten", "block1"))
        early += is_early
        torch.testing.assert_close(got.grad, expected.grad * (3 if is_early else 1), msg=name)
    assert early == 5  # two filters, two norms' biases, the whitening's


def test_a_share_changes_nothing_where_nothing_learns() -> None:
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    shared, whole = _narrow(early_share=0.5), _narrow()
    with torch.no_grad():
        assert torch.equal(shared.train()(images), whole.train()(images))
    assert torch.equal(shared.eval()(images), whole.eval()(images))


def test_one_image_learns_where_the_share_is_less_than_one() -> None:
    net = _narrow(early_share=0.1).train()
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    assert net.block1.conv1.weight.grad is not None
    assert net.block1.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("build", "name"), [(sprint_net, "sprint_net"), (marathon_net, "marathon_net")])
def test_what_does_not_fit_is_refused_with_the_models_name(build: type, name: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"widths=\(8, 8\) is not possible: {name} has three blocks"):
        build(SHAPE, 10, widths=(8, 8))
    with pytest.raises(InvalidSetting, match=f"Images of 15x20 px are too small for {name}"):
        build((15, 20, 3), 10)
