"""`predict`: images per second answered, plain eager PyTorch against Snellen's ways, at batch 1 and 512."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from snellen.augment.batched import to_float
from snellen.bench.conditions import conditions_here
from snellen.bench.measurement import Measurement
from snellen.bench.noise import MEAN, STD, noise_images
from snellen.bench.protocol import compare
from snellen.bench.settings import Settings
from snellen.evaluate.fused import for_answering
from snellen.models.catalog import build
from snellen.models.device import choose_device
from snellen.models.normalized import Classifier
from snellen.recipes.catalog import find_recipe
from snellen.recipes.recipe import Recipe
from snellen.train.placement import Placement, Precision

RECIPES = ("small_cnn", "resnet18", "sprint")
BATCHES, QUICK_BATCHES = (1, 512), (1, 8)
_FIGURES = ("plain images/s", "images/s", "× plain", "largest gap")
_CALLS_AT_ONE, _QUICK_CALLS = (
    20,
    2,
)  # a single answer takes a millisecond or less: below what one look at the clock can tell

Answer = Callable[[torch.Tensor], torch.Tensor]
"""(B, H, W, C) uint8 on the device -> logits (B, K) float32."""


def measure(settings: Settings) -> Iterator[Measurement]:
    """One line per recipe, batch and way of answering; each way takes turns with the plain one."""
    names = (settings.recipe,) if settings.recipe else RECIPES
    yield from measure_recipes([find_recipe(name) for name in names], settings)


def measure_recipes(recipes: Sequence[Recipe], settings: Settings) -> Iterator[Measurement]:
    """The same for these recipes."""
    device = choose_device(settings.device)
    for recipe in recipes:
        for batch in QUICK_BATCHES if settings.quick else BATCHES:
            yield from measure_answers(recipe, batch, device=device, settings=settings)


def measure_answers(recipe: Recipe, batch: int, *, device: torch.device, settings: Settings) -> Iterator[Measurement]:
    """Every way of answering with one recipe's network, against plain eager PyTorch in fp32.

    The gap is the largest difference of a logit from the plain one, as a fraction of the largest plain logit.
    """
    pixels = torch.from_numpy(noise_images(batch).images).to(device)
    model = _settled(recipe).to(device)
    plain = _plain(model)
    calls = 1 if batch > 1 else _QUICK_CALLS if settings.quick else _CALLS_AT_ONE
    for name, precision, answer in _ways(model):
        with torch.inference_mode():
            expected = plain(pixels)
            gap = float((answer(pixels) - expected).abs().max() / expected.abs().max())
        conditions = tuple(conditions_here(device=device, precision=one, batch=batch) for one in (precision, "fp32"))
        comparison = compare(
            _repeated(answer, pixels, calls), _repeated(plain, pixels, calls), warmup=2, repeats=settings.repeats,
            synchronize=Placement(device, "fp32", "").synchronize, conditions=(conditions[0], conditions[1]),
        )  # fmt: skip
        rate, plain_rate = calls * batch / comparison.a.median, calls * batch / comparison.b.median
        figures = dict(zip(_FIGURES, (plain_rate, rate, comparison.ratio, gap), strict=True))
        case = f"{recipe.name} batch {batch}, {name}"
        yield Measurement("predict", case, figures, comparison.a.conditions, comparison=comparison)


def _settled(recipe: Recipe) -> Classifier:
    """The recipe's network with running statistics of its own activations, as after training."""
    model = build(
        recipe.model, image_shape=(32, 32, 3), num_classes=10, mean=MEAN, std=STD, seed=0, options=recipe.model_options
    )
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0  # one batch settles them
    with torch.no_grad():
        model.train()(to_float(torch.from_numpy(noise_images(32).images)))
    return model.eval()


def _plain(model: Classifier) -> Answer:
    """What one writes without thinking of speed: fp32, channels first, eager."""
    plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def answer(pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = plain(pixels.permute(0, 3, 1, 2).float().contiguous() / 255)
        return logits

    return answer


def _ways(model: Classifier) -> Iterator[tuple[str, Precision, Answer]]:
    channels_last = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def evaluation(pixels: torch.Tensor) -> torch.Tensor:
        with torch.autocast(pixels.device.type, torch.bfloat16):
            logits: torch.Tensor = channels_last(to_float(pixels))
        return logits.float()

    yield "bf16 autocast, channels_last (evaluate)", "bf16", evaluation
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        fast = for_answering(model, bf16=precision == "bf16")
        yield f"{precision} fused, channels_last", precision, _through(fast)


def _through(model: nn.Module) -> Answer:
    return lambda pixels: model(to_float(pixels))


def _repeated(answer: Answer, pixels: torch.Tensor, calls: int) -> Callable[[], None]:
    def work() -> None:
        with torch.inference_mode():
            for _ in range(calls):
                answer(pixels)

    return work
