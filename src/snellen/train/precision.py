"""Which device and number format a training uses, with the reason in words.

bf16 is chosen where it is *measured* to be faster on this device for this model; it halves convolution time on
CPUs with AVX-512 BF16 or AMX and slows others down. Weights, batch-norm statistics and optimizer state stay
fp32 either way: autocast changes the arithmetic of convolutions and matrix products only.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from snellen.errors import InvalidSetting
from snellen.models.device import choose_device, computes_bf16
from snellen.train.small_maps import small_map_products

Precision = Literal["fp32", "bf16"]
_CPU = torch.device("cpu")
_MEASURED_PIXELS = 64 * 64 * 64
_WORTH_IT = 1.15  # bf16 must be this much faster: below it, noise decides, and fp32 is the safer number


@dataclass(frozen=True)
class DeviceAndPrecision:
    """Where the arithmetic happens, in which format, and why.

    Attributes:
        device: the torch device.
        precision: format of convolutions and matrix products.
        reason: why this precision, with what was measured.
    """

    device: torch.device = _CPU
    precision: Precision = "fp32"
    reason: str = "asked for"

    @property
    def bf16(self) -> bool:
        """Whether convolutions and matrix products are in bf16."""
        return self.precision == "bf16"

    def autocast(self) -> torch.autocast:
        """The context in which forward passes run."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def kernels(self) -> AbstractContextManager[object]:
        """The context in which a forward and its backward pass run: how, not what, is computed."""
        products = self.device.type == "cpu" and self.bf16
        return small_map_products() if products else nullcontext()

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it; needed before reading a clock."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def choose_compute(
    model: nn.Module, image_shape: tuple[int, int, int], *, device: str, precision: str
) -> DeviceAndPrecision:
    """Choose device and precision for this model; "auto" precision is measured in about a second.

    Args:
        model: on the CPU; it is left as it was.
        image_shape: (H, W, C) pixels.
        device: as `choose_device`.
        precision: "auto", "fp32" or "bf16".

    Raises:
        InvalidSetting: no such device or precision.
    """
    where = choose_device(device)
    if precision == "fp32":
        return DeviceAndPrecision(where)
    if precision == "bf16":
        return DeviceAndPrecision(where, "bf16")
    if precision != "auto":
        raise InvalidSetting(f"--precision {precision} is not possible: auto, fp32 or bf16.")
    if where.type == "cuda":
        if computes_bf16(where):
            return DeviceAndPrecision(where, "bf16", f"{torch.cuda.get_device_name(where)} has bf16 tensor cores")
        return DeviceAndPrecision(where, "fp32", f"{torch.cuda.get_device_name(where)} has no bf16")
    return _measure(model, image_shape, where)


def _measure(model: nn.Module, image_shape: tuple[int, int, int], device: torch.device) -> DeviceAndPrecision:
    height, width, channels = image_shape
    images = max(4, min(64, _MEASURED_PIXELS // (height * width)))
    batch = torch.rand(images, channels, height, width, device=device).contiguous(memory_format=torch.channels_last)
    rates: dict[Precision, float] = {}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    candidates: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in candidates:
        compute = DeviceAndPrecision(device, precision)
        try:
            seconds = min(_time_step(model, batch, compute) for _ in range(3))
        except RuntimeError:  # this build has no bf16 kernel for some layer
            continue
        rates[precision] = len(batch) / seconds
    model.load_state_dict(state)
    model.zero_grad(set_to_none=True)
    if "bf16" not in rates:
        return DeviceAndPrecision(device, "fp32", "this PyTorch build has no bf16 kernels for the model")
    ratio = rates["bf16"] / rates["fp32"]
    measured = f"a training step runs at {rates['bf16']:.0f} images/s in bf16, {rates['fp32']:.0f} in fp32"
    if ratio >= _WORTH_IT:
        return DeviceAndPrecision(device, "bf16", f"{ratio:.1f}x faster here: {measured}")
    return DeviceAndPrecision(device, "fp32", f"bf16 is not faster here: {measured}")


def _time_step(model: nn.Module, batch: torch.Tensor, compute: DeviceAndPrecision) -> float:
    started = time.perf_counter()
    with compute.kernels():
        with compute.autocast():
            loss = model(batch).float().square().mean()
        loss.backward()
    compute.synchronize()
    return time.perf_counter() - started
