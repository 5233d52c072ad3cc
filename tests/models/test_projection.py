"""The path around a block of ResNet-18: a strided 1x1 convolution, right on every processor."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from snellen.models.resnet18 import Projection

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
