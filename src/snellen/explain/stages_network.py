"""The middle stops: what the network makes of the picture, layer by layer, until there are logits.

One forward pass is recorded. Each layer shown is then computed again in NumPy from what went into it, so an error
cannot hide behind the ones before it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

import snellen
from snellen.explain.by_hand import batch_norm, convolve_at, linear
from snellen.explain.context import Subject
from snellen.explain.quoted import Line, quote
from snellen.explain.stage import (
    Check,
    Picture,
    Stage,
    compare,
    numbers_of,
    show_bars,
    show_signed,
    show_strongest,
)
from snellen.explain.stages_pixels import plain_batch
from snellen.inspect.features import recorded
from snellen.inspect.layers import Layer, head_of, layers_of
from snellen.models.sprint_net import SprintNet
from snellen.predict.predict import evaluating

_BY_HAND = "explain/by_hand.py"
_ROUNDING = 3e-5  # sums of a few thousand float32 products, taken in another order


@dataclass(frozen=True, eq=False)
class Pass:
    """What one forward pass left behind.

    Attributes:
        logits: (K,) float32.
        seen: maps (C, h, w) by depth key, and "last": the (D,) input of the last layer.
        inputs: by layer path, what went in, without the batch axis.
        outputs: by layer path, what came out.
    """

    logits: NDArray[np.float32]
    seen: dict[str, NDArray[np.float32]]
    inputs: dict[str, NDArray[np.float32]]
    outputs: dict[str, NDArray[np.float32]]


def forward(subject: Subject) -> Pass:
    """Show the plain picture to the model, in float32, and keep what the stages look at."""
    model = subject.ground.model
    depths = layers_of(subject.ground.recipe.model)
    paths = [_first_layer(subject), *(_last_step(subject, depth) for depth in depths)]
    with ExitStack() as open_while_looking:
        # Before `recorded`, whose hooks hand on a rectified output: what is compared is the layer's own.
        kept = open_while_looking.enter_context(_kept(model, paths))
        seen = open_while_looking.enter_context(recorded(model, depths))
        open_while_looking.enter_context(evaluating(model))
        logits = model(plain_batch(subject))[0].float().numpy()
    inputs, outputs = ({path: pair[side] for path, pair in kept.items()} for side in (0, 1))
    return Pass(logits, {key: value[0].float().numpy() for key, value in seen.items()}, inputs, outputs)


def network_stages(subject: Subject, passed: Pass) -> list[Stage]:
    """First layer, the depths of this model, logits."""
    depths = layers_of(subject.ground.recipe.model)
    return [
        _first(subject, passed),
        *(_depth(subject, passed, depth) for depth in depths),
        _logits(subject, passed),
    ]


@contextmanager
def _kept(model: nn.Module, paths: list[str]) -> Iterator[dict[str, tuple[NDArray[np.float32], ...]]]:
    """Layer path -> (input, output) of the last forward pass, each without its batch axis."""
    found: dict[str, tuple[NDArray[np.float32], ...]] = {}
    handles = []
    for path in dict.fromkeys(paths):

        def keep(_: nn.Module, given: tuple[Tensor, ...], made: Tensor, path: str = path) -> None:
            found[path] = tuple(value[0].float().numpy().copy() for value in (given[0], made))

        handles.append(model.get_submodule(path).register_forward_hook(keep))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _first_layer(subject: Subject) -> str:
    layers = subject.ground.model.named_modules()
    return next(str(path) for path, layer in layers if isinstance(layer, nn.Conv2d | nn.Linear))


def _last_step(subject: Subject, depth: Layer) -> str:
    """Path of the last layer with numbers of its own inside a depth: a batch norm, or a convolution without one."""
    module = subject.ground.model.get_submodule(depth.layer)
    own = [path for path, each in module.named_modules() if isinstance(each, nn.Conv2d | nn.BatchNorm2d)]
    return ".".join(part for part in (depth.layer, own[-1]) if part)


def _line_of(subject: Subject, path: str) -> Line:
    """The statement of the model's own code that calls the layer at `path`."""
    inside, _, name = path.rpartition(".")
    owner: nn.Module = subject.ground.model.get_submodule(inside)
    file = inspect.getsourcefile(type(owner))
    assert file is not None, "models are written in files of this package"
    inner = Path(file).relative_to(Path(snellen.__file__).parent).as_posix()
    return quote(inner, f"self.{name}(", within=type(owner).__name__)


def _first(subject: Subject, passed: Pass) -> Stage:
    path = _first_layer(subject)
    layer, made = subject.ground.model.get_submodule(path), passed.outputs[path]
    check, line, facts = _again(layer, passed.inputs[path], made)
    if isinstance(layer, nn.Linear):
        title, says, layout = "First layer", "Every unit weighs all pixels of the picture at once.", "units"
        strongest = np.argsort(-made, kind="stable")[:6].tolist()
        shape = (subject.images.image_shape[2], *subject.images.image_shape[:2])
        weights = layer.weight.detach().numpy().reshape(-1, *shape)
        pictures = tuple(Picture(f"weights of unit {unit}", show_signed(weights[unit])) for unit in strongest)
    else:
        title, layout = "First convolution", "filters, h, w"
        says = (
            "Each filter's weights times the patch under them, summed, at every position. Here it is done again at one."
        )
        pictures = show_strongest(made)
    return Stage("first", title, says, numbers_of(made, layout), _line_of(subject, path), line, check, facts, pictures)


