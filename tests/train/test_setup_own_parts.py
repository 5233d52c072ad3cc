"""Parts of somebody's own that cannot train are one sentence, which names the part, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from snellen.data.dataset import Dataset
from snellen.errors import SnellenError
from snellen.recipes.json_form import with_settings
from snellen.recipes.recipe import Recipe
from snellen.runs.run import open_run
from snellen.train import training as training_module
from snellen.train.fit import FitOptions, fit
from snellen.train.setup import prepare

pytestmark = pytest.mark.usefixtures("own_parts_forgotten")

LAB = """
import torch
from torch import nn

def unseeded(images):
    return images

def broken(images, *, seed):
    return images.no_such_method()

def gathered(logits, targets):
    return -logits.log_softmax(1).gather(1, targets[:, None])[:, 0]

def detached(logits, targets):
    return logits.detach().sum(1)

def lost(logits, targets):
    return logits.sum(1) / 0 * 0

def focal(logits, targets, *, gamma=2.0):
    return (logits.logsumexp(1) - logits[:, 0]) ** gamma

class Wild(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data.fill_(float("nan"))

class Alone(nn.Module):
    def __init__(self, image_shape, num_classes):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))
    def forward(self, images):
        if self.training:
            raise KeyError("only graded")
        return self.net(images)

class Lost(nn.Module):
    def __init__(self, image_shape, num_classes):
        super().__init__()
        self.head = nn.Linear(image_shape[2], num_classes)
    def forward(self, images):
        return self.head(images.mean((2, 3))).log().log()
"""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("augment.before=lab.py:unseeded", r"transform lab\.py:unseeded, called as f\(images, seed=…\).*TypeError"),
        ("augment.after=lab.py:broken", r"transform lab\.py:broken.*AttributeError.*line 9\."),
        ("loss=lab.py:gathered augment.mixup=0.2", r"loss, called with logits \(2, 10\) and targets \(2, 10\), fails"),
        ("loss=lab.py:detached", r"loss=lab\.py:detached gives .* no gradient"),
        ("loss=lab.py:lost", r"loss=lab\.py:lost gives two pictures with what is no finite number"),
        ("loss=lab.py:focal(gama=1)", "Did you mean 'gamma'"),
        (
            "optimizer.kind=torch optimizer.name=SparseAdam",
            r"^optimizer\.name=SparseAdam cannot make a step: RuntimeError",
        ),
        ("optimizer.kind=torch optimizer.name=LBFGS", "without a closure"),
        ("optimizer.kind=torch optimizer.name=lab.py:Wild", r"lab\.py:Wild.*no finite numbers"),
        ("model=lab.py:Alone", r"model=lab\.py:Alone cannot learn.*KeyError"),
        ("model=lab.py:Lost", r"model=lab\.py:Lost answers two pictures with what is no finite number"),
        ("model=mlp optimizer.kind=muon", "needs a model with convolutions"),
    ],
)
def test_what_cannot_make_one_step_is_refused_before_anything_is_written(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset, settings: str, words: str
) -> None:
    (tmp_path / "lab.py").write_text(LAB, encoding="utf-8")
    named = settings.replace("lab.py", f"{tmp_path}/lab.py").split(" ")
    recipe = with_settings(tiny_recipe, ["label_smoothing=0", *named])
    with pytest.raises(SnellenError, match=words):
        fit(recipe, tiny_dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
    with pytest.raises(SnellenError, match=words):  # a ladder or a search asks for no more than this
        prepare(recipe, tiny_dataset, seed=0, device="cpu", precision="fp32")


def test_a_training_that_breaks_is_not_said_to_be_training(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = training_module.Training.step

    def breaks(training: training_module.Training, batch: training_module.Batch) -> object:
        if training.steps_done == 3:
            raise ZeroDivisionError
        return made(training, batch)

    monkeypatch.setattr(training_module.Training, "step", breaks)
    with pytest.raises(ZeroDivisionError):
        fit(tiny_recipe, tiny_dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path, name="broken"))
    assert open_run(tmp_path / "broken").info["status"] == "failed"
