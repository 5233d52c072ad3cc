"""ResNet-18 under torchvision's names, with a stem for small images; its strided 1x1 convolution on every processor."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from tests.models.parameters import parameter_count
from torch.nn import functional

from snellen.errors import InvalidSetting
from snellen.models.resnet18 import Projection, ResNet18


def batch_norm(name, channels):
    values = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return values | {f"{name}.num_batches_tracked": ()}


def torchvision_keys(stem_kernel, classes):
    """Names and shapes in the state dict of torchvision.models.resnet18, in order, written out by their rule."""
    keys = {"conv1.weight": (64, 3, stem_kernel, stem_kernel)} | batch_norm("bn1", 64)
    before = 64
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            keys |= {f"{name}.conv1.weight": (channels, before, 3, 3)} | batch_norm(f"{name}.bn1", channels)
            keys |= {f"{name}.conv2.weight": (channels, channels, 3, 3)} | batch_norm(f"{name}.bn2", channels)
            if before != channels:
                keys |= {f"{name}.downsample.0.weight": (channels, before, 1, 1)}
                keys |= batch_norm(f"{name}.downsample.1", channels)
            before = channels
    return keys | {"fc.weight": (classes, 512), "fc.bias": (classes,)}


@pytest.mark.parametrize(("stem", "kernel", "side"), [("small", 3, 32), ("stock", 7, 64)])
def test_its_state_dict_has_torchvisions_names_and_shapes_in_torchvisions_order(stem, kernel, side):
    state = ResNet18((side, side, 3), 10, stem=stem).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert list(shapes.items()) == list(torchvision_keys(kernel, classes=10).items())


@pytest.mark.parametrize(("stem", "expected"), [("small", 11_173_962), ("stock", 11_181_642)])
def test_parameters_for_ten_classes(stem, expected):
    assert parameter_count(ResNet18((64, 64, 3), 10, stem=stem)) == expected


@pytest.mark.parametrize(("stem", "side", "positions"), [("small", 32, [32, 16, 8, 4]), ("stock", 64, [16, 8, 4, 2])])
def test_positions_of_the_four_stages(stem, side, positions):
    net, sizes = ResNet18((side, side, 3), 10, stem=stem, widths=(4, 4, 4, 4)), []
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        stage.register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    net(torch.rand(2, 3, side, side))
    assert sizes == positions


@pytest.mark.parametrize(("side", "last_map"), [(32, "1x1"), (63, "2x2")])
def test_the_stock_stem_is_refused_for_small_images_with_the_size_it_would_leave(side, last_map):
    with pytest.raises(InvalidSetting, match=rf"last map would be {last_map}.*stem='small'"):
        ResNet18((side, side, 3), 10, stem="stock")
    for shape in ((side, 200, 3), (200, side, 3)):  # of a long picture the shorter side decides
        with pytest.raises(InvalidSetting, match=f"not possible for images of {shape[0]}x{shape[1]} px"):
            ResNet18(shape, 10, stem="stock")


def test_an_unknown_stem_is_refused():
    with pytest.raises(InvalidSetting, match="tiny"):
        ResNet18((32, 32, 3), 10, stem="tiny")


def test_a_residual_block_whose_convolutions_are_silent_passes_its_input_on():
    block = ResNet18((16, 16, 3), 2, widths=(4, 8, 8, 8)).layer1[0].eval()
    torch.nn.init.zeros_(block.conv2.weight)
    images = torch.rand(2, 4, 8, 8)
    assert torch.equal(block(images), images)


def test_without_residuals_the_additions_and_their_projections_are_gone():
    net = ResNet18((16, 16, 3), 10, residual=False)
    projections = sum(before * after + 2 * after for before, after in ((64, 128), (128, 256), (256, 512)))
    assert parameter_count(net) == 11_173_962 - projections
    block = net.layer1[0].eval()
    torch.nn.init.zeros_(block.conv2.weight)
    assert torch.count_nonzero(block(torch.rand(2, 64, 8, 8))) == 0


def test_convolutions_start_with_the_variance_that_keeps_the_size_of_gradients():
    net = ResNet18((32, 32, 3), 10)
    for convolution in (net.conv1, net.layer3[1].conv2):
        fan_out = convolution.out_channels * 9
        assert convolution.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


_AS_ON_AVX2 = """
import torch
from snellen.models.resnet18 import Projection
torch.manual_seed(0)
layer = Projection(4, 8, 2).to(memory_format=torch.channels_last)
for side in (8, 16):
    images, answers = torch.randn(32, 4, side, side), torch.randn(32, 8, side // 2, side // 2)
    layer.zero_grad()
    layer(images.to(memory_format=torch.channels_last)).backward(answers.to(memory_format=torch.channels_last))
    seen = images[:, :, ::2, ::2].double()
    torch.testing.assert_close(
        layer.weight.grad[:, :, 0, 0].double(), torch.einsum("nkhw,nchw->kc", answers.double(), seen), rtol=0, atol=1e-3
    )
print("equal")
"""


@pytest.mark.parametrize("channels", [3, 7, 8, 16])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 9])
def test_it_is_a_strided_convolution(channels: int, stride: int, side: int) -> None:
    layer = Projection(channels, 16, stride)
    images = torch.randn(4, channels, side, side, dtype=torch.float64)
    expected = functional.conv2d(images, layer.weight.double(), stride=stride)
    torch.testing.assert_close(layer.double()(images), expected)


@pytest.mark.processes
def test_few_channels_have_the_right_gradient_on_a_processor_without_avx512() -> None:
    # In a process of its own: where oneDNN is wrong it breaks this one's memory, or never ends.
    done = subprocess.run(
        [sys.executable, "-c", _AS_ON_AVX2],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "equal\n", done.stderr[-2000:]