def _depth(subject: Subject, passed: Pass, depth: Layer) -> Stage:
    path, maps = _last_step(subject, depth), passed.seen[depth.key]
    layer = subject.ground.model.get_submodule(path)
    check, line, facts = _again(layer, passed.inputs[path], passed.outputs[path])
    kind = "batch norm" if isinstance(layer, nn.BatchNorm2d) else "convolution"
    return Stage(
        key=depth.key,
        title=f"{depth.key.capitalize()} features",
        says=f"What leaves {depth.layer.removeprefix('net.')}: {maps.shape[0]} maps of {maps.shape[1]}x{maps.shape[2]} "
        f"positions, after the activation. Done again: its last {kind}, from what went into it.",
        numbers=numbers_of(maps, "channels, h, w"),
        production=_line_of(subject, path),
        by_hand=line,
        check=check,
        facts=(("layer done again", path.removeprefix("net.")), *facts),
        pictures=show_strongest(maps),
    )


Again = tuple[Check, Line, tuple[tuple[str, str], ...]]
"""The check, the NumPy line that was used, and where."""


def _again(layer: nn.Module, given: NDArray[np.float32], made: NDArray[np.float32]) -> Again:
    """Compute a layer again in float64 from its input; a convolution at the middle position, the others wholly."""
    own = {name: value.detach().double().numpy() for name, value in layer.state_dict().items()}
    exact = given.astype(np.float64)
    if isinstance(layer, nn.Linear):
        by_hand, line, facts = linear(exact, own["weight"], own.get("bias", 0.0)), _line("linear", "weight @"), ()
        return compare(made, by_hand, relative=_ROUNDING), line, facts
    if isinstance(layer, nn.BatchNorm2d):
        mean, variance = own["running_mean"][:, None, None], own["running_var"][:, None, None]
        scale, shift = own["weight"][:, None, None], own["bias"][:, None, None]
        by_hand = batch_norm(exact, mean, variance, scale, shift, layer.eps)
        return compare(made, by_hand, relative=_ROUNDING), _line("batch_norm", "np.sqrt"), ()
    assert isinstance(layer, nn.Conv2d), "depths end in a convolution or in a batch norm"
    row, column = made.shape[1] // 2, made.shape[2] // 2
    patch = _patch(layer, exact, row, column)
    by_hand = convolve_at(patch, own["weight"], own.get("bias", 0.0))
    at = (("position", f"row {row}, column {column}"), ("patch", "x".join(map(str, patch.shape))))
    return compare(made[:, row, column], by_hand, relative=_ROUNDING), _line("convolve_at", "weight * patch"), at


def _patch(layer: nn.Conv2d, given: NDArray[np.float64], row: int, column: int) -> NDArray[np.float64]:
    """(C, k, k): what the filters lie on when they make the output at this position."""
    (high, wide), (down, right) = layer.kernel_size, layer.stride
    above, left = (int(pixels) for pixels in layer.padding)
    padded = np.pad(given, ((0, 0), (above, above), (left, left)))
    return padded[:, row * down : row * down + high, column * right : column * right + wide]


def _logits(subject: Subject, passed: Pass) -> Stage:
    head, last = head_of(subject.ground.model), passed.seen["last"].reshape(-1)
    own = {name: value.detach().double().numpy() for name, value in head.state_dict().items()}
    by_hand = linear(last.astype(np.float64), own["weight"], own.get("bias", 0.0))
    factor: tuple[tuple[str, str], ...] = ()
    if isinstance(subject.ground.model.net, SprintNet):
        by_hand, factor = by_hand / len(last), (("divided by", f"{len(last)}, the features' number"),)
    path = next(path for path, layer in subject.ground.model.named_modules() if layer is head)
    names = subject.images.class_names
    return Stage(
        key="logits",
        title="Logits",
        says=f"The last layer weighs {len(last)} features and gives each of the {len(names)} classes one number.",
        numbers=numbers_of(passed.logits, "classes"),
        production=_line_of(subject, path),
        by_hand=_line("linear", "weight @"),
        check=compare(passed.logits, by_hand, relative=_ROUNDING),
        facts=(*factor, *_ranked(passed.logits, names)),
        pictures=(Picture("one bar a class", show_bars(passed.logits)),),
    )


def _ranked(logits: NDArray[np.float32], names: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    order = np.argsort(-logits, kind="stable")[:3].tolist()
    return tuple((names[index], f"{logits[index]:.3f}") for index in order)


def _line(function: str, fragment: str) -> Line:
    return quote(_BY_HAND, fragment, within=function)
