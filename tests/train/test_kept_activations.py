"""What the frozen part makes of the pictures: what is computed, what is kept, and what becomes of the files."""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.train.thin_network import FINETUNE, Thin, transfer_of
from torch import Tensor

from snellen.augment.batched import augment_batch, to_device, to_float
from snellen.augment.draws import draw
from snellen.augment.mixing import mix
from snellen.data.arrays import from_arrays
from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, StorageError
from snellen.parts import registered
from snellen.predict.predict import predict
from snellen.recipes.recipe import Augment, Recipe
from snellen.train import kept_activations
from snellen.train.ddp import Workers
from snellen.train.kept_activations import KeptActivations
from snellen.train.setup import TrainingSetup, prepare
from snellen.train.training import Training


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache; its folder of activations."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(registered("model"), "thin", Thin)
    return tmp_path / "cache" / "snellen" / "activations"


@pytest.fixture
def recipe(tiny_recipe: Recipe) -> Recipe:
    return transfer_of(tiny_recipe)


def prepared(recipe: Recipe, dataset: Dataset, *, seed: int = 0, precision: str = "fp32") -> TrainingSetup:
    return prepare(recipe, dataset, seed=seed, device="cpu", precision=precision)


def kept_of(setup: TrainingSetup) -> KeptActivations:
    return KeptActivations(setup, setup.new_model())


def directly(setup: TrainingSetup, epoch: int, at: Tensor) -> Tensor:
    """The pictures augmented, and the network's own layers, in eval mode."""
    train, model = setup.splits.train, setup.new_model().eval()
    pixels = torch.from_numpy(train.images[at.numpy()])
    if epoch:
        drawn = to_device(draw(setup.recipe.augment, seed=setup.seed, epoch=epoch, count=len(train)), "cpu")
        images = augment_batch(pixels, drawn.at(at))
    else:
        images = to_float(pixels)
    net: Any = model.net
    with torch.no_grad():
        made: Tensor = net.second(net.act(net.norm(net.first(model.normalize(images)))))
    return made


AT = torch.tensor([5, 0, 250, 17, 5, 99])


@pytest.mark.parametrize(("precision", "longer"), [("fp32", None), ("bf16", None), ("fp32", 1), ("fp32", 2)])
def test_a_version_is_the_frozen_part_on_the_pictures_of_its_epoch(
    recipe: Recipe, tiny_dataset: Dataset, precision: str, longer: int | None
) -> None:
    train = tiny_dataset.train
    if longer is not None:  # pictures that are twice as high, or twice as wide
        tiny_dataset = from_arrays(np.concatenate([train.images] * 2, axis=longer), train.labels)
    setup = prepared(recipe, tiny_dataset, precision=precision)
    kept = kept_of(setup)
    close = {"rtol": 0.05, "atol": 0.02} if precision == "bf16" else {"rtol": 1e-4, "atol": 1e-5}
    seen = [kept.batch(epoch, AT) for epoch in range(4)]
    for epoch in (0, 1):
        torch.testing.assert_close(seen[epoch].float(), directly(setup, epoch, AT), **close)
        assert torch.equal(seen[epoch], seen[epoch + 2])  # there are no more versions
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("version", [0, 1])
def test_of_long_pictures_both_sides_are_kept(recipe: Recipe, tiny_dataset: Dataset, version: int) -> None:
    train = tiny_dataset.train
    long = replace(tiny_dataset, train=replace(train, images=np.ascontiguousarray(train.images[:, :, 4:24])), test=None)
    setup = prepared(recipe, long)
    kept, size = kept_of(setup), ((8, 5), (6, 4))[version]
    assert kept._bytes(setup.splits.train, version) == 270 * 8 * math.prod(size) * 4  # else it is made for ever
    seen = kept.batch(version, AT)
    assert seen.shape == (6, 8, *size)
    torch.testing.assert_close(seen, directly(setup, version, AT), rtol=1e-4, atol=1e-5)


