"""EfficientNet-Lite against timm's copy of it, on the published weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from tests.models.parameters import parameter_count
from torch import nn

from snellen.models.efficientnet_lite import EfficientNetLite, SameConv2d
from snellen.models.pretrained import published_range, published_state


@cache
def published(size: int) -> EfficientNetLite:
    net = EfficientNetLite(size, (64, 64, 3), 1000)
    net.load_state_dict(published_state(f"efficientnet_lite{size}"))
    return net.eval()


@cache
def of_timm(size: int) -> nn.Module:
    """timm's network with the same weights: both list their tensors in the order of the layers."""
    timm: Any = pytest.importorskip("timm")
    net: nn.Module = timm.create_model(f"tf_efficientnet_lite{size}", pretrained=False).eval()
    theirs, ours = net.state_dict(), published_state(f"efficientnet_lite{size}")
    ordered = dict(zip(theirs, published(size).state_dict().values(), strict=True))
    assert len(ours) == len(theirs)
    net.load_state_dict(ordered)
    return net


@pytest.mark.parametrize(("size", "parameters", "blocks"), [(0, 4_652_008, 16), (1, 5_416_680, 21), (2, 6_092_072, 21)])
def test_parameters_and_depth_are_those_that_were_published(size: int, parameters: int, blocks: int) -> None:
    with torch.device("meta"):
        net = EfficientNetLite(size, (64, 64, 3), 1000)
    assert (parameter_count(net), len(net.blocks)) == (parameters, blocks)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_it_answers_as_timms_does(size: int) -> None:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(size))
    with torch.inference_mode():
        torch.testing.assert_close(published(size)(images), of_timm(size)(images), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sides", [(32, 32), (33, 47), (50, 96), (71, 71)])
def test_odd_sides_are_padded_as_tensorflow_pads_them(sides: tuple[int, int]) -> None:
    images = torch.randn(1, 3, *sides, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(published(0)(images), of_timm(0)(images), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_mean_and_deviation_are_those_that_timm_gives_for_these_weights(size: int) -> None:
    timm: Any = pytest.importorskip("timm")
    about = timm.get_pretrained_cfg(f"tf_efficientnet_lite{size}")
    mean, std = published_range(f"efficientnet_lite{size}")
    # timm rounds both to 0.5; ours are of the code that the weights were trained with.
    assert about.mean == pytest.approx((mean,) * 3, abs=0.003)
    assert about.std == pytest.approx((std,) * 3, abs=0.003)


def test_the_maps_are_as_large_as_is_said() -> None:
    net = EfficientNetLite(0, (64, 64, 3), 5).eval()
    with torch.inference_mode():
        stem = net.stem(torch.zeros(1, 3, 64, 64))
        head = net.head(net.blocks(stem))
    assert (stem.shape, head.shape) == ((1, 32, 32, 32), (1, 1280, 2, 2))


@pytest.mark.parametrize(("kernel", "side"), [(3, 6), (3, 7), (5, 6), (5, 7)])
def test_at_stride_two_the_odd_pixel_is_padded_right_and_below(kernel: int, side: int) -> None:
    """By hand: TensorFlow's "same" has ceil(side / 2) positions, and half of what is missing before, rounded down."""
    conv = SameConv2d(1, 1, kernel, stride=2, bias=False)
    picture = torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(3))
    made = conv(picture)[0, 0]
    positions = -(-side // 2)
    before = max((positions - 1) * 2 + kernel - side, 0) // 2
    wide = torch.zeros(side + 2 * kernel, side + 2 * kernel)
    wide[kernel : kernel + side, kernel : kernel + side] = picture[0, 0]
    assert made.shape == (positions, positions)
    for row in range(positions):
        for column in range(positions):
            top, left = kernel + 2 * row - before, kernel + 2 * column - before
            seen = wide[top : top + kernel, left : left + kernel]
            assert made[row, column].item() == pytest.approx((seen * conv.weight[0, 0]).sum().item(), abs=1e-5)
