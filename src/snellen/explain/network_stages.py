"""The last stops: what the network makes of the picture, its answer and loss, and what was written down about it.

One forward pass is recorded. Each layer shown is then computed again in NumPy from what went into it, so an error
cannot hide behind the ones before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snellen.augment.batched import to_float
from snellen.errors import RunError
from snellen.explain import by_hand
from snellen.explain.context import TracedImage
from snellen.explain.stage import Call, Picture, Stage, call, show_bars, show_bytes, show_signed, show_strongest
from snellen.inspect.layers import Layer, layers_of
from snellen.metrics.classification import hard_cross_entropy
from snellen.models.external import last_linear
from snellen.models.sprint_net import SprintNet
from snellen.predict.own_pictures import most_probable
from snellen.predict.predict import averaged_logits, evaluating
from snellen.predict.predictions import Predictions, softmax
from snellen.train.losses import batch_losses

_ROUNDING = 3e-5  # sums of a few thousand float32 products, taken in another order
_STORED = {"fp32": 2e-3, "bf16": 5e-2}
"""Of the largest logit. A GPU multiplies fp32 with 10 bits of mantissa in convolutions, bf16 has 7."""
_TOP = 5

Seen = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Path of a module -> what went in and what came out, without the batch axis; "" is the whole model."""


def network_stages(image: TracedImage) -> Iterator[Stage]:
    """From the first layer to the stored answer, in order; what the run does not have is left out.

    Raises:
        RunError: the run's file of val predictions does not hold this picture.
    """
    seen, one = _forward(image), image.alone
    answer = Predictions.of(one, seen[""][1][None])
    yield _first_layer(image, seen)
    yield from (_layer(image, seen, layer) for layer in layers_of(image.context.recipe.model))
    yield (logits := _logits(image, seen))
    yield _softmax(answer)
    yield _top(answer)
    yield _loss(image, answer)
    if image.context.recipe.tta != "none":
        yield _views(image)
    if image.context.stored is not None and one.role == "val":
        yield _stored(image, image.context.stored, logits)


def _forward(image: TracedImage) -> Seen:
    """Show the plain picture to the model, in float32."""
    seen: Seen = {}
    handles = []
    for path, module in image.context.model.named_modules():

        def keep(_: nn.Module, given: tuple[Any, ...], made: Any, path: str = path) -> None:
            if given and isinstance(given[0], Tensor) and isinstance(made, Tensor):  # all layers that are shown
                seen[path] = given[0][0].float().numpy().copy(), made[0].float().numpy().copy()

        handles.append(module.register_forward_hook(keep))
    try:
        with evaluating(image.context.model):
            image.context.model(to_float(image.batch))
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _caller(image: TracedImage, path: str, result: NDArray[np.float32]) -> Call:
    """The forward function that calls the module at `path`; torch's containers, which only pass on, are skipped."""
    owner: nn.Module = image.context.model
    name = path
    while path:
        path, _, name = path.rpartition(".")
        owner = image.context.model.get_submodule(path)
        if not type(owner).__module__.startswith("torch.nn."):
            break
    return Call(type(owner).forward, result, f"self.{name}(")


def _again(image: TracedImage, path: str, seen: Seen) -> tuple[Call, Call, dict[str, str]]:
    """A module's own call, the same in float64 from its input, and where.

    A convolution is done again at the middle position, anything else wholly.
    """
    module, (given, made) = image.context.model.get_submodule(path), seen[path]
    own: dict[str, Any] = {name: value.detach().double().numpy() for name, value in module.state_dict().items()}
    exact = given.astype(np.float64)
    if isinstance(module, nn.Linear):
        again = call(by_hand.linear, exact.reshape(-1), own["weight"], own.get("bias", 0.0))
        return _caller(image, path, made), again, {}
    if isinstance(module, nn.BatchNorm2d):
        columns = (own[name][:, None, None] for name in ("running_mean", "running_var", "weight", "bias"))
        return _caller(image, path, made), call(by_hand.batch_norm, exact, *columns, module.eps), {}
    assert isinstance(module, nn.Conv2d), "the layers shown end in a convolution or in a batch norm"
    row, column = made.shape[1] // 2, made.shape[2] // 2
    patch = _patch(module, exact, row, column)
    again = call(by_hand.convolve_at, patch, own["weight"], own.get("bias", 0.0))
    where = {"position": f"row {row}, column {column}", "patch": "x".join(map(str, patch.shape))}
    return _caller(image, path, made[:, row, column]), again, where


