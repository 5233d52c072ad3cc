"""Device and number format, with the reason in words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snellen.errors import InvalidSetting
from snellen.models.catalog import ModelSpec, build
from snellen.train import precision as precision_file
from snellen.train.precision import DeviceAndPrecision, choose_compute

SHAPE = (16, 16, 3)


@pytest.fixture
def model() -> nn.Module:
    return build(
        ModelSpec(
            "small_cnn",
            image_shape=SHAPE,
            num_classes=4,
            mean=(0.5,) * 3,
            std=(0.2,) * 3,
            options={"widths": (4, 4, 4, 4)},
        ),
        seed=0,
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken(model: nn.Module, precision: str) -> None:
    chosen = choose_compute(model, SHAPE, device="cpu", precision=precision)
    assert (chosen.device.type, chosen.precision, chosen.reason) == ("cpu", precision, "asked for")


@pytest.mark.parametrize(("seconds_bf16", "chosen"), [(0.5, "bf16"), (0.95, "fp32"), (2.0, "fp32")])
def test_bf16_is_taken_only_where_it_is_clearly_faster(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch, seconds_bf16: float, chosen: str
) -> None:
    times = {"fp32": 1.0, "bf16": seconds_bf16}
    monkeypatch.setattr(precision_file, "_time_step", lambda model, batch, where: times[where.precision])
    found = choose_compute(model, SHAPE, device="cpu", precision="auto")
    assert found.precision == chosen
    assert "64" in found.reason  # what was measured is said


def test_where_there_are_no_bf16_kernels_it_is_fp32(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: nn.Module, batch: torch.Tensor, where: DeviceAndPrecision) -> float:
        if where.precision == "bf16":
            raise RuntimeError("not implemented for 'BFloat16'")
        return 1.0

    monkeypatch.setattr(precision_file, "_time_step", fail)
    found = choose_compute(model, SHAPE, device="cpu", precision="auto")
    assert (found.precision, found.reason) == ("fp32", "this PyTorch build has no bf16 kernels for the model")


def test_measuring_leaves_the_model_as_it_was(model: nn.Module) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    choose_compute(model, SHAPE, device="cpu", precision="auto")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_bf16_changes_the_products_and_not_the_weights(model: nn.Module) -> None:
    with DeviceAndPrecision(precision="bf16").autocast():
        logits = model(torch.rand(2, 3, 16, 16))
    assert logits.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "tpu", "", "cpu:x"])
def test_a_device_that_is_not_here_is_named_with_those_that_are(model: nn.Module, device: str) -> None:
    with pytest.raises(InvalidSetting, match=f"--device {device}"):
        choose_compute(model, SHAPE, device=device, precision="fp32")
