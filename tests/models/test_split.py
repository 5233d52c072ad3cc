"""What is before a cut and what is behind it make the whole network, for ours and those of other libraries."""

from __future__ import annotations

import pytest
import torch
from tests.models.test_models_catalog import OF_ANY_WIDTH
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import InvalidSetting
from snellen.models.catalog import MODELS, ModelSpec, build, options_of
from snellen.models.normalized import Classifier, Normalized
from snellen.models.split import before, behind, parts_of

SIDE = 32
IMAGES = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
CUTS = {
    "mlp": "net.layers.2",
    "plain_cnn": "",
    "small_cnn": "",
    "resnet18": "net.layer2",
    "sprint_net": "net.block1",
    "marathon_net": "net.block1",
    "efficientnet_lite0": "net.blocks.11",
    "efficientnet_lite1": "net.blocks.10",
    "efficientnet_lite2": "net.stem",
    "timm:resnet18": "net.layer3",
    "timm:mobilenetv3_small_050": "net.blocks.2",
    "torchvision:mobilenet_v3_small": "net.features.5",
}


def made(name: str) -> Classifier:
    options: dict[str, object] = {}
    if name in OF_ANY_WIDTH:
        options["widths"] = tuple(width // 4 for width in options_of(name)["widths"])
    model = build(ModelSpec(name, (SIDE, SIDE, 3), 4, (0.5,) * 3, (0.25,) * 3, options), seed=0)
    for module in model.modules():  # statistics of a trained network: the norms are more than the identity
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.uniform_(-0.2, 0.2, generator=torch.Generator().manual_seed(1))
            module.running_var.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(2))  # type: ignore[union-attr]
    return model.eval()


def wrapped(net: nn.Module) -> Classifier:
    return Classifier(Normalized((0.5,) * 3, (0.25,) * 3), net).eval()


def middle(model: Classifier) -> str:
    """A part in the middle of a chain of layers."""
    names = [name for name, _ in model.net.named_children()]
    return f"net.{names[len(names) // 2]}"


@pytest.mark.parametrize("name", [*MODELS, *(name for name in CUTS if ":" in name)])
def test_before_and_behind_make_the_whole(name: str) -> None:
    model = made(name)
    part = CUTS[name] if CUTS.get(name) in parts_of(model) else middle(model)
    with torch.no_grad():
        whole = model(IMAGES)
        seen = before(model, part, bf16=False).activations(IMAGES)
        torch.testing.assert_close(behind(model, part, training=False)(seen), whole, rtol=1e-3, atol=1e-3)
    assert not model.training


def test_every_block_of_the_published_network_can_be_cut_behind() -> None:
    model = made("efficientnet_lite0")
    whole = model(IMAGES)
    for number in range(0, 16, 3):
        seen = before(model, f"net.blocks.{number}", bf16=False).activations(IMAGES)
        rest = behind(model, f"net.blocks.{number}", training=False)
        torch.testing.assert_close(rest(seen), whole, rtol=1e-3, atol=1e-3)


def test_what_is_behind_has_the_models_own_parameters_and_what_is_before_copies() -> None:
    model = made("efficientnet_lite0")
    own = {id(parameter): name for name, parameter in model.named_parameters()}
    learned = {own[id(parameter)] for parameter in behind(model, "net.blocks.11", training=True).parameters()}
    assert learned == {
        name for name in own.values()
        if name.startswith(("net.head", "net.classifier", *(f"net.blocks.{number}." for number in range(12, 16))))
    }  # fmt: skip
    frozen = before(model, "net.blocks.11", bf16=False)
    assert not {id(parameter) for parameter in frozen.parameters()} & own.keys()
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_what_is_before_stays_when_the_model_changes() -> None:
    model = made("resnet18")
    frozen = before(model, "net.layer1", bf16=False)
    seen = frozen.activations(IMAGES)
    with torch.no_grad():
        model.net.conv1.weight.mul_(2)  # type: ignore[union-attr, operator]
    assert torch.equal(frozen.activations(IMAGES), seen)


def test_in_bf16_it_is_the_same_to_its_three_digits() -> None:
    model = made("efficientnet_lite0")
    fine, rough = (before(model, "net.blocks.5", bf16=bf16).activations(IMAGES) for bf16 in (False, True))
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - fine).norm() < 0.05 * fine.norm()


class Two(nn.Module):
    """Two tensors pass behind `first`: what it makes, and what came before it. `idle` is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Conv2d(3, 4, 3, padding=1)
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.idle = nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.early(x)
        logits: Tensor = self.head((self.first(x) + x).mean((2, 3)))
        return logits


class Untraceable(nn.Module):
    """It looks at values, which a symbol has none of."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.first(x).mean((2, 3))
        logits: Tensor = self.head(maps if maps.sum() > 0 else -maps)
        return logits


@pytest.mark.parametrize(
    ("net", "part", "sentence"),
    [
        (Two(), "net.first", "cannot be cut behind finetune.frozen='net.first' .more than one tensor passes there."),
        (Two(), "net.idle", "cannot be cut behind finetune.frozen='net.idle' .it is not used.. Name another part"),
        (
            Two(),
            "net.blocks",
            "'net.blocks' is no part of this network. Its parts begin with net.early, net.first, net",
        ),
        (Two(), "early", "'early' is no part of this network"),
        (Two(), "net.", "'net.' is no part of this network"),
        (Untraceable(), "net.first", "cannot be cut behind finetune.frozen='net.first' .*or leave it empty"),
    ],
)
def test_where_a_network_cannot_be_cut_is_one_sentence(net: nn.Module, part: str, sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        behind(wrapped(net), part, training=True)
    if "more than one" not in sentence:  # what is before such a part can be had all the same
        with pytest.raises(InvalidSetting, match=sentence):
            before(wrapped(net), part, bf16=False)


class Drops(nn.Module):
    """Dropout in both spellings: as a module, and as a function that is told whether it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        kept = self.drop(functional.dropout(self.first(x).mean((2, 3)), 0.5, training=self.training))
        logits: Tensor = self.head(kept)
        return logits


def test_dropout_is_on_in_training_and_off_when_asked() -> None:
    model = wrapped(Drops())
    seen = before(model, "net.first", bf16=False).activations(IMAGES)
    asked = behind(model, "net.first", training=False)
    torch.testing.assert_close(asked(seen), model(IMAGES))
    learning = behind(model, "net.first", training=True)
    assert learning.training
    assert not torch.equal(learning(seen), learning(seen))
    model.net.drop.eval()  # type: ignore[union-attr, operator]
    assert not torch.equal(learning(seen), learning(seen))  # the other spelling


def test_cutting_leaves_the_models_mode_as_it_was() -> None:
    for training in (True, False):
        model = made("efficientnet_lite0").train(training)
        before(model, "net.stem", bf16=False)
        assert model.net.training is training
