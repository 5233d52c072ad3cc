"""Small maps by products: the same numbers as PyTorch's own convolution, and taken only where they are written for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.catalog import ModelSpec, build
from snellen.train import precision, small_maps
from snellen.train.precision import DeviceAndPrecision
from snellen.train.small_maps import FEWEST_CHANNELS, SmallMapProducts, convolve, small_map_products, weight_gradient

SHAPES = [
    # images, channels, filters, height, width, kernel, stride, padding
    (3, 5, 7, 2, 2, (3, 3), [1, 1], [1, 1]),
    (4, 3, 2, 5, 5, (3, 3), [1, 1], [1, 1]),
    (2, 4, 3, 8, 8, (3, 3), [2, 2], [1, 1]),
    (2, 4, 3, 7, 4, (3, 3), [2, 1], [1, 1]),
    (5, 2, 6, 8, 8, (1, 1), [2, 2], [0, 0]),
    (2, 3, 4, 6, 5, (2, 3), [1, 1], [0, 1]),
    (1, 1, 1, 1, 1, (3, 3), [1, 1], [1, 1]),
]


@pytest.fixture(params=[1, 200, 2**26])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Image by image, some at a time, all at a time."""
    monkeypatch.setattr(small_maps, "_UNFOLDED_BYTES", request.param)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("count", "channels", "filters", "height", "width", "kernel", "stride", "padding"), SHAPES)
def test_products_are_the_convolution_and_its_gradient(
    count: int, channels: int, filters: int, height: int, width: int,
    kernel: tuple[int, int], stride: list[int], padding: list[int],
) -> None:  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, channels, height, width, generator=generator)
    weight = torch.randn(filters, channels, *kernel, generator=generator, requires_grad=True)
    output = functional.conv2d(images, weight, stride=stride, padding=padding)
    gradient = torch.randn(output.shape, generator=generator)
    output.backward(gradient)
    torch.testing.assert_close(
        convolve(images, weight.detach(), stride, padding), output.detach(), atol=1e-5, rtol=1e-5
    )
    found = weight_gradient(gradient, images, kernel, stride, padding)
    torch.testing.assert_close(found, weight.grad, atol=1e-4, rtol=1e-5)


def learned(convolution: nn.Conv2d, images: Tensor, *, products: bool) -> list[Tensor]:
    """Output, and the gradients of images, weight and bias, in bf16."""
    images = images.clone().requires_grad_()
    convolution.zero_grad()
    with SmallMapProducts() if products else torch.enable_grad():
        with torch.autocast("cpu", torch.bfloat16):
            output = convolution(images)
        output.float().square().sum().backward()
    return [output, images.grad, *(value.grad for value in convolution.parameters())]  # type: ignore[list-item]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("side", "kernel", "stride"), [(2, 3, 1), (5, 3, 1), (7, 3, 1), (8, 3, 2), (8, 1, 2), (8, 3, 1)]
)
def test_a_layer_learns_the_same(side: int, kernel: int, stride: int, bias: bool) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(128, 144, kernel, stride=stride, padding=kernel // 2, bias=bias)
    images = torch.randn(6, 128, side, side).contiguous(memory_format=torch.channels_last)
    for own, theirs in zip(
        learned(convolution, images, products=True), learned(convolution, images, products=False), strict=True
    ):
        assert (own.dtype, own.shape) == (theirs.dtype, theirs.shape)
        assert (own - theirs).norm() < 0.01 * theirs.norm()  # bf16 has eight bits


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done by products."""
    made: list[str] = []

    def counted(name: str) -> None:
        inner = getattr(small_maps, name)

        def call(*arguments: Any) -> Any:
            made.append(name)
            return inner(*arguments)

        monkeypatch.setattr(small_maps, name, call)

    counted("convolve")
    counted("weight_gradient")
    return made


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (5, ["convolve", "weight_gradient", "convolve"]),
        (6, ["weight_gradient"]),
        (8, ["weight_gradient"]),
        (9, []),
    ],
)
def test_wider_maps_are_left_to_pytorch(side: int, expected: list[str], calls: list[str]) -> None:
    learned(nn.Conv2d(128, 128, 3, padding=1), torch.randn(2, 128, side, side), products=True)
    assert sorted(calls) == sorted(expected)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(FEWEST_CHANNELS - 1, FEWEST_CHANNELS, 3, padding=1),
        nn.Conv2d(FEWEST_CHANNELS, FEWEST_CHANNELS - 1, 3, padding=1),
        nn.Conv2d(256, 256, 3, padding=1, groups=2),
        nn.Conv2d(128, 128, 3, padding=2, dilation=2),
        nn.ConvTranspose2d(128, 128, 3, padding=1),
        nn.Conv1d(128, 128, 3, padding=1),
    ],
)
def test_other_kinds_are_left_to_pytorch(convolution: nn.Conv2d, calls: list[str]) -> None:
    images = torch.randn(2, convolution.in_channels, 4, 4)
    learned(convolution, images[:, :, 0] if isinstance(convolution, nn.Conv1d) else images, products=True)
    assert calls == []


def test_fp32_is_left_to_pytorch(calls: list[str]) -> None:
    with SmallMapProducts():
        nn.Conv2d(128, 128, 3, padding=1)(torch.randn(2, 128, 4, 4)).sum().backward()
    assert calls == []


def test_frozen_weights_and_first_layers_ask_for_no_gradient(calls: list[str]) -> None:
    convolution = nn.Conv2d(128, 128, 3, padding=1)
    convolution.weight.requires_grad_(False)
    learned_images = torch.randn(2, 128, 4, 4, requires_grad=True)
    with SmallMapProducts(), torch.autocast("cpu", torch.bfloat16):
        convolution(learned_images).float().sum().backward()
    assert calls == ["convolve", "convolve"]
    calls.clear()
    convolution.weight.requires_grad_(True)
    with SmallMapProducts(), torch.autocast("cpu", torch.bfloat16):
        convolution(torch.randn(2, 128, 4, 4)).float().sum().backward()
    assert calls == ["convolve", "weight_gradient"]


@pytest.mark.parametrize(("has", "used"), [(True, True), (False, False)])
def test_only_where_there_is_amx(has: bool, used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_maps, "has_instructions", lambda name: has and name == "amx_bf16")
    assert isinstance(small_map_products(), SmallMapProducts) is used


def test_only_in_bf16_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "small_map_products", SmallMapProducts)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert isinstance(DeviceAndPrecision(cpu, "bf16", "").kernels(), SmallMapProducts)
    for other in (DeviceAndPrecision(cpu, "fp32", ""), DeviceAndPrecision(gpu, "bf16", "")):
        assert not isinstance(other.kernels(), SmallMapProducts)


def test_a_whole_network_learns_the_same() -> None:
    model = build(
        ModelSpec("sprint_net", image_shape=(24, 24, 3), num_classes=10, mean=(0.5,) * 3, std=(0.2,) * 3), seed=0
    )
    images = torch.rand(8, 3, 24, 24).contiguous(memory_format=torch.channels_last)
    found = []
    for products in (True, False):
        model.zero_grad()
        with SmallMapProducts() if products else torch.enable_grad():
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(images)
            logits.float().square().sum().backward()
        found.append([value.grad.clone() for value in model.parameters() if value.grad is not None])
    for own, theirs in zip(*found, strict=True):
        assert (own - theirs).norm() < 0.05 * theirs.norm()
