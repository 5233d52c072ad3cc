"""The second noun: every choice of a training, as frozen data without torch.

A recipe is complete. Nothing is "auto", nothing is filled in later; what is not written here does not happen.
Two recipes that compare equal train the same way on the same data with the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from snellen.errors import InvalidSetting, require_types

Flip = Literal["none", "random", "alternate"]
TTA = Literal["none", "flip", "shift", "ten_crop"]
ClassWeights = Literal["none", "balanced"]
Sampling = Literal["natural", "balanced"]


def _require(condition: bool, field: str, value: object, rule: str) -> None:
    if not condition:
        raise InvalidSetting(f"{field}={value!r} is not possible: {rule}.")


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random changes to training images; evaluation has none, by type.

    Attributes:
        crop_pixels: reflect-pad by this many pixels and crop a random window of the original size.
        flip: horizontal mirror: "none", "random" (a coin per image and epoch) or "alternate" (a coin per image
            in the first epoch, then mirrored every other epoch, so that both sides are seen equally often).
        brightness: factor drawn from [1 - b, 1 + b]; 0 is off.
        contrast: as brightness, about the image's mean grey value.
        saturation: as brightness, about each pixel's grey value.
        randaugment: operations drawn per image out of fourteen (Cubuk et al. 2020); 0 is off.
        randaugment_magnitude: their strength, 0 to 30 as in torchvision.
        erase: probability that a random rectangle is painted in the image's mean colour (Zhong et al. 2020).
        mixup: blend each image and its target with another of its batch, by a weight from Beta(a, a) (Zhang et al.
            2018); 0 is off.
        cutmix: paste a rectangle of another image of the batch, whose area is drawn from Beta(a, a) (Yun et al. 2019);
            0 is off. With mixup on too, a coin per image decides.
    """

    crop_pixels: int = 0
    flip: Flip = "none"
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    randaugment: int = 0
    randaugment_magnitude: int = 9
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        require_types(self, "augment.")
        _require(0 <= self.crop_pixels <= 16, "augment.crop_pixels", self.crop_pixels, "0 to 16 pixels")
        for name in ("brightness", "contrast", "saturation"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"augment.{name}", value, "a fraction in [0, 1)")
        magnitude = self.randaugment_magnitude
        _require(0 <= self.randaugment <= 8, "augment.randaugment", self.randaugment, "0 to 8 operations")
        _require(0 <= magnitude <= 30, "augment.randaugment_magnitude", magnitude, "0 to 30")
        unused = self.randaugment == 0 and magnitude != 9
        _require(not unused, "augment.randaugment_magnitude", magnitude, "augment.randaugment=0 makes no operation")
        _require(0 <= self.erase <= 1, "augment.erase", self.erase, "a probability in [0, 1]")
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            _require(
                value == 0 or 0.01 <= value <= 100, f"augment.{name}", value, "0, or the a of Beta(a, a), 0.01-100"
            )

    @property
    def is_identity(self) -> bool:
        """Whether nothing is changed at all."""
        return self == Augment()


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Stochastic gradient descent on the mean loss of a batch, one group for all parameters.

    Attributes:
        lr: peak learning rate for the recipe's batch size.
        momentum: fraction of the last update that is kept; 0 is off.
        nesterov: look ahead along the momentum.
        weight_decay: L2 coefficient on every parameter, coupled with the gradient as in torch.optim.SGD.
    """

    kind: ClassVar[str] = "sgd"
    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require_types(self, "optimizer.")
        _require(self.lr > 0, "optimizer.lr", self.lr, "a positive number")
        _require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "a fraction in [0, 1)")
        _require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        _require(not self.nesterov or self.momentum > 0, "optimizer.nesterov", True, "it needs optimizer.momentum > 0")


@dataclass(frozen=True, kw_only=True)
class Muon:
    """Muon for convolution filters, Nesterov SGD for biases and head, both on the *summed* loss of a batch.

    Attributes:
        filter_lr: step length for filters, whose matrices are held at norm sqrt(output channels).
        filter_momentum: Nesterov momentum of the filters.
        bias_lr: learning rate of the norm and whitening biases, for the summed loss.
        head_lr: learning rate of the last layer, for the summed loss.
        momentum: Nesterov momentum of biases and head.
        weight_decay: fraction of a weight removed per step at learning rate 1 (decoupled from the gradient's size).

    Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    """

    kind: ClassVar[str] = "muon"
    filter_lr: float = 0.24
    filter_momentum: float = 0.6
    bias_lr: float = 0.053
    head_lr: float = 0.67
    momentum: float = 0.85
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require_types(self, "optimizer.")
        for name in ("filter_lr", "bias_lr", "head_lr"):
            _require(getattr(self, name) > 0, f"optimizer.{name}", getattr(self, name), "a positive number")
        for name in ("filter_momentum", "momentum"):
            _require(0 < getattr(self, name) < 1, f"optimizer.{name}", getattr(self, name), "a fraction in (0, 1)")
        _require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate over training, as a fraction of its peak.

    Attributes:
        shape: "constant", "cosine" (to the floor) or "linear" (to the floor).
        warmup_fraction: rise linearly from 0 over this fraction of all steps.
        tail_fraction: stay at the floor for this last fraction of all steps.
        floor: lowest fraction of the peak.
        per: change the rate every "step", or once an "epoch" as PyTorch's schedulers are commonly used.
    """

    shape: Literal["constant", "cosine", "linear"] = "constant"
    warmup_fraction: float = 0.0
    tail_fraction: float = 0.0
    floor: float = 0.0
    per: Literal["step", "epoch"] = "step"

    def __post_init__(self) -> None:
        require_types(self, "schedule.")
        for name in ("warmup_fraction", "tail_fraction", "floor"):
            _require(0 <= getattr(self, name) < 1, f"schedule.{name}", getattr(self, name), "a fraction in [0, 1)")
        total = self.warmup_fraction + self.tail_fraction
        _require(total < 1, "schedule.tail_fraction", self.tail_fraction, "warm-up and tail together stay below 1")
        unused = self.shape == "constant" and (self.tail_fraction or self.floor)
        _require(not unused, "schedule.floor", self.floor, "a constant rate has no floor and no tail")


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Train on images shrunk to `side` pixels until this fraction of all steps; the last stage is full size."""

    side: int
    until: float

    def __post_init__(self) -> None:
        require_types(self, "resolutions.")
        _require(self.side >= 8, "resolutions.side", self.side, "8 pixels or more")
        _require(0 < self.until < 1, "resolutions.until", self.until, "a fraction in (0, 1)")


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """Stop training the parameters whose name starts with `prefix` after this fraction of all steps."""

    prefix: str
    after: float

    def __post_init__(self) -> None:
        require_types(self, "freezes.")
        _require(bool(self.prefix), "freezes.prefix", self.prefix, "the beginning of a parameter's name")
        _require(0 < self.after < 1, "freezes.after", self.after, "a fraction in (0, 1)")


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """Go on from weights that know other pictures: the head first, then everything, early layers gently.

    Attributes:
        head_only: fraction of all steps in which only the last layer learns.
        layer_decay: each top-level part of the network, from the head backwards, has its rate multiplied by this once
            more; 1 gives all the same. Source: J. Howard and S. Ruder, "ULMFiT", 2018 (discriminative fine-tuning).
    """

    head_only: float = 0.1
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        require_types(self, "finetune.")
        _require(0 <= self.head_only < 1, "finetune.head_only", self.head_only, "a fraction in [0, 1)")
        _require(0 < self.layer_decay <= 1, "finetune.layer_decay", self.layer_decay, "a factor in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class Average:
    """Pull the weights towards their own running mean near the end (lookahead).

    Every `every_steps` steps after the fraction `after`, mean += weight * (weights - mean), weights = mean.
    Source: Zhang et al., "Lookahead optimizer", 2019.
    """

    after: float
    every_steps: int = 4
    weight: float = 0.3

    def __post_init__(self) -> None:
        require_types(self, "average.")
        _require(0 <= self.after < 1, "average.after", self.after, "a fraction in [0, 1)")
        _require(self.every_steps >= 1, "average.every_steps", self.every_steps, "1 or more")
        _require(0 < self.weight <= 1, "average.weight", self.weight, "a fraction in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class DataPruning:
    """Dynamic data pruning: a random part of each batch's easiest images is left out, the other easy ones weigh more.

    Easy is an image whose loss, as it is trained on, was small the last time; so nothing is left out in the first
    epoch. But for batch norms, which see the thinned batch, the gradient is on average that of the whole one.

    Attributes:
        easiest: fraction of each batch that counts as easy.
        skip: fraction of the easy images that are left out, drawn anew each time.
        after: fraction of all steps before which nothing is left out.
        until: fraction of all steps from which on nothing is left out any more.

    Source: Z. Qin et al., "InfoBatch: lossless training speed up by unbiased dynamic data pruning", 2024; there epoch
    by epoch and below the mean loss, here batch by batch and by rank, so that batches and schedule keep their size.
    """

    easiest: float = 0.6
    skip: float = 0.5
    after: float = 0.1
    until: float = 0.9

    def __post_init__(self) -> None:
        require_types(self, "data_pruning.")
        _require(0 < self.easiest <= 0.9, "data_pruning.easiest", self.easiest, "a fraction in (0, 0.9]")
        _require(0 < self.skip < 1, "data_pruning.skip", self.skip, "a fraction in (0, 1)")
        _require(0 <= self.after < 1, "data_pruning.after", self.after, "a fraction in [0, 1)")
        _require(
            self.after < self.until <= 1,
            "data_pruning.until",
            self.until,
            "a fraction after data_pruning.after, at most 1",
        )

    def active(self, fraction: float) -> bool:
        """Whether images are left out after this fraction of all steps."""
        return self.after <= fraction < self.until

    def easy_and_kept(self, count: int) -> tuple[int, int]:
        """How many of a batch of `count` images are easy, and how many of those stay; at least two images always do."""
        easy = int(self.easiest * count)
        return easy, min(easy, max(1, round(easy * (1 - self.skip))))

    def trained_share(self, epochs: float) -> float:
        """Fraction of its images that a training of so many epochs does train on."""
        return 1 - self.easiest * self.skip * max(0.0, self.until - max(self.after, 1 / epochs))


@dataclass(frozen=True, kw_only=True)
class Expect:
    """What a recipe gave when it was measured; a run outside it is told so.

    Attributes:
        data: the data set it was measured on.
        split: "val" (trained on train) or "test" (trained on train + val).
        accuracy: lower and upper end of the 95 % interval of the plain top-1 accuracy, fractions.
        minutes: of training and evaluation, the slowest of the runs.
        machine: they were made on.
        runs: how many.
        evidence: folder in results/.
    """

    data: str
    split: Literal["val", "test"]
    accuracy: tuple[float, float]
    minutes: float
    machine: str
    runs: int
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides how a model is trained, except the data and the seed.

    Attributes:
        name: what the command line calls it.
        model: a name in `models.catalog`.
        widths: channels per stage of the model; empty means the model's own.
        stem: first layer of models that offer a choice: "small" or "stock"; empty means the model's own.
        epochs: passes over the training images; a fraction ends inside the last one.
        batch_size: images per update, over all devices together.
        augment: random changes to training images.
        optimizer: SGD or Muon.
        schedule: the learning rate over training.
        label_smoothing: fraction of the target spread evenly over all K classes (PyTorch's convention).
        class_weights: "balanced" gives each class the same say in the loss: N / (K n) for a class of n images.
        sampling: "natural" shows each image once an epoch; "balanced" shows each class equally often, so images of
            rare classes several times and not all of the common ones.
        resolutions: stages on smaller images, in order; empty means full size throughout.
        freezes: parameters that stop training early.
        data_pruning: easy images that are left out for a while, or None.
        finetune: what a training from given weights does otherwise, or None.
        average: lookahead near the end, or None.
        ema_decay: grade an exponential moving average of the weights, which keeps this fraction of itself per step;
            0 is off.
        tta: views averaged when grading, beside the plain one.
        tta_fraction: fraction of the images, least confident first, that get the further views; 1 is all.
        evaluate_every: epochs between looks at val; the last epoch is always looked at.
        expect: what it gave when it was measured.
        note: one sentence: what this recipe is for.
    """

    name: str
    model: str
    epochs: float
    batch_size: int
    widths: tuple[int, ...] = ()
    stem: Literal["", "small", "stock"] = ""
    augment: Augment = Augment()
    optimizer: SGD | Muon = SGD()
    schedule: Schedule = Schedule()
    label_smoothing: float = 0.0
    class_weights: ClassWeights = "none"
    sampling: Sampling = "natural"
    resolutions: tuple[Resolution, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    data_pruning: DataPruning | None = None
    finetune: Finetune | None = None
    average: Average | None = None
    ema_decay: float = 0.0
    tta: TTA = "flip"
    tta_fraction: float = 1.0
    evaluate_every: int = 1
    expect: Expect | None = None
    note: str = ""

    def __post_init__(self) -> None:
        require_types(self)
        _require(0 < self.epochs <= 10_000, "epochs", self.epochs, "above 0 and at most 10000")
        _require(1 <= self.batch_size <= 65_536, "batch_size", self.batch_size, "1 to 65536 images")
        _require(0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "a fraction in [0, 1)")
        _require(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "a fraction in [0, 1)")
        both = self.class_weights == "balanced" and self.sampling == "balanced"
        _require(not both, "class_weights", self.class_weights, "sampling=balanced evens out the classes already")
        _require(0 < self.tta_fraction <= 1, "tta_fraction", self.tta_fraction, "a fraction in (0, 1]")
        _require(
            self.tta != "none" or self.tta_fraction == 1, "tta_fraction", self.tta_fraction, "tta=none has no views"
        )
        _require(self.evaluate_every >= 1, "evaluate_every", self.evaluate_every, "1 epoch or more")
        for kind in ("mixup", "cutmix"):
            amount = getattr(self.augment, kind)
            why = (
                "data_pruning leaves images out by their loss, and a mixed image's says nothing about it; "
                "use data_pruning=null"
            )
            _require(self.data_pruning is None or amount == 0, f"augment.{kind}", amount, why)
        ends = [stage.until for stage in self.resolutions]
        _require(ends == sorted(set(ends)), "resolutions.until", ends, "fractions must rise from stage to stage")
        decayed = self.finetune is not None and self.finetune.layer_decay < 1
        only = "its rates belong to kinds of parameters, not to layers; use optimizer.kind=sgd, or 1"
        _require(not (decayed and isinstance(self.optimizer, Muon)), "finetune.layer_decay", "below 1 with Muon", only)
        _require(all(1 <= width <= 8192 for width in self.widths), "widths", self.widths, "1 to 8192 channels")

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some fields changed."""
        return replace(self, **changes)

    @property
    def model_options(self) -> dict[str, Any]:
        """What is chosen about the model, as keyword arguments of its builder."""
        return {name: value for name, value in (("widths", self.widths), ("stem", self.stem)) if value}

    def side_at(self, fraction: float, *, full: int) -> int:
        """Side in pixels of the training images after this fraction of all steps; never above `full`."""
        for stage in self.resolutions:
            if fraction < stage.until:
                return min(stage.side, full)
        return full