def _patch(layer: nn.Conv2d, given: NDArray[np.float64], row: int, column: int) -> NDArray[np.float64]:
    """(C, k, k): what the filters lie on when they make the output at this position."""
    (high, wide), (down, right) = layer.kernel_size, layer.stride
    above, left = (int(pixels) for pixels in layer.padding)
    padded = np.pad(given, ((0, 0), (above, above), (left, left)))
    return padded[:, row * down : row * down + high, column * right : column * right + wide]


def _first_layer(image: TracedImage, seen: Seen) -> Stage:
    layers = image.context.model.named_modules()
    path, layer = next((path, layer) for path, layer in layers if isinstance(layer, nn.Conv2d | nn.Linear))
    made, again, facts = _again(image, path, seen)
    output = seen[path][1]
    if isinstance(layer, nn.Linear):
        title, says, layout = "First layer", "Every unit weighs all pixels of the picture at once.", "units"
        height, width, channels = image.pixels.shape
        weights = layer.weight.detach().numpy().reshape(-1, channels, height, width)
        strongest = np.argsort(-output, kind="stable")[:6].tolist()
        pictures = tuple(Picture(f"weights of unit {unit}", show_signed(weights[unit])) for unit in strongest)
    else:
        title, layout, pictures = "First convolution", "filters, h, w", show_strongest(output)
        says = "Each filter's weights times the patch under them, summed, at every position. Here again at one of them."
    return Stage("first", title, says, layout, made, again, _ROUNDING, facts, pictures, leaves=output)


def _layer(image: TracedImage, seen: Seen, layer: Layer) -> Stage:
    """An early, middle or late layer, by the last module in it that has numbers of its own."""
    inside = image.context.model.get_submodule(layer.path).named_modules(prefix=layer.path)
    path, last = [each for each in inside if isinstance(each[1], nn.Conv2d | nn.BatchNorm2d)][-1]
    made, again, facts = _again(image, path, seen)
    output = seen[layer.path][1]
    maps = np.maximum(output, 0) if layer.rectify else output
    kind = "batch norm" if isinstance(last, nn.BatchNorm2d) else "convolution"
    return Stage(
        key=layer.key,
        title=f"{layer.key.capitalize()} features",
        says=f"What leaves {layer.path.removeprefix('net.')}: {maps.shape[0]} maps of {maps.shape[1]}x{maps.shape[2]} "
        f"positions, after the activation. Done again: its last {kind}, from what went into it.",
        layout="channels, h, w",
        production=made,
        by_hand=again,
        relative=_ROUNDING,
        facts={"layer done again": path.removeprefix("net."), **facts},
        pictures=show_strongest(maps),
        leaves=maps,
    )


def _logits(image: TracedImage, seen: Seen) -> Stage:
    model, names, logits = image.context.model, image.images.class_names, seen[""][1]
    path, _ = last_linear(model)
    made, again, facts = _again(image, path, seen)
    features = seen[path][0].size
    if isinstance(model.net, SprintNet):
        again = again.part(lambda sums: sums / features)
        facts = {"divided by": f"{features}, the features' number"}
    best = np.argsort(-logits, kind="stable")[:3].tolist()
    return Stage(
        key="logits",
        title="Logits",
        says=f"The last layer weighs {features} features and gives each of the {len(names)} classes one number.",
        layout="classes",
        production=made.part(lambda _: logits),
        by_hand=again,
        relative=_ROUNDING,
        facts=facts | {names[index]: f"{logits[index]:.3f}" for index in best},
        pictures=(Picture("one bar a class", show_bars(logits)),),
    )


def _softmax(answer: Predictions) -> Stage:
    made = call(softmax, answer.logits).part(itemgetter(0))
    return Stage(
        key="softmax",
        title="Probabilities",
        says="Softmax in float64. The largest logit is subtracted first, which changes nothing and cannot overflow; "
        "beside it the textbook's formula.",
        layout="classes",
        production=made,
        by_hand=call(by_hand.softmax, answer.logits[0].astype(np.float64)),
        relative=1e-12,
        facts={"sum": f"{made.result.sum():.12f}"},
        pictures=(Picture("one bar a class", show_bars(made.result)),),
    )