def test_the_seed_of_own_transforms_follows_from_the_first_picture_asked_for(
    recipe: Recipe, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    monkeypatch.setitem(registered("transform"), "told", lambda images, seed: (seeds.append(seed), images)[1])
    monkeypatch.setattr(kept_activations, "_MOST_BYTES", 0)
    own = recipe.replace(augment=replace(recipe.augment, after=("told",)))
    kept = kept_of(prepared(own, tiny_dataset))
    seeds.clear()
    for at in ([5, 0, 17], [5, 99], [0, 5]):
        kept.batch(1, torch.tensor(at))
    assert seeds[0] == seeds[1] != seeds[2]


def test_what_does_not_fit_is_computed_anew_and_is_the_same(
    recipe: Recipe, tiny_dataset: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = prepared(recipe, tiny_dataset)
    kept, val = kept_of(setup), setup.splits.val
    training = Training(setup)
    assert val is not None
    expected = [kept.batch(epoch, AT) for epoch in range(2)]
    looked = training.look(val).logits
    for path in cache.iterdir():
        path.unlink()
    one = kept._bytes(setup.splits.train, 0)
    for limit, files in ((0, 0), (one, 2)):  # nothing; train and val plain
        monkeypatch.setattr(kept_activations, "_MOST_BYTES", limit)
        fresh = kept_of(setup)
        for epoch in range(2):
            torch.testing.assert_close(fresh.batch(epoch, AT), expected[epoch], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(Training(setup).look(val).logits, looked, atol=1e-5)
        found = list(cache.iterdir()) if cache.exists() else []
        assert len(found) <= files
        if limit:
            assert max(path.stat().st_size for path in found) <= limit


def test_a_look_by_what_is_behind_is_the_whole_networks(recipe: Recipe, tiny_dataset: Dataset) -> None:
    training = Training(prepared(recipe, tiny_dataset))
    splits = training.setup.splits
    some = splits.train.take(np.array([3, 200, 4, 77]), splits.train.role)
    for images in (splits.val, splits.train, some):
        assert images is not None
        looked = training.look(images)
        np.testing.assert_allclose(looked.logits, predict(training.model, images).logits, atol=1e-4)
        assert (looked.ids == images.ids).all()


def test_a_network_that_writes_into_what_it_is_given_changes_nothing_that_is_kept(
    recipe: Recipe, tiny_dataset: Dataset
) -> None:
    """Behind net.norm comes an activation that does."""
    cut = replace(FINETUNE, frozen="net.norm")
    training = Training(prepared(recipe.replace(finetune=cut), tiny_dataset))
    train = training.setup.splits.train
    first, second = (training.look(train).logits for _ in range(2))
    assert np.array_equal(first, second)
    np.testing.assert_allclose(first, predict(training.model, train).logits, atol=1e-4)


@pytest.mark.parametrize("harm", ["cut short", "longer", "gone"])
def test_a_file_that_is_not_whole_is_made_again(recipe: Recipe, tiny_dataset: Dataset, cache: Path, harm: str) -> None:
    setup = prepared(recipe, tiny_dataset)
    expected = kept_of(setup).batch(0, AT)
    (file,) = cache.glob("*.bin")
    content = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:1000] if harm == "cut short" else content + b"\0")
    assert torch.equal(kept_of(setup).batch(0, AT), expected)
    assert file.read_bytes() == content


def test_a_file_that_another_process_deletes_at_the_worst_moment_is_made_again(
    recipe: Recipe, tiny_dataset: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = prepared(recipe, tiny_dataset)
    expected = kept_of(setup).batch(0, AT)
    (file,) = cache.glob("*.bin")
    real, moments = os.utime, [file.unlink]

    def utime(*arguments: Any) -> None:
        real(*arguments)
        if moments:
            moments.pop()()  # after it was looked at, before it is opened

    monkeypatch.setattr(os, "utime", utime)
    assert torch.equal(kept_of(setup).batch(0, AT), expected)
    assert file.stat().st_size > 0


def test_a_second_training_reads_what_the_first_one_made(
    recipe: Recipe, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = prepared(recipe, tiny_dataset)
    expected = kept_of(setup).batch(1, AT)

    def never(*_: object) -> None:
        raise AssertionError("it was computed again")

    monkeypatch.setattr(KeptActivations, "_made", never)
    assert torch.equal(kept_of(setup).batch(1, AT), expected)


def test_a_full_disk_is_one_sentence_with_the_size(
    recipe: Recipe, tiny_dataset: Dataset, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(full_disk))
    with pytest.raises(StorageError, match=r"cannot be kept .*disk is full.*It takes 1 MB; .*XDG_CACHE_HOME"):
        kept_of(prepared(recipe, tiny_dataset)).batch(0, AT)
    assert not list((full_disk / "snellen" / "activations").iterdir())  # nothing half written


def test_the_longest_unused_leave_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_activations, "_MOST_BYTES", 100)
    now = time.time()
    for name, age in {"b": 300, "a": 200, "c": 100, "other": 900}.items():
        path = tmp_path / (f"{name}.bin" if name != "other" else "other.txt")
        path.write_bytes(bytes(30))
        os.utime(path, (now - age, now - age))
    for name, age in {"dead": 7200, "alive": 10}.items():
        path = tmp_path / f".{name}.bin.0123.tmp"
        path.write_bytes(bytes(30))
        os.utime(path, (now - age, now - age))
    kept_activations._make_room(tmp_path, 40)
    assert {path.name for path in tmp_path.iterdir()} == {"a.bin", "c.bin", "other.txt", ".alive.bin.0123.tmp"}


def test_what_is_read_is_not_the_longest_unused_any_more(recipe: Recipe, tiny_dataset: Dataset, cache: Path) -> None:
    setup = prepared(recipe, tiny_dataset)
    kept_of(setup).batch(0, AT)
    (file,) = cache.glob("*.bin")
    os.utime(file, (1e9, 1e9))
    kept_of(setup).batch(0, AT)
    assert time.time() - file.stat().st_mtime < 1000


def test_each_choice_that_changes_it_has_files_of_its_own(recipe: Recipe, tiny_dataset: Dataset) -> None:
    setup = prepared(recipe, tiny_dataset)
    model, other = setup.new_model(), prepared(recipe, tiny_dataset, seed=1).new_model()
    train = setup.splits.train

    def key(version: int, changed: TrainingSetup = setup, of: Any = model) -> str:
        return KeptActivations(changed, of)._key(changed.splits.train, version)

    def with_recipe(**changes: Any) -> TrainingSetup:
        return replace(setup, recipe=recipe.replace(**changes))

    another_seed = replace(setup, seed=1)
    assert key(0, another_seed) == key(0)  # the pictures as they are
    few = replace(setup, splits=replace(setup.splits, train=train.take(np.arange(100), train.role)))
    flipped = with_recipe(augment=Augment(flip="random"))
    earlier = with_recipe(finetune=replace(FINETUNE, frozen="net.act"))
    bf16 = replace(setup, compute=replace(setup.compute, precision="bf16"))
    keys = [key(0), key(1), key(1, another_seed), key(0, of=other), key(0, few), key(1, flipped), key(0, earlier),
            key(0, bf16)]  # fmt: skip
    assert len(set(keys)) == len(keys)
    relabelled = replace(train, labels=(train.labels + 1) % train.num_classes)
    corrected = replace(setup, splits=replace(setup.splits, train=relabelled))
    assert key(1, corrected) == key(1)
    order = np.arange(len(train))[::-1]
    assert key(1, replace(setup, splits=replace(setup.splits, train=train.take(order, train.role)))) not in keys
    assert key(0, flipped) == key(0)
    assert key(1, with_recipe(augment=replace(recipe.augment, mixup=0.2))) == key(1)  # mixed behind the cut


def test_pictures_are_mixed_behind_the_cut(recipe: Recipe, tiny_dataset: Dataset) -> None:
    mixing = replace(recipe.augment, mixup=0.5, cutmix=1.0)
    training = Training(prepared(recipe.replace(augment=mixing), tiny_dataset))
    kept, count = training.kept, len(training.setup.splits.train)
    assert kept is not None
    for epoch, batch in zip((0, 0, 0, 0, 1), training.batches(), strict=False):
        drawn = to_device(draw(mixing, seed=0, epoch=epoch, count=count), "cpu").at(batch.positions)
        assert drawn.mixes is not None
        mixed, share = mix(kept.batch(epoch, batch.positions), drawn.mixes)
        assert torch.equal(batch.images, mixed)
        labels = torch.from_numpy(training.setup.splits.train.labels)[batch.positions]
        own = batch.targets.gather(1, labels[:, None])[:, 0]
        assert (own >= share - 1e-6).all()
        training.step(batch)


@pytest.mark.parametrize(
    ("frozen", "sentence"),
    [
        ("net.fc", "'net.fc' is not possible: nothing is left to learn"),
        ("net.drop", "'net.drop' is not possible: what it makes of a picture is no map of positions"),
        ("net.fourth", "'net.fourth' is no part of this network"),
    ],
)
def test_a_cut_that_cannot_be_is_refused_before_anything_is_written(
    recipe: Recipe, tiny_dataset: Dataset, cache: Path, frozen: str, sentence: str
) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        prepared(recipe.replace(finetune=replace(FINETUNE, frozen=frozen)), tiny_dataset)
    assert not cache.exists()


def test_several_workers_are_refused(recipe: Recipe, tiny_dataset: Dataset) -> None:
    with pytest.raises(InvalidSetting, match=r"finetune.frozen='net.second' is for one process.*without torchrun"):
        Training(prepared(recipe, tiny_dataset), Workers(rank=0, count=2))


def test_only_what_is_behind_learns_and_norms_and_thin_kernels_stay(
    recipe: Recipe, tiny_dataset: Dataset, cache: Path
) -> None:
    training = Training(prepared(recipe, tiny_dataset))
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    for batch, _ in zip(training.batches(), range(5), strict=False):
        training.step(batch)
    changed = {name for name, value in training.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"net.third.0.weight", "net.third.1.weight", "net.third.1.bias", "net.fc.weight", "net.fc.bias"}
