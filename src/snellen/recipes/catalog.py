"""Recipes by name. Those for the built-in letters and for a user's own pictures are here, CIFAR-10's in their own file.

Own pictures are hundreds to thousands of photographs at 64 pixels, trained on two CPU cores.
"""

from __future__ import annotations

from snellen.errors import unknown_name
from snellen.paths import user_path
from snellen.recipes.cifar10 import CIFAR10_RECIPES, SPRINT
from snellen.recipes.json_form import read_recipe
from snellen.recipes.recipe import SGD, AdamW, Augment, Expect, Finetune, Freeze, Recipe, Resolution, Schedule

GLANCE = Recipe(
    name="glance",
    note="The way of sprint in a narrow network: a first look at the whole pipeline.",
    model="sprint_net",
    widths=(16, 32, 64),
    epochs=2,
    batch_size=250,
    # 98.3 % of 5,000 val letters with seed 0, within a minute of one core; a small_cnn with SGD took three.
    # No flip: a mirrored letter is another shape, and some would become illegible.
    augment=Augment(crop_pixels=2),
    optimizer=SPRINT.optimizer,
    schedule=Schedule(shape="linear", floor=0.05),
    label_smoothing=0.09,
    freezes=(Freeze(prefix="net.whiten.bias", after=0.1),),
    tta="none",
)

FASHION = GLANCE.replace(
    name="fashion",
    note="Fashion-MNIST: glance with mirror images, and four times as long.",
    epochs=8,
    augment=Augment(crop_pixels=2, flip="random"),
    tta="flip",
    expect=Expect(
        data="fashion_mnist", split="val", accuracy=(0.909, 0.926), minutes=10.5, machine="one busy Zen 4 core",
        runs=1, evidence="results/accuracy/2026-11_fashion",
    ),
)  # fmt: skip

FOLDER = Recipe(
    name="folder",
    note="Your own pictures, hundreds to thousands of them, in minutes on two CPU cores.",
    # Narrower than sprint's: the pixels are four times as many, and the pictures a tenth.
    # On 1,500 CIFAR-10 photos at 64 px, 15 epochs, one seed each: 65 % of 1,500 others right, and 43 % with SGD.
    model="sprint_net",
    widths=(32, 64, 128),
    epochs=40,
    batch_size=64,
    augment=Augment(crop_pixels=6, flip="random", brightness=0.2, contrast=0.2, saturation=0.2),
    optimizer=SPRINT.optimizer,
    schedule=Schedule(shape="linear", floor=0.05),
    label_smoothing=0.1,
    resolutions=(Resolution(side=32, until=0.4), Resolution(side=48, until=0.7)),
    tta="flip",
)

TRANSFER = Recipe(
    name="transfer",
    note="Your own photographs: a network that knows a thousand kinds of things learns yours, in a minute or two.",
    model="efficientnet_lite0",
    weights="pretrained",
    side=224,
    epochs=6,
    batch_size=16,
    min_steps=200,
    augment=Augment(resized_crop=0.25, resized_crop_side=0.857, flip="random"),
    optimizer=AdamW(lr=5e-4, weight_decay=0.05),
    schedule=Schedule(shape="cosine", warmup_fraction=0.2),
    label_smoothing=0.1,
    finetune=Finetune(frozen="net.blocks.11", versions=5, fixed_norms=True, fixed_depthwise=True, head_penalty=5.0),
    tta="flip",
    evaluate_every=2,
)

FINETUNE = Recipe(
    name="finetune",
    note="From weights of your own that know other pictures: --weights FILE.safetensors of a ResNet-18.",
    model="resnet18",
    weights="file",
    side=128,
    stem="stock",
    epochs=12,
    batch_size=32,
    augment=Augment(crop_pixels=8, flip="random", brightness=0.2, contrast=0.2, saturation=0.2),
    optimizer=SGD(lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4),
    schedule=Schedule(shape="cosine", warmup_fraction=0.05),
    label_smoothing=0.1,
    finetune=Finetune(head_only=0.2, layer_decay=0.7),
    tta="flip",
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (*CIFAR10_RECIPES, GLANCE, FASHION, FOLDER, TRANSFER, FINETUNE)
}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name, or the one in a .json file of that path.

    Raises:
        UnknownName: neither; the nearest name is offered.
        InvalidSetting: the file holds no valid recipe.
    """
    if name.endswith(".json"):
        recipe = read_recipe(user_path(name))
        # What was measured is the published recipe; an edited one has no right to its numbers.
        return recipe if recipe == RECIPES.get(recipe.name) else recipe.replace(expect=None)
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES, list_with="snellen recipes")
    return RECIPES[name]