def _top(answer: Predictions) -> Stage:
    probabilities, names, label = answer.probabilities[0], answer.class_names, int(answer.labels[0])
    made = call(most_probable, probabilities, _TOP)
    best, verdict = made.result, "right" if made.result[0] == label else "wrong"
    return Stage(
        key="top",
        title=f"Top {len(best)}",
        says=f"The answer is {names[best[0]]}, the label says {names[label]}: {verdict}. Equals rank in class order.",
        layout="probabilities, the largest first",
        production=made,
        by_hand=call(by_hand.most_probable, probabilities, _TOP),
        facts={names[index]: f"{100 * probabilities[index]:.2f} %" for index in best},
        pictures=(Picture("the largest first", show_bars(probabilities[best])),),
        leaves=probabilities[best],
    )


def _loss(image: TracedImage, answer: Predictions) -> Stage:
    """What training would take for it, of the plain picture: smoothed and weighted as the recipe says."""
    recipe, train = image.context.recipe, image.context.images.train
    balanced, smoothing, label = recipe.class_weights == "balanced", recipe.label_smoothing, answer.labels.item()
    weights = train.balanced_weights if balanced else np.ones(train.num_classes)
    made = call(
        batch_losses,
        torch.from_numpy(answer.logits),
        torch.from_numpy(answer.labels),
        class_weights=torch.tensor(weights, dtype=torch.float32) if balanced else None,
        label_smoothing=smoothing,
    ).part(lambda losses: losses.numpy())
    by_whom = ", by the function that training calls" if recipe.loss == "cross_entropy" else ""
    facts = {"label smoothing": f"{smoothing:g}"}
    if balanced:
        facts[f"weight of {answer.class_names[label]}"] = f"{weights[label]:.3g}"
    if recipe.loss != "cross_entropy":
        facts["loss of the training"] = f"{recipe.loss}, which is not shown here"
    facts["minus the log of the label's probability"] = f"{hard_cross_entropy(answer):.6f}"
    return Stage(
        key="loss",
        title="Loss of this image",
        says=f"The cross-entropy in nats{by_whom}: {made.result[0]:.4f}. Torch in float32, NumPy in float64.",
        layout="images",
        production=made,
        by_hand=call(by_hand.cross_entropy, answer.logits[0].astype(np.float64), label, smoothing, weights),
        relative=1e-5,
        facts=facts,
        pictures=(Picture("one bar an image", show_bars(made.result)),),
    )


def _views(image: TracedImage) -> Stage:
    tta, share, model = image.context.recipe.tta, image.context.recipe.tta_fraction, image.context.model
    views, names = by_hand.views(image.pixels, tta), image.images.class_names
    with evaluating(model):
        batch = to_float(image.batch)
        made = call(averaged_logits, model, batch, tta, model(batch)).part(lambda logits: logits[0].numpy())
        logits = np.concatenate([model(to_float(torch.from_numpy(each[None].copy()))).numpy() for _, each in views])
    weights = np.array([weight for weight, _ in views])
    answers = [names[index] for index in logits.argmax(axis=1).tolist()]
    only = f" Only the {100 * share:g} % least sure pictures get them." if share < 1 else ""
    return Stage(
        key="views",
        title="Test-time views",
        says=f"{len(views)} fixed views ({tta}), nothing random; their logits averaged say "
        f"{names[int(made.result.argmax())]}.{only}",
        layout="classes",
        production=made,
        by_hand=call(by_hand.average, weights, logits.astype(np.float64)),
        relative=_ROUNDING,
        facts={f"view {n}, weight {weights[n - 1]:g}": said for n, said in enumerate(answers, start=1)},
        pictures=tuple(Picture(f"{n + 1}: {answers[n]}", show_bytes(each)) for n, (_, each) in enumerate(views)),
    )


def _stored(image: TracedImage, stored: Predictions, logits: Stage) -> Stage:
    run, at = image.context.run, np.flatnonzero(stored.ids == image.image_id)
    if len(at) == 0:
        raise RunError(
            f"{run.folder / 'predictions_val.npz'} has no image {image.image_id}. "
            f"Grade the run again: snellen evaluate {run.typed}"
        )
    precision, row = str(run.info["precision"]), stored.logits[at[0]]
    return Stage(
        key="stored",
        title="What was written down",
        says="predictions_val.npz holds these logits, and every grade, matrix and page is computed from them. Beside "
        f"them the logits done by hand above, in float32: only the rounding of {precision} may lie between.",
        layout="classes",
        production=Call(Predictions.load, row),
        by_hand=logits.by_hand,
        relative=_STORED["bf16" if precision == "bf16" else "fp32"],
        facts={
            "precision": precision,
            "device": str(run.info["device"]),
            "stored answer": stored.class_names[int(row.argmax())],
        },
        pictures=(Picture("one bar a class", show_bars(row)),),
    )
