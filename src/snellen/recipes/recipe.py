"""The second noun: every choice of a training, as frozen data without torch.

A recipe is complete. Nothing is "auto", nothing is filled in later; what is not written here does not happen.
Two recipes that compare equal train the same way on the same data with the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal

from snellen import parts
from snellen.errors import require_types
from snellen.recipes.optimizer import SGD as SGD
from snellen.recipes.optimizer import SHAPES, require, require_part
from snellen.recipes.optimizer import AdamW as AdamW
from snellen.recipes.optimizer import Average as Average
from snellen.recipes.optimizer import Muon as Muon
from snellen.recipes.optimizer import Schedule as Schedule
from snellen.recipes.optimizer import TorchOptimizer as TorchOptimizer

Flip = Literal["none", "random", "alternate"]
TTA = Literal["none", "flip", "shift", "ten_crop"]
ClassWeights = Literal["none", "balanced"]
Weights = Literal["random", "pretrained", "file"]
Sampling = Literal["natural", "balanced"]
ResizedBy = Literal["shrink", "crop"]


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random changes to training images; evaluation has none, by type.

    Attributes:
        crop_pixels: reflect-pad by this many pixels and crop a random window of the original size.
        resized_crop: cut out a window of a random share of the area, from this one to all of it, and of a random shape
            between 3:4 and 4:3, and enlarge it to the whole size (Szegedy et al. 2015, as in torchvision's
            RandomResizedCrop); 0 is off.
        resized_crop_side: of what the window is enlarged to, as a fraction of the picture's side. Below 1 the network
            learns from smaller pictures than it is graded on, in which things are about as large (Touvron et al. 2019).
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
        before: transforms of your own that come before all of these, as references (`parts`): each is called with
            (B, H, W, C) uint8 and a seed, `f(images, seed=…)`, and gives the same shape and type.
        after: such that come after, and before images are mixed: (B, C, H, W) float32 in [0, 1] in and out.
    """

    crop_pixels: int = 0
    resized_crop: float = 0.0
    resized_crop_side: float = 1.0
    flip: Flip = "none"
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    randaugment: int = 0
    randaugment_magnitude: int = 9
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_types(self, "augment.")
        require(0 <= self.crop_pixels <= 16, "augment.crop_pixels", self.crop_pixels, "0 to 16 pixels")
        area = self.resized_crop
        require(area == 0 or 0.05 <= area < 1, "augment.resized_crop", area, "0, or a share of the area in [0.05, 1)")
        require(
            not (area and self.crop_pixels), "augment.resized_crop", area, "augment.crop_pixels crops already; set it 0"
        )
        side = self.resized_crop_side
        require(0.25 <= side <= 1, "augment.resized_crop_side", side, "a fraction of the picture's side in [0.25, 1]")
        require(side == 1 or area > 0, "augment.resized_crop_side", side, "augment.resized_crop=0 makes no window")
        for name in ("brightness", "contrast", "saturation"):
            value = getattr(self, name)
            require(0 <= value < 1, f"augment.{name}", value, "a fraction in [0, 1)")
        magnitude = self.randaugment_magnitude
        require(0 <= self.randaugment <= 8, "augment.randaugment", self.randaugment, "0 to 8 operations")
        require(0 <= magnitude <= 30, "augment.randaugment_magnitude", magnitude, "0 to 30")
        unused = self.randaugment == 0 and magnitude != 9
        require(not unused, "augment.randaugment_magnitude", magnitude, "augment.randaugment=0 makes no operation")
        require(0 <= self.erase <= 1, "augment.erase", self.erase, "a probability in [0, 1]")
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            require(value == 0 or 0.01 <= value <= 100, f"augment.{name}", value, "0, or the a of Beta(a, a), 0.01-100")
        for transform in (*self.before, *self.after):
            parts.read(transform)

    @property
    def is_identity(self) -> bool:
        """Whether nothing is changed at all."""
        return self == Augment()


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Train on smaller images until the fraction `until` of all steps; the last stage is full size.

    Attributes:
        side: pixels of the shorter side.
        until: fraction of all steps.
        by: "shrink" the whole image, or "crop" its middle, where everything keeps its size. With `augment.crop_pixels`
            no less than what is cut off each side, nothing of what padding made up is seen.
    """

    side: int
    until: float
    by: ResizedBy = "shrink"

    def __post_init__(self) -> None:
        require_types(self, "resolutions.")
        require(self.side >= 8, "resolutions.side", self.side, "8 pixels or more")
        require(0 < self.until < 1, "resolutions.until", self.until, "a fraction in (0, 1)")


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """Stop training the parameters whose name starts with `prefix` after the fraction `after` of all steps."""

    prefix: str
    after: float

    def __post_init__(self) -> None:
        require_types(self, "freezes.")
        require(bool(self.prefix), "freezes.prefix", self.prefix, "the beginning of a parameter's name")
        require(0 < self.after < 1, "freezes.after", self.after, "a fraction in (0, 1)")


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """Go on from weights that know other pictures: the head first, then more, early layers gently or not at all.

    Attributes:
        head_only: fraction of all steps in which only the last layer learns.
        layer_decay: each top-level part of the network, from the head backwards, has its rate multiplied by this once
            more; 1 gives all the same. Source: J. Howard and S. Ruder, "ULMFiT", 2018 (discriminative fine-tuning).
        frozen: the last part of the network that never learns, such as "net.blocks.11", and with it all before it;
            empty: everything learns. What it makes of a picture is computed once and kept.
        versions: of each picture, that are kept as the frozen part sees them: the picture itself, and as many augmented
            ones as make up this number. Epoch e learns from version e, and begins again where there are no more.
        fixed_norms: batch norms keep the statistics they came with, of many more pictures than these.
        fixed_depthwise: kernels that look at one channel each keep the values they came with.
        head_penalty: the last layer begins as what is best for the network as it came: the logistic regression of the
            labels on its features, each scaled to a variance of 1, with this L2 penalty on the summed loss; 0: random.
    """

    head_only: float = 0.0
    layer_decay: float = 1.0
    frozen: str = ""
    versions: int = 1
    fixed_norms: bool = False
    fixed_depthwise: bool = False
    head_penalty: float = 0.0

    def __post_init__(self) -> None:
        require_types(self, "finetune.")
        require(0 <= self.head_only < 1, "finetune.head_only", self.head_only, "a fraction in [0, 1)")
        require(0 < self.layer_decay <= 1, "finetune.layer_decay", self.layer_decay, "a factor in (0, 1]")
        require(1 <= self.versions <= 1_000, "finetune.versions", self.versions, "1 to 1000 of each picture")
        require(self.head_penalty >= 0, "finetune.head_penalty", self.head_penalty, "0 or more")
        unused = self.versions > 1 and not self.frozen
        require(not unused, "finetune.versions", self.versions, "nothing is kept where finetune.frozen is empty")


@dataclass(frozen=True, kw_only=True)
class DataPruning:
    """Dynamic data pruning: a random part of each batch's easiest images is left out, the other easy ones weigh more.

    Easy is an image whose loss, as it is trained on, was small the last time; so nothing is left out in the first
    epoch. But for batch norms, which see the thinned batch, the gradient is on average that of the whole one, unless
    `rescale` is off: then hard images count for more than their number.

    Attributes:
        easiest: fraction of each batch that counts as easy.
        skip: fraction of the easy images that are left out, drawn anew each time.
        rescale: whether the easy images that stay weigh more for those left out; else all that stay weigh alike.
        after: fraction of all steps before which nothing is left out.
        until: fraction of all steps from which on nothing is left out any more.

    Source: Z. Qin et al., "InfoBatch: lossless training speed up by unbiased dynamic data pruning", 2024; there epoch
    by epoch and below the mean loss, here batch by batch and by rank, so that batches and schedule keep their size.
    """

    easiest: float = 0.6
    skip: float = 0.5
    rescale: bool = True
    after: float = 0.1
    until: float = 0.9

    def __post_init__(self) -> None:
        require_types(self, "data_pruning.")
        require(0 < self.easiest <= 0.9, "data_pruning.easiest", self.easiest, "a fraction in (0, 0.9]")
        require(0 < self.skip < 1, "data_pruning.skip", self.skip, "a fraction in (0, 1)")
        require(0 <= self.after < 1, "data_pruning.after", self.after, "a fraction in [0, 1)")
        require(self.after < self.until <= 1, "data_pruning.until", self.until, "above data_pruning.after, at most 1")

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
        model: a name in `models.catalog`, or a reference to a network of your own, as `parts` says.
        weights: what it begins with: "random" ones, the "pretrained" ones that somebody published for this model, or
            those of a "file" that is named for each training.
        side: pixels a side of the squares that own pictures become, where --size says nothing else; data sets known
            by name have a size of their own.
        widths: channels per stage of the model; empty means the model's own.
        stem: first layer of models that offer a choice: "small" or "stock"; empty means the model's own.
        epochs: passes over the training images; a fraction ends inside the last one.
        batch_size: images per update, over all devices together.
        min_steps: updates that are made at least: where images are few, with as many more epochs as that takes.
        augment: random changes to training images.
        optimizer: SGD, AdamW, Muon, or any of torch.optim and your own.
        schedule: the learning rate over training.
        loss: "cross_entropy"; or a reference, as `parts` says, to a function of logits (B, K) float32 and targets, (B,)
            int64 or where images are mixed (B, K) float32, which gives each image's loss (B,).
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
        evaluate_every: epochs between looks at val, more where `min_steps` makes more epochs; the last is one too.
        patience: end at the first look by which so many epochs brought no better val accuracy; 0 is off.
        expect: what it gave when it was measured.
        note: one sentence: what this recipe is for.
    """

    name: str
    model: str
    epochs: float
    batch_size: int
    min_steps: int = 0
    weights: Weights = "random"
    side: int = 64
    widths: tuple[int, ...] = ()
    stem: Literal["", "small", "stock"] = ""
    augment: Augment = Augment()
    optimizer: SGD | AdamW | Muon | TorchOptimizer = SGD()
    schedule: Schedule = Schedule()
    loss: str = "cross_entropy"
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
    patience: int = 0
    expect: Expect | None = None
    note: str = ""

    def __post_init__(self) -> None:
        require_types(self)
        require(0 < self.epochs <= 10_000, "epochs", self.epochs, "above 0 and at most 10000")
        require(1 <= self.batch_size <= 65_536, "batch_size", self.batch_size, "1 to 65536 images")
        require(0 <= self.min_steps <= 1_000_000, "min_steps", self.min_steps, "0 to 1000000 updates")
        require(0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "a fraction in [0, 1)")
        parts.read(self.loss)
        plain, smoothing = self.loss == "cross_entropy", self.label_smoothing
        require(plain or not smoothing, "label_smoothing", smoothing, f"loss={self.loss} takes labels as they are; 0")
        require(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "a fraction in [0, 1)")
        both = self.class_weights == "balanced" and self.sampling == "balanced"
        require(not both, "class_weights", self.class_weights, "sampling=balanced evens out the classes already")
        require(0 < self.tta_fraction <= 1, "tta_fraction", self.tta_fraction, "a fraction in (0, 1]")
        require(
            self.tta != "none" or self.tta_fraction == 1, "tta_fraction", self.tta_fraction, "tta=none has no views"
        )
        require(self.evaluate_every >= 1, "evaluate_every", self.evaluate_every, "1 epoch or more")
        require(self.patience >= 0, "patience", self.patience, "0 or more epochs")
        for kind in ("mixup", "cutmix"):
            amount = getattr(self.augment, kind)
            why = "data_pruning goes by the loss of single images, and these are mixed; use data_pruning=null"
            require(self.data_pruning is None or amount == 0, f"augment.{kind}", amount, why)
        ends = [stage.until for stage in self.resolutions]
        require(ends == sorted(set(ends)), "resolutions.until", ends, "fractions must rise from stage to stage")
        require(self.weights in ("random", "pretrained", "file"), "weights", self.weights, "random, pretrained or file")
        require(16 <= self.side <= 512, "side", self.side, "16 to 512 pixels")
        kept = self.finetune is not None and self.finetune.frozen
        require(
            not (kept and self.resolutions), "resolutions", ends, "finetune.frozen sees every picture at one size only"
        )
        decayed = self.finetune is not None and self.finetune.layer_decay < 1
        only = "its rates belong to kinds of parameters, not to layers; use optimizer.kind=sgd, or 1"
        require(not (decayed and isinstance(self.optimizer, Muon)), "finetune.layer_decay", "below 1 with Muon", only)
        require(all(1 <= width <= 8192 for width in self.widths), "widths", self.widths, "1 to 8192 channels")

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def require_parts(self) -> None:
        """Refuse bare names of transforms, schedule and loss that nobody here knows: in a training, not in a run."""
        require_part("schedule", "schedule.shape", self.schedule.shape, SHAPES)
        require_part("loss", "loss", self.loss, ("cross_entropy",))
        for transform in (*self.augment.before, *self.augment.after):
            require_part("transform", "augment.before and after", transform)

    @property
    def parts(self) -> tuple[str, ...]:
        """Its references: network, transforms, optimizer, schedule and loss, ours among them."""
        named = self.optimizer.name if isinstance(self.optimizer, TorchOptimizer) else ""
        several = (self.model, *self.augment.before, *self.augment.after, named, self.schedule.shape, self.loss)
        return tuple(each for each in several if each and not each.startswith(("timm:", "torchvision:")))

    def epochs_on(self, images: int) -> float:
        """Passes over so many training images: `epochs`, or more of them where `min_steps` asks for more updates."""
        per_epoch = images // min(self.batch_size, images)
        return max(self.epochs, float(ceil(self.min_steps / per_epoch)))

    def look_every_on(self, images: int) -> int:
        """Epochs between looks at val: `evaluate_every`, or as many more as `min_steps` adds to the epochs."""
        return self.evaluate_every * ceil(self.epochs_on(images) / self.epochs)

    @property
    def model_options(self) -> dict[str, Any]:
        """What is chosen about the model, as keyword arguments of its builder."""
        return {name: value for name, value in (("widths", self.widths), ("stem", self.stem)) if value}

    def side_at(self, fraction: float, *, full: int) -> int:
        """Side in pixels of the training images after this fraction of all steps; never above `full`."""
        stage = self._stage_at(fraction)
        return full if stage is None else min(stage.side, full)

    def resized_by(self, fraction: float) -> ResizedBy:
        """How the training images are made smaller after this fraction of all steps, where they are."""
        stage = self._stage_at(fraction)
        return "shrink" if stage is None else stage.by

    def _stage_at(self, fraction: float) -> Resolution | None:
        return next((stage for stage in self.resolutions if fraction < stage.until), None)
