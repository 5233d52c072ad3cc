"""`predict`: images per second answered, plain eager PyTorch against Snellen's ways, at batch 1 and 512.

A network for photographs takes part at its own size, and at batch 1 and 64.

On a CPU, where the packages of `snellen[export]` are installed, ONNX Runtime takes part with the files that
`snellen export` writes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from snellen.augment.batched import to_float
from snellen.bench.catalog import Settings
from snellen.bench.protocol import Measurement, compare, conditions_here
from snellen.bench.step import MEAN, STD, asked_for, noise_images
from snellen.export.onnx_file import OnnxSession, missing_packages, quantized, to_onnx
from snellen.export.torch_program import from_pixels, to_program
from snellen.models.catalog import ModelSpec, build
from snellen.models.device import choose_device
from snellen.models.fuse import made_fast, optimize_for_inference
from snellen.models.normalized import Classifier
from snellen.recipes.recipe import Recipe
from snellen.train.precision import DeviceAndPrecision

RECIPES = ("small_cnn", "resnet18", "sprint", "transfer")
BATCHES, PHOTOGRAPHS, QUICK_BATCHES = (1, 512), (1, 64), (1, 8)
_SMALL = 32
_FIGURES = ("plain images/s", "images/s", "× plain", "largest gap")
# A single answer takes a millisecond or less: below what one look at the clock can tell.
_CALLS_AT_ONE, _QUICK_CALLS = 20, 2

Answer = Callable[[torch.Tensor], torch.Tensor]
"""(B, H, W, C) uint8 on the device -> logits (B, K) float32, up to a constant per image."""
Way = tuple[str, str, Answer]
"""What it is called, its precision, and itself."""


def measure(settings: Settings, recipes: Sequence[Recipe] = ()) -> Iterator[Measurement]:
    """One line per recipe, batch and way of answering; each way takes turns with the plain one."""
    device = choose_device(settings.device)
    for recipe in recipes or asked_for(settings, RECIPES):
        side = recipe.side if recipe.weights == "pretrained" else _SMALL
        model = _settled(recipe, side)
        files = list(_onnx_ways(model, side)) if device.type == "cpu" and not missing_packages() else []
        for batch in QUICK_BATCHES if settings.quick else BATCHES if side == _SMALL else PHOTOGRAPHS:
            model = model.to(device)
            pixels = torch.from_numpy(noise_images(batch, side=side).images).to(device)
            yield from measure_answers(recipe, pixels, [*_ways(model), *files], model, settings=settings)


def measure_answers(
    recipe: Recipe, pixels: torch.Tensor, ways: Sequence[Way], model: Classifier, *, settings: Settings
) -> Iterator[Measurement]:
    """Every way of answering with one recipe's network, against plain eager PyTorch in fp32.

    The gap is the largest difference of a logit from the plain one, as a fraction of the largest plain logit. Both
    have their mean over the classes taken off, which says nothing and which probabilities do not hold.
    """
    device, batch = pixels.device, len(pixels)
    plain = _plain(model)
    calls = 1 if batch > 1 else _QUICK_CALLS if settings.quick else _CALLS_AT_ONE
    for name, precision, answer in ways:
        with torch.inference_mode():
            expected = plain(pixels)
            gap = float((_centred(answer(pixels)) - _centred(expected)).abs().max() / expected.abs().max())
        conditions = tuple(conditions_here(device=device, precision=one, batch=batch) for one in (precision, "fp32"))
        comparison = compare(
            _repeated(answer, pixels, calls), _repeated(plain, pixels, calls), warmup=2, repeats=settings.repeats,
            synchronize=DeviceAndPrecision(device).synchronize, conditions=(conditions[0], conditions[1]),
        )  # fmt: skip
        rate, plain_rate = calls * batch / comparison.a.median, calls * batch / comparison.b.median
        figures = dict(zip(_FIGURES, (plain_rate, rate, comparison.ratio, gap), strict=True))
        case = f"{recipe.name} batch {batch}, {name}"
        yield Measurement("predict", case, figures, comparison.a.conditions, comparison=comparison)


def _settled(recipe: Recipe, side: int) -> Classifier:
    """The recipe's network with running statistics of its own activations, as after training."""
    model = build(ModelSpec(recipe.model, (side, side, 3), 10, MEAN, STD, recipe.model_options), seed=0)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0  # one batch settles them
    with torch.no_grad():
        model.train()(to_float(torch.from_numpy(noise_images(32, side=side).images)))
    return model.eval()


def _plain(model: Classifier) -> Answer:
    """What one writes without thinking of speed: fp32, channels first, eager."""
    plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def answer(pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = plain(pixels.permute(0, 3, 1, 2).float().contiguous() / 255)
        return logits

    return answer


def _ways(model: Classifier) -> Iterator[Way]:
    folded = made_fast(model)

    def evaluation(pixels: torch.Tensor) -> torch.Tensor:
        with torch.autocast(pixels.device.type, torch.bfloat16):
            logits: torch.Tensor = folded(to_float(pixels))
        return logits.float()

    yield "bf16 autocast, fused (evaluate, predict)", "bf16", evaluation
    for precision in ("fp32", "bf16"):
        fast = optimize_for_inference(model, bf16=precision == "bf16")
        yield f"{precision} fused, channels_last", precision, lambda pixels, fast=fast: fast(to_float(pixels))  # type: ignore[misc]


def _onnx_ways(model: Classifier, side: int) -> Iterator[Way]:
    """The two ONNX files; the ranges of int8 come from noise, which is good enough for a clock."""
    plain = to_onnx(to_program(from_pixels(model), (side, side, 3)))
    noise = noise_images(64, side=side)
    for precision, content in (("fp32", plain), ("int8", quantized(plain, replace(noise, role="train")))):
        session = OnnxSession(content)
        yield f"{precision} {session.runtime}", precision, _in_runtime(session)


def _in_runtime(session: OnnxSession) -> Answer:
    def answer(pixels: torch.Tensor) -> torch.Tensor:
        images = pixels.numpy()
        probabilities = session.probabilities(images, batch_size=len(images))
        return torch.from_numpy(np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)))

    return answer


def _centred(logits: torch.Tensor) -> torch.Tensor:
    return logits - logits.mean(dim=1, keepdim=True)


def _repeated(answer: Answer, pixels: torch.Tensor, calls: int) -> Callable[[], None]:
    def work() -> None:
        with torch.inference_mode():
            for _ in range(calls):
                answer(pixels)

    return work
