"""Batch norms folded into convolutions: the same answers, and only where that is exact."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from snellen.models.catalog import MODELS, ModelSpec, build
from snellen.models.fuse import FastClassifier, fuse_batch_norm, made_fast, optimize_for_inference
from snellen.models.normalized import Classifier, Normalized

IMAGES = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def trained(name: str) -> Classifier:
    """A model whose norms have statistics, scales of both signs and shifts, as training could leave them."""
    model = build(ModelSpec(name, image_shape=(32, 32, 3), num_classes=10, mean=(0.5,) * 3, std=(0.3,) * 3), seed=0)
    return settle(model)


def settle(model: Classifier) -> Classifier:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.momentum = 1.0
                if norm.affine and norm.weight.requires_grad:  # SprintNorm's scale is fixed at one
                    norm.weight.uniform_(-1, 1, generator=generator)
                if norm.affine:
                    norm.bias.normal_(generator=generator)
        model.train()(IMAGES)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def wrapped(*layers: nn.Module) -> Classifier:
    return settle(Classifier(Normalized((0.5,) * 3, (0.3,) * 3), nn.Sequential(*layers)))


def assert_equal_answers(model: Classifier, fused: nn.Module) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(fused(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_answers_the_same_without_its_batch_norms(name: str) -> None:
    model = trained(name)
    fused = fuse_batch_norm(model)
    assert norms(fused) == 0
    assert_equal_answers(model, fused)


@pytest.mark.parametrize("name", ["small_cnn", "sprint_net"])
def test_in_bf16_logits_move_by_a_few_per_cent_at_most(name: str) -> None:
    model = trained(name)
    with torch.inference_mode():
        made = optimize_for_inference(model, bf16=True)
        exact, fast = model(IMAGES), made(IMAGES)
        assert made.activations(IMAGES).dtype == made.dtype == torch.bfloat16
    assert {value.dtype for value in made.net.parameters()} == {torch.bfloat16}
    assert fast.dtype == torch.float32
    assert (fast - exact).abs().max() < 0.05 * exact.abs().max()


class Forking(nn.Module):
    """Its own code asks for a value, which no trace has."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_made_fast_is_every_classifier_that_can_be_traced_and_what_cannot_be_stays_itself() -> None:
    model = trained("small_cnn")
    fast = made_fast(model)
    assert isinstance(fast, FastClassifier)
    assert fast.dtype == torch.float32
    assert_equal_answers(model, fast)
    for other in (wrapped(Forking()), nn.Flatten()):
        assert made_fast(other) is other


def test_the_model_itself_stays_as_it_was() -> None:
    model = trained("sprint_net")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count = norms(model)
    optimize_for_inference(model, bf16=True)
    assert norms(model) == count
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.get_parameter("net.block1.conv1.weight").requires_grad


def test_a_norm_behind_max_pooling_is_folded_where_all_scales_are_positive() -> None:
    layers = [nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.BatchNorm2d(4)]
    model = wrapped(*layers)
    with torch.no_grad():
        layers[2].weight.abs_()
    fused = fuse_batch_norm(model)
    assert norms(fused) == 0
    assert_equal_answers(model, fused)


def test_a_norm_behind_max_pooling_stays_where_a_scale_is_negative() -> None:
    model = wrapped(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.BatchNorm2d(4))
    fused = fuse_batch_norm(model)
    assert norms(fused) == 1
    assert_equal_answers(model, fused)


def test_a_norm_behind_an_activation_stays() -> None:
    model = wrapped(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))
    assert norms(fuse_batch_norm(model)) == 1
    assert_equal_answers(model, fuse_batch_norm(model))


class Fork(nn.Module):
    """The convolution's output is also used without the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x)
        joined: Tensor = self.bn(out) + out
        return joined


class Twice(nn.Module):
    """The same convolution with and without the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.conv(self.conv(x)))
        return out


class Namesake(nn.Module):
    """What goes in is called as the norm is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.x = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.x(self.conv(x))
        return out


def test_a_norm_is_not_taken_for_what_is_called_as_it_is() -> None:
    model = settle(Classifier(Normalized((0.5,) * 3, (0.3,) * 3), Namesake()))
    assert norms(fuse_batch_norm(model)) == 0
    assert_equal_answers(model, fuse_batch_norm(model))


@pytest.mark.parametrize("network", [Fork, Twice])
def test_a_convolution_that_others_use_as_well_is_left_alone(network: type[nn.Module]) -> None:
    model = wrapped(network())
    assert norms(fuse_batch_norm(model)) == 1
    assert_equal_answers(model, fuse_batch_norm(model))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_norm_is_folded_with_and_without_scales_and_whatever_its_epsilon(bias: bool, affine: bool) -> None:
    model = wrapped(nn.Conv2d(3, 4, 3, bias=bias), nn.BatchNorm2d(4, eps=0.4, affine=affine))
    assert norms(fuse_batch_norm(model)) == 0
    assert_equal_answers(model, fuse_batch_norm(model))


class NormAndActivation(nn.BatchNorm2d):
    """As timm's: a batch norm by inheritance, and an activation in the same module."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(super().forward(x))


class Standardised(nn.Conv2d):
    """As in weight standardisation: the scale of its weight has no effect."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight / self.weight.std(dim=(1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight, self.bias)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(3, 8, 3), NormAndActivation(8)),
        (Standardised(3, 8, 3), nn.BatchNorm2d(8)),
        (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False)),
    ],
    ids=["norm with activation", "standardised weights", "no running statistics"],
)
def test_kinds_that_do_more_than_their_name_says_are_left_as_they_are(layers: tuple[nn.Module, ...]) -> None:
    model = wrapped(*layers)
    assert_equal_answers(model, fuse_batch_norm(model))


@pytest.mark.parametrize("name", ["timm:mobilenetv3_small_050", "timm:tf_efficientnet_lite0", "timm:resnet18"])
def test_networks_of_timm_answer_the_same(name: str) -> None:
    model = build(ModelSpec(name, (32, 32, 3), 4, (0.5,) * 3, (0.25,) * 3), seed=0).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = model(images)
        torch.testing.assert_close(fuse_batch_norm(model)(images), whole, rtol=1e-3, atol=1e-3)
        assert whole.abs().max() > 0.005
