"""What learns, from when and until when, and at which rate: by the names of a small network's parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.train.test_optimizers import model_of, recipe
from torch import Tensor, nn

from snellen.errors import InvalidSetting
from snellen.models.normalized import Classifier, Normalized
from snellen.recipes.recipe import SGD, AdamW, Finetune, Freeze, Muon, TorchOptimizer
from snellen.train.optimizers import apply_freezing, build_optimizers, hold_fixed, trainable_names


class Parted(nn.Module):
    """A parameter of no part, a part without parameters, kernels of one channel each, and groups of two."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 4, 1, 1))
        self.first = nn.Conv2d(3, 4, 1)
        self.act = nn.ReLU()
        self.thin = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.paired = nn.Conv2d(4, 4, 1, groups=2)
        self.grey = nn.Conv2d(1, 4, 1)
        self.fc = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.paired(self.thin(self.act(self.first(images) + self.position)))
        made: Tensor = self.fc(self.grey(seen.mean(dim=1, keepdim=True)).mean(dim=(2, 3)))
        return made


@pytest.fixture
def parted() -> Classifier:
    return Classifier(Normalized([0.5] * 3, [0.2] * 3), Parted())


def learning(model: nn.Module) -> set[str]:
    return {name.removeprefix("net.") for name, value in model.named_parameters() if value.requires_grad}


ALL = {"position"} | {
    f"{part}.{kind}" for part in ("first", "thin", "paired", "grey", "fc") for kind in ("weight", "bias")
}


@pytest.mark.parametrize("finetune", [None, Finetune(head_only=0.2)])
@pytest.mark.parametrize(
    "freezes", [(), (Freeze(prefix="net.first", after=0.5), Freeze(prefix="net.fc.bias", after=0.75))]
)
def test_the_head_learns_first_and_what_is_frozen_until_then(
    parted: Classifier, finetune: Finetune | None, freezes: tuple[Freeze, ...]
) -> None:
    parted.net.get_parameter("thin.bias").requires_grad_(False)  # the network itself never means to train it
    trainable, chosen = trainable_names(parted), recipe(finetune=finetune, freezes=freezes)
    before = learning(parted)
    for done in (0.0, 0.19, 0.2, 0.4, 0.5, 0.7, 0.75, 1.0):
        expected = ALL - {"thin.bias"}
        if finetune and done < 0.2:
            expected = {"fc.weight", "fc.bias"}
        if freezes and done >= 0.5:
            expected -= {"first.weight", "first.bias"}
        if freezes and done >= 0.75:
            expected -= {"fc.bias"}
        assert apply_freezing(parted, chosen, trainable, done=done) is (expected != before)
        assert learning(parted) == expected
        before = expected


def test_what_is_held_fixed_is_the_part_up_to_the_cut_and_kernels_of_one_channel_each(parted: Classifier) -> None:
    parted.net.get_parameter("fc.bias").requires_grad_(False)
    hold_fixed(parted, Finetune(fixed_depthwise=True))
    assert learning(parted) == ALL - {"thin.weight", "fc.bias"}
    hold_fixed(parted, Finetune(frozen="net.thin"))
    assert learning(parted) == {"paired.weight", "paired.bias", "grey.weight", "grey.bias", "fc.weight"}
    with pytest.raises(InvalidSetting, match=r"finetune.frozen='net.fc' is not possible: nothing is left to learn"):
        hold_fixed(parted, Finetune(frozen="net.fc"))


@pytest.mark.parametrize("settings", [SGD(lr=0.1), AdamW(lr=0.1), TorchOptimizer(name="RMSprop", lr=0.1)])
def test_rates_fall_part_by_part_from_the_head_backwards(parted: Classifier, settings: Any) -> None:
    parted.net.get_submodule("grey").requires_grad_(False)  # it counts as a part, and is in no group
    chosen = recipe(optimizer=settings, finetune=Finetune(layer_decay=0.5))
    (optimizer,) = build_optimizers(parted, chosen)
    names = {id(parameter): name.removeprefix("net.") for name, parameter in parted.named_parameters()}
    assert all(group["params"] for group in optimizer.param_groups)
    rates = {names[id(each)]: group["peak_lr"] for group in optimizer.param_groups for each in group["params"]}
    expected = {"fc": 0.1, "paired": 0.025, "thin": 0.0125, "first": 0.00625, "position": 0.00625}
    assert rates == pytest.approx(
        {name: expected[name.partition(".")[0]] for name in ALL - {"grey.weight", "grey.bias"}}
    )
    assert {group["lr"] for group in optimizer.param_groups} == set(rates.values())
    (plain,) = build_optimizers(parted, replace(chosen, finetune=Finetune()))
    assert {group["peak_lr"] for group in plain.param_groups} == {0.1}


def test_what_a_recipe_says_of_its_optimizer_is_what_it_is_made_with() -> None:
    def groups(settings: Any) -> list[dict[str, Any]]:
        model = model_of("sprint_net", (24, 24, 24))
        return [group for made in build_optimizers(model, recipe(optimizer=settings)) for group in made.param_groups]

    *others, filters = groups(Muon(filter_lr=0.3, filter_momentum=0.55, weight_decay=0.01, momentum=0.8))
    assert (filters["lr"], filters["momentum"], filters["weight_decay"]) == (0.3, 0.55, 0.01)
    assert [group["momentum"] for group in others] == [0.8] * 2
    (named,) = groups(TorchOptimizer(name="RMSprop(alpha=0.9)", lr=0.3, weight_decay=0.01))
    assert (named["lr"], named["alpha"], named["weight_decay"]) == (0.3, 0.9, 0.01)
    assert groups(TorchOptimizer(name="Rprop", lr=0.3))[0]["lr"] == 0.3  # it knows no decay, and is asked for none
