"""Networks of timm and torchvision, and trainings that begin with given weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, MissingExtra, UnknownName
from snellen.models import external
from snellen.models.catalog import ModelSpec, build
from snellen.models.external import inputs_of, is_external, last_linear
from snellen.models.normalized import Classifier
from snellen.models.weights import load_pretrained, restore
from snellen.recipes.recipe import SGD, Finetune, Recipe
from snellen.runs.run import Run
from snellen.train.fit import FitOptions, fit
from snellen.train.optimizers import apply_freezing, build_optimizers, parts, trainable_names
from snellen.train.setup import begin_with, prepare
from snellen.train.training import Training


def made(
    name: str, *, side: int = 32, channels: int = 3, seed: int = 0, pretrained: bool = False, **options: object
) -> Classifier:
    measured = (0.5,) * channels
    return build(
        ModelSpec(name, (side, side, channels), 5, measured, measured, options), seed=seed, pretrained=pretrained
    )


@pytest.mark.parametrize(
    ("name", "side", "channels"),
    [
        ("timm:resnet18", 32, 3),
        ("timm:resnet18", 32, 1),
        ("timm:vit_tiny_patch16_224", 64, 3),  # not 224 px: the position embeddings are made for this side
        ("torchvision:mobilenet_v3_small", 64, 3),
    ],
)
def test_another_librarys_network_answers_for_our_classes_and_our_image_size(
    name: str, side: int, channels: int
) -> None:
    model = made(name, side=side, channels=channels).eval()
    assert model(torch.rand(2, channels, side, side)).shape == (2, 5)


@pytest.mark.parametrize(("name", "head"), [("resnet18", "fc"), ("mobilenet_v3_small", "classifier.3")])
def test_published_weights_of_torchvision_get_a_last_layer_for_our_classes(
    monkeypatch: pytest.MonkeyPatch, name: str, head: str
) -> None:
    models = pytest.importorskip("torchvision.models")
    get, asked = models.get_model, []

    def published(architecture: str, *, weights: str) -> nn.Module:
        asked.append(weights)
        return get(architecture, weights=None)  # of a thousand classes, as the published ones are

    monkeypatch.setattr(models, "get_model", published)
    model = made(f"torchvision:{name}", side=64, pretrained=True).eval()
    assert model.net.get_submodule(head).out_features == 5
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 5)
    assert asked == ["DEFAULT"]


def test_its_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (made("timm:resnet18", seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["net.conv1.weight"], other["net.conv1.weight"])


def test_what_cannot_be_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="Unknown timm architecture 'resnet81'. Did you mean 'resnet"):
        made("timm:resnet81")
    with pytest.raises(InvalidSetting, match="torchvision:resnet18 cannot be built.*1 channels.*take 3 channels"):
        made("torchvision:resnet18", channels=1)
    with pytest.raises(InvalidSetting, match="which has widths of its own"):
        made("timm:resnet18", widths=(8, 8))
    with pytest.raises(InvalidSetting, match="nobody has published weights for resnet18"):
        made("resnet18", pretrained=True)

    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(external, "import_module", missing)
    with pytest.raises(MissingExtra, match=r'need timm.*pip install "snellen\[timm\]"'):
        made("timm:resnet18")


def test_torchvisions_weights_fit_our_own_resnet18_but_for_the_head(tmp_path: Path) -> None:
    theirs = made("torchvision:resnet18", side=64)
    stored = {name.removeprefix("net."): value for name, value in theirs.state_dict().items() if "net." in name}
    stored["fc.weight"], stored["fc.bias"] = torch.zeros(1000, 512), torch.zeros(1000)
    save_file(stored, tmp_path / "imagenet.safetensors")
    ours = made("resnet18", side=64, seed=3, stem="stock")
    taken = load_pretrained(ours, tmp_path / "imagenet.safetensors")
    assert taken.new == ("fc.weight", "fc.bias")
    assert set(taken.unused) == {"fc.weight", "fc.bias"}
    assert taken.values > 0.99
    assert torch.equal(ours.net.layer4[1].conv2.weight, theirs.net.layer4[1].conv2.weight)  # type: ignore[union-attr, index]
    assert ours.net.fc.weight.abs().sum() > 0  # type: ignore[union-attr, operator]


def test_weights_that_do_not_fit_or_could_run_code_are_refused(tmp_path: Path) -> None:
    model = made("timm:resnet18")
    save_file({"other.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(InvalidSetting, match=r"fits 0 % of this network.*other\.weight.*conv1\.weight"):
        load_pretrained(model, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(InvalidSetting, match="is not a valid .safetensors file"):
        load_pretrained(model, tmp_path / "broken.safetensors")
    with pytest.raises(InvalidSetting, match="No such file"):
        load_pretrained(model, tmp_path / "none.safetensors")
    with pytest.raises(InvalidSetting, match="Others can run code when they are read"):
        load_pretrained(model, tmp_path / "model.pth")


@pytest.fixture
def finetuned(tiny_recipe: Recipe) -> Recipe:
    settings = {"model": "timm:resnet18", "widths": (), "epochs": 2, "optimizer": SGD(lr=0.05, momentum=0.9)}
    return tiny_recipe.replace(**settings, finetune=Finetune(head_only=0.5, layer_decay=0.5))


def test_in_a_fine_tuning_the_head_learns_alone_and_then_everything(finetuned: Recipe, tiny_dataset: Dataset) -> None:
    model = prepare(finetuned, tiny_dataset, seed=0, device="cpu", precision="fp32").new_model()
    everything = trainable_names(model)
    apply_freezing(model, finetuned, everything, done=0.0)
    assert {name for name in trainable_names(model)} == {"net.fc.weight", "net.fc.bias"}
    apply_freezing(model, finetuned, everything, done=0.5)
    assert trainable_names(model) == everything


def test_rates_fall_from_the_head_backwards_and_every_parameter_has_one(
    finetuned: Recipe, tiny_dataset: Dataset
) -> None:
    for name in ("timm:resnet18", "timm:vit_tiny_patch16_224"):  # the latter has parameters of no part
        recipe = finetuned.replace(model=name)
        model = prepare(recipe, tiny_dataset, seed=0, device="cpu", precision="fp32").new_model()
        (optimizer,) = build_optimizers(model, recipe)
        rates = [group["peak_lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([0.05 * 0.5**distance for distance in range(len(rates))])
        assert len(rates) == len(parts(model))
        counted = sum(len(group["params"]) for group in optimizer.param_groups)
        assert counted == len(list(model.parameters()))


def test_a_run_begins_with_given_weights_and_says_so_and_is_restored_as_it_was(
    finetuned: Recipe, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    before = made("timm:resnet18", side=32, seed=9)
    save_file(
        {name: value for name, value in before.net.state_dict().items() if "fc" not in name}, tmp_path / "w.safetensors"
    )
    setup = prepare(finetuned, tiny_dataset, seed=0, device="cpu", precision="fp32")
    begun = Training(begin_with(setup, tmp_path / "w.safetensors")).model.state_dict()
    assert torch.equal(begun["net.conv1.weight"], before.net.conv1.weight)  # type: ignore[union-attr]
    run = fit(
        finetuned,
        tiny_dataset,
        FitOptions(device="cpu", precision="fp32", runs=tmp_path / "runs", weights=tmp_path / "w.safetensors"),
    )
    assert run.info["start"]["file"] == "w.safetensors"
    assert run.info["start"]["new"] == ["fc.weight", "fc.bias"]
    assert run.info["status"] == "finished"
    assert np.isfinite(restore(run)(torch.rand(2, 3, 32, 32)).detach().numpy()).all()


def test_the_last_linear_layer_is_found() -> None:
    name, layer = last_linear(made("timm:resnet18").net)
    assert (name, layer.out_features) == ("fc", 5)
    assert last_linear(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.ReLU()))[0] == "2"


@pytest.mark.parametrize(
    ("name", "library"), [("timm:x", True), ("torchvision:x", True), ("timm", False), ("mine.py:x", False), ("", False)]
)
def test_a_network_is_another_librarys_by_its_prefix(name: str, library: bool) -> None:
    assert is_external(name) is library


def test_what_goes_into_a_layer_is_listed_pass_by_pass_as_rows_while_it_is_asked_for() -> None:
    layer = nn.Linear(6, 2)
    with inputs_of(layer) as found:
        for count in (2, 3):
            layer(torch.full((count, 4, 6), float(count), dtype=torch.float32))
    layer(torch.zeros(1, 6))
    assert [tuple(rows.shape) for rows in found] == [(2, 24), (3, 24)]
    assert not found[0].requires_grad
    assert found[1].unique().tolist() == [3]


def test_an_interrupted_run_goes_on_without_the_file_it_began_with(
    finetuned: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snellen.train.fit import FitOptions, resume

    class Killed(BaseException):
        """Stands for kill -9."""

    file = tmp_path / "w.safetensors"
    save_file(dict(made("timm:resnet18", seed=9).net.state_dict()), file)
    options = {"device": "cpu", "precision": "fp32", "weights": file}
    whole = fit(finetuned, tiny_dataset, FitOptions(runs=tmp_path / "whole", name="run", **options))

    def killed(*_: object, **__: object) -> torch.Tensor:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Training, "step", killed)
        fit(finetuned, tiny_dataset, FitOptions(runs=tmp_path / "cut", name="run", **options))
    file.unlink()
    again = resume(Run(tmp_path / "cut" / "run"), tiny_dataset)
    first, second = (restore(run).state_dict() for run in (whole, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert again.info["initial_weights_sha256"] == whole.info["initial_weights_sha256"]
    assert replace(again.recipe) == whole.recipe
