"""Recipes for CIFAR-10: a ladder from an MLP to a good small CNN, a plain ResNet-18, and the fast ones.

What each is expected to give comes from runs in results/accuracy/, measured on val.
"""

from __future__ import annotations

from snellen.recipes.optimizer import SGD, Average, Muon, Schedule
from snellen.recipes.recipe import Augment, DataPruning, Expect, Freeze, Recipe, Resolution

_NESTEROV = SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
_EVIDENCE = "results/accuracy/2026-11_cifar10_two-zen4-cores"
_MACHINE = "two Zen 4 cores"
_CROP_AND_FLIP = Augment(crop_pixels=4, flip="random")

MLP = Recipe(
    name="mlp",
    note="Two layers that see pixels, not pictures: the floor.",
    model="mlp",
    epochs=12,
    batch_size=128,
    optimizer=SGD(lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4),
    schedule=Schedule(shape="cosine"),
    expect=Expect(
        data="cifar10", split="val", accuracy=(0.541, 0.569), minutes=0.5, machine=_MACHINE, runs=1, evidence=_EVIDENCE
    ),
)

PLAIN = Recipe(
    name="plain",
    note="Convolutions without batch norm, augmentation or schedule: what a first attempt gives.",
    model="plain_cnn",
    epochs=12,
    batch_size=128,
    optimizer=SGD(lr=0.05),
    expect=Expect(
        data="cifar10", split="val", accuracy=(0.722, 0.747), minutes=2.5, machine=_MACHINE, runs=1, evidence=_EVIDENCE
    ),
)

SMALL_CNN_BASELINE = Recipe(
    name="small_cnn_baseline",
    note="First rung of the ladder `lesson`: four convolutions with batch norm, SGD 0.1 and nothing else.",
    model="small_cnn",
    epochs=100,
    batch_size=128,
    optimizer=SGD(lr=0.1),
)

SMALL_CNN_AUGMENTED = SMALL_CNN_BASELINE.replace(
    name="small_cnn_augmented",
    note="Second rung of the ladder `lesson`: the first, plus random crop and flip.",
    augment=_CROP_AND_FLIP,
)

SMALL_CNN = SMALL_CNN_AUGMENTED.replace(
    name="small_cnn",
    note="Third rung of the ladder `lesson`: the second, plus cosine schedule, momentum and weight decay.",
    optimizer=SGD(lr=0.1, momentum=0.9, weight_decay=5e-4),
    schedule=Schedule(shape="cosine", per="epoch"),
)

RESNET18 = Recipe(
    name="resnet18",
    note="A plain ResNet-18 with all that is usual; about 8 minutes an epoch on two CPU cores, seconds on a GPU.",
    model="resnet18",
    epochs=100,
    batch_size=128,
    augment=Augment(crop_pixels=4, flip="random", brightness=0.2, contrast=0.2, saturation=0.2),
    optimizer=_NESTEROV,
    schedule=Schedule(shape="cosine", per="epoch"),
    label_smoothing=0.1,
)

_SPRINT_EPOCHS = 14.4

SPRINT = Recipe(
    name="sprint",
    note="94 % as fast as we know how: whitening, Muon, images that grow from 24 to 32 pixels, easy ones left out.",
    model="sprint_net",
    widths=(48, 256, 256),
    epochs=_SPRINT_EPOCHS,
    batch_size=1536,
    # Brightness 0.07 of the pixel value is what 0.14 added to normalised pixels is in the published recipe.
    augment=Augment(crop_pixels=2, flip="alternate", brightness=0.07, contrast=0.13),
    optimizer=Muon(
        filter_lr=0.2255, filter_momentum=0.655, bias_lr=0.0573, head_lr=0.5415, momentum=0.825, weight_decay=1.6e-3
    ),
    schedule=Schedule(shape="linear", tail_fraction=0.375 / _SPRINT_EPOCHS, floor=0.05),
    label_smoothing=0.09,
    resolutions=(Resolution(side=24, until=0.338), Resolution(side=28, until=0.85, by="crop")),
    freezes=(Freeze(prefix="net.whiten.bias", after=0.2 / _SPRINT_EPOCHS),),
    data_pruning=DataPruning(easiest=0.6, skip=0.65, rescale=False, after=0.1, until=0.985),
    ema_decay=0.9,
    tta="shift",
    tta_fraction=0.25,
    expect=Expect(
        data="cifar10",
        split="test",
        accuracy=(0.9263, 0.9333),
        minutes=9.2,
        machine=_MACHINE,
        runs=5,
        evidence="results/accuracy/2026-12_sprint_longer",
    ),
)

MARATHON = SPRINT.replace(
    name="marathon",
    note="Meant for 96 % on a GPU, not measured yet: sprint with a deeper, wider network and 40 epochs.",
    model="marathon_net",
    widths=(),
    epochs=40,
    batch_size=1024,
    augment=Augment(crop_pixels=4, flip="alternate", brightness=0.07, contrast=0.13, erase=0.5),
    schedule=Schedule(shape="linear", tail_fraction=0.375 / 40, floor=0.05),
    resolutions=(Resolution(side=24, until=0.25), Resolution(side=28, until=0.5)),
    freezes=(Freeze(prefix="net.whiten.bias", after=3 / 40),),
    # What airbench96_faster does with a second network that looks for hard images, without one.
    data_pruning=DataPruning(easiest=0.6, skip=0.5, after=0.1, until=0.9),
    average=Average(after=0.9375, every_steps=4, weight=0.3),
    ema_decay=0.0,
    expect=None,
)

CIFAR10_RECIPES = (MLP, PLAIN, SMALL_CNN_BASELINE, SMALL_CNN_AUGMENTED, SMALL_CNN, RESNET18, SPRINT, MARATHON)
