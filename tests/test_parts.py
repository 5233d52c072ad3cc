"""Own parts: found by every form of reference, run only when the user named their code, kept and held by the run."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import snellen
from snellen import parts
from snellen.cli.main import main
from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, RunError, SnellenError, SnellenWarning, UnknownName
from snellen.models.catalog import MODELS, ModelSpec, build
from snellen.recipes.json_form import from_json, with_settings
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.train import recorder as recorder_module
from snellen.train.fit import FitOptions, fit, resume
from snellen.train.recorder import Recorder

pytestmark = pytest.mark.usefixtures("own_parts_forgotten")

MINE = '''
import math, torch
from torch import nn
import snellen

class Tiny(nn.Module):
    def __init__(self, image_shape, num_classes, *, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(image_shape[2], width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(4 * width, num_classes)
    def forward(self, images):
        return self.head(self.body(images))

def noise(images, *, seed, amount=8):
    drawn = torch.Generator().manual_seed(seed)
    added = torch.randint(-amount, amount + 1, images.shape, generator=drawn)
    return (images.int() + added).clamp(0, 255).to(torch.uint8)

def dim(images, *, seed):
    return images * torch.rand(len(images), 1, 1, 1)

class Signs(torch.optim.Optimizer):
    """Steps by the sign of a running mean, and counts its steps in the group."""
    def __init__(self, params, lr, weight_decay=0.0, beta=0.5):
        super().__init__(params, {"lr": lr, "beta": beta, "count": 0})
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            group["count"] += 1
            for p in group["params"]:
                if p.grad is not None:
                    mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                    mean.lerp_(p.grad, 1 - group["beta"])
                    p.add_(mean.sign(), alpha=-group["lr"] / group["count"] ** 0.5)

def dip(done):
    return abs(math.cos(math.pi * done))

def squared(logits, targets):
    wanted = targets if targets.ndim == 2 else nn.functional.one_hot(targets, logits.shape[1])
    return (logits.softmax(1) - wanted).square().sum(1)

@snellen.register("schedule", "dipping")
def again(done):
    return dip(done)
'''


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "code" / "mine.py"
    path.parent.mkdir()
    path.write_text(MINE, encoding="utf-8")
    return path


def own_recipe(mine: Path, base: Recipe, *more: str) -> Recipe:
    settings = [
        f"model={mine}:Tiny(width=5)", f"augment.before={mine}:noise(amount=4)", f'augment.after=["{mine}:dim"]',
        "optimizer.kind=torch", f"optimizer.name={mine}:Signs(beta=0.7)", "optimizer.lr=0.01",
        f"schedule.shape={mine}:dip", f"loss={mine}:squared", "label_smoothing=0", "epochs=2", *more,
    ]  # fmt: skip
    return with_settings(base.replace(name="own"), settings)


def forget() -> None:
    """As a new process stands: nothing is allowed."""
    parts._ALLOWED.clear()
    parts._REGISTERED["schedule"].pop("dipping", None)


# References


@pytest.mark.parametrize(
    ("text", "where", "name", "arguments"),
    [
        ("mlp", "", "mlp", {}),
        ("RMSprop(alpha=0.9)", "", "RMSprop", {"alpha": 0.9}),
        ("mine.py:Tiny(width=32)", "mine.py", "Tiny", {"width": 32}),
        ("../some dir/mine.py:f(a=[1, -2], b={'c': (None, True)})", "../some dir/mine.py", "f",
         {"a": [1, -2], "b": {"c": (None, True)}}),
        (r"C:\x\mine.py:Tiny(a='b:c(d)')", r"C:\x\mine.py", "Tiny", {"a": "b:c(d)"}),
        ("package.module:Net", "package.module", "Net", {}),
        ("given:Net", "given", "Net", {}),
    ],
)  # fmt: skip
def test_every_form_of_a_reference_is_read_and_written_again(
    text: str, where: str, name: str, arguments: dict[str, object]
) -> None:
    found = parts.read(text)
    assert (found.where, found.name, found.arguments) == (where, name, arguments)
    again = parts.read(str(found))
    assert (again.key, again.name, again.arguments) == (found.key, found.name, found.arguments)
    assert str(again) == str(found)
    assert not {"/", "\\"} & set(str(found).partition("(")[0])


@pytest.mark.parametrize(
    "text",
    ["", ":Tiny", "mine.py:", "mine.py:Tiny(", "mine.py:Tiny(3)", "mine.py:Tiny(width=open('x'))", "f(**{})", "f(a=b)",
     "f(a=1)(b=2)", "f(a=1, a=2)", "f(a=" + "[" * 5000 + ")"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting):
        parts.read(text)


def test_parts_of_ours_registered_and_of_files_and_modules_are_reached_by_one_find(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parts.find("model", "mlp") is MODELS["mlp"]
    assert parts.find("loss", "cross_entropy")
    assert parts.find("schedule", "cosine")(1.0) == 0
    parts.allow(mine)
    assert parts.find("model", "mine.py:Tiny(width=7)")((8, 8, 3), 2).head.in_features == 28
    assert parts.find("schedule", "dipping")(0.5) == pytest.approx(0)
    monkeypatch.syspath_prepend(str(mine.parent))
    forget()
    parts.allow("mine")
    assert parts.find("schedule", "mine:dip")(0) == 1
    brought = EntryPoint("zoo", "mine:Tiny", "snellen.model")
    monkeypatch.setattr(parts, "_brought", lambda kind: {"zoo": brought} if kind == "model" else {})
    assert parts.find("model", "zoo").__name__ == "Tiny"
    sys.modules.pop("mine")


def test_a_slip_is_answered_by_what_was_meant(mine: Path) -> None:
    parts.allow(mine)
    for text, meant in (("mine.py:Tinny", "'Tiny'"), ("mine.py:Tiny(widht=3)", "'width'"), ("small_cn", "'small_cnn'")):
        with pytest.raises(UnknownName, match=f"Did you mean {meant}"):
            parts.find("model", text)


def test_no_name_of_ours_can_be_taken(mine: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"There is a model called mlp already"):
        snellen.register("model", "mlp")(lambda image_shape, num_classes: None)
    assert parts.find("model", "mlp") is MODELS["mlp"]


@pytest.mark.parametrize(
    ("code", "words"),
    [("1 / 0", "ZeroDivisionError"), ("import not_there_at_all", "ModuleNotFoundError"), ("def f(:", "line 1"),
     ("raise SystemExit(3)", "SystemExit"), ("\0", "null bytes")],
)  # fmt: skip
def test_a_file_that_fails_on_import_is_one_sentence(tmp_path: Path, code: str, words: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(code, encoding="utf-8")
    with pytest.raises(InvalidSetting, match=f"bad.py cannot be imported: .*{words}"):
        parts.allow(path)
    assert "bad.py" not in parts._ALLOWED  # a broken file takes nothing down with it
    assert parts.find("schedule", "cosine")


def test_an_edited_file_is_read_anew_and_another_of_its_name_refused(mine: Path, tmp_path: Path) -> None:
    parts.allow(mine)
    assert parts.find("schedule", "mine.py:dip")(0.5) == pytest.approx(0)
    mine.write_text(MINE.replace("abs(math.cos(math.pi * done))", "abs(math.sin(math.pi * done))"), encoding="utf-8")
    assert parts.find("schedule", "mine.py:dip")(0.5) == pytest.approx(1)
    other = tmp_path / "mine.py"
    other.write_text("x = 1", encoding="utf-8")
    with pytest.raises(InvalidSetting, match="one name and are two files"):
        parts.allow(other)


# Trust


@pytest.mark.usefixtures("small_eyechart")
def test_a_received_run_or_recipe_runs_nothing(
    tmp_path: Path, finished_run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    received = tmp_path / "received"
    shutil.copytree(finished_run.folder, received)
    marker = tmp_path / "marker"
    evil = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\nclass Tiny: pass\ndef f(*a, **k): pass\n"
    for place in (received, tmp_path):
        (place / "evil.py").write_text(evil, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    content = json.loads((received / "recipe.json").read_text(encoding="utf-8"))
    named = {
        "model": "evil.py:Tiny",
        "loss": "evil:f",
        "label_smoothing": 0.0,
        "widths": [],
        "augment": content["augment"] | {"before": ["evil.py:f"]},
    }
    (received / "recipe.json").write_text(json.dumps(content | named), encoding="utf-8")
    Image.new("RGB", (32, 32)).save(received / "picture.png")
    for words in (["predict", "received", "received/picture.png"], ["evaluate", "received"], ["doctor", "received"],
                  ["export", "received"], ["report", "received"], ["explain", "received"], ["runs", "."],
                  ["train", "eyechart", "--recipe", "received/recipe.json", "--runs", "new"],
                  ["lr", "eyechart", "--recipe", "received/recipe.json"]):  # fmt: skip
        main(words)
        assert not marker.exists(), words
        if words[0] not in ("runs", "doctor", "evaluate"):  # these need none of its parts
            assert "is code of somebody's own" in capsys.readouterr().err, words
    with pytest.raises(InvalidSetting, match=r"evil\.py is code of somebody's own.*--code PATH/evil\.py"):
        snellen.open_run(received).model("cpu")
    snellen.open_run(received, code=tmp_path / "evil.py")
    assert marker.exists()  # the trap was a real one


# Training


def test_own_parts_train_resume_to_the_bit_and_answer_elsewhere(
    mine: Path, tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = own_recipe(mine, tiny_recipe)
    assert from_json(to_json(recipe)) == recipe
    assert recipe.model == "mine.py:Tiny(width=5)"
    options = FitOptions(device="cpu", precision="fp32", runs=tmp_path / "runs", name="whole", final=True)
    whole = fit(recipe, tiny_dataset, options)
    about = whole.info["parts"]
    assert about["mine.py:Tiny(width=5)"] == {
        "file": "mine.py",
        "sha256": hashlib.sha256(mine.read_bytes()).hexdigest(),
    }
    stops = Recorder.after_step

    def stop(recorder: Recorder) -> None:
        stops(recorder)
        if recorder._training.steps_done == recorder._training.per_epoch + 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(recorder_module, "_CHECKPOINT_SECONDS", 0.0)  # after each step, so in the middle of an epoch
    monkeypatch.setattr(Recorder, "after_step", stop)
    cut = FitOptions(device="cpu", precision="fp32", runs=tmp_path / "runs", name="cut", final=True)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, tiny_dataset, cut)
    monkeypatch.setattr(Recorder, "after_step", stops)
    forget()
    assert (tmp_path / "runs" / "cut" / "resume" / "state.safetensors").exists()
    interrupted = snellen.open_run(
        tmp_path / "runs" / "cut", code=mine.rename(tmp_path / "mine.py")
    )._run  # lies elsewhere
    (tmp_path / "mine.py").write_text(MINE + "\n# changed\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"mine\.py is not what it was"):
        resume(interrupted, tiny_dataset)
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    done = resume(interrupted, tiny_dataset)
    # Of a final run the last weights are kept; of another the best on val, which may be those of before the stop.
    assert (done.folder / "weights.safetensors").read_bytes() == (whole.folder / "weights.safetensors").read_bytes()
    losses = [[row["train/loss"] for row in run.journal.rows()] for run in (done, whole)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 2

    forget()
    with pytest.raises(InvalidSetting, match="--code PATH/mine.py"):
        snellen.open_run(whole.folder).model("cpu")
    (tmp_path / "mine.py").write_text(MINE + "\n# changed\n", encoding="utf-8")
    opened = snellen.open_run(whole.folder, code=tmp_path / "mine.py")
    with pytest.warns(SnellenWarning, match=r"mine\.py is not what it was"):
        opened.model("cpu")
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error", SnellenWarning)
        assert opened.predict(tiny_dataset.train.images[:3], device="cpu").probabilities.shape == (3, 10)


def test_a_network_that_is_handed_over_is_trained_as_a_copy_and_given_again(
    tmp_path: Path, tiny_dataset: Dataset
) -> None:
    class Flat(nn.Sequential):
        pass

    net = Flat(nn.Flatten(), nn.Linear(32 * 32 * 3, 10))
    before = net[1].weight.detach().clone()
    run = snellen.fit("mlp", tiny_dataset, model=net, widths=(), epochs=1, runs=tmp_path, device="cpu", quiet=True)
    assert run.recipe.model == "given:Flat"
    assert torch.equal(net[1].weight, before)
    assert not torch.equal(run.model("cpu").net[1].weight, before)
    other = Flat(nn.Flatten(), nn.Linear(3, 3))
    assert [parts.give(other), parts.give(net)] == ["given:Flat_", "given:Flat"]  # no two objects share a name
    parts._GIVEN.clear()
    with pytest.raises(InvalidSetting, match=r"open_run\(PATH, model="):
        snellen.open_run(run.folder).model("cpu")
    assert snellen.open_run(run.folder, model=net).model("cpu")


@pytest.mark.parametrize(
    ("code", "setting", "words"),
    [
        ("def f(images, *, seed): return images[:, 1:]", "augment.before=bad.py:f", "both must be alike"),
        ("def f(images, *, seed): return images.double()", "augment.after=bad.py:f", "float64"),
        ("def f(logits, targets): return logits.sum()", "loss=bad.py:f", r"gives \(\) for"),
        ("def f(done): return 1 + done", "schedule.shape=bad.py:f", "a fraction of the peak"),
        ("def f(shape, count): return 3", "model=bad.py:f", "it takes a torch.nn.Module"),
        ("def f(shape, count): raise KeyError('x')", "model=bad.py:f", "cannot be built.*KeyError"),
        ("import torch\ndef f(shape, count): return torch.nn.Flatten()", "model=bad.py:f", "one for each class"),
        ("f = 3", "optimizer.name=bad.py:f", "cannot be made"),
    ],
)
def test_a_part_that_does_not_fit_is_one_sentence(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset, code: str, setting: str, words: str
) -> None:
    (tmp_path / "bad.py").write_text(code, encoding="utf-8")
    kind = ["optimizer.kind=torch"] if setting.startswith("optimizer") else ["label_smoothing=0"]
    recipe = with_settings(tiny_recipe, [*kind, setting.replace("bad.py", str(tmp_path / "bad.py"))])
    with pytest.raises(SnellenError, match=words):
        fit(recipe, tiny_dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path / "runs"))


def test_class_weights_multiply_an_own_loss_also_of_mixed_images() -> None:
    from snellen.train.losses import batch_losses, cross_entropy

    logits, weights = torch.randn(6, 3), torch.tensor([0.5, 1.0, 3.0])
    targets = torch.tensor([0, 1, 2, 2, 1, 0])
    own = lambda logits, targets: cross_entropy(logits, targets)  # noqa: E731 - another object, the same numbers
    for given in (targets, nn.functional.one_hot(targets, 3).float()):
        found = batch_losses(logits, given, class_weights=weights, label_smoothing=0.0, loss=own)
        expected = batch_losses(logits, given, class_weights=weights, label_smoothing=0.0)
        assert torch.allclose(found, expected, atol=1e-6)


def test_any_optimizer_of_torch_is_made_by_its_name(tiny_recipe: Recipe) -> None:
    from snellen.train.optimizers import build_optimizers

    net = build(ModelSpec("mlp", (16, 16, 1), 3, (0.5,), (0.2,)), seed=0)
    recipe = with_settings(
        tiny_recipe, ["optimizer.kind=torch", "optimizer.name=RMSprop(alpha=0.9)", "optimizer.lr=0.1"]
    )
    (made,) = build_optimizers(net, recipe)
    assert isinstance(made, torch.optim.RMSprop)
    assert (made.defaults["alpha"], made.defaults["lr"]) == (0.9, 0.1)
    for name, words in (("RMSprob", "'RMSprop'"), ("LBFGS", "without a closure"), ("RMSprop(alpa=1)", "'alpha'")):
        with pytest.raises(SnellenError, match=words):
            build_optimizers(net, with_settings(recipe, [f"optimizer.name={name}"]))


def test_a_transforms_seed_is_its_own_at_each_call(mine: Path) -> None:
    from snellen.augment.batched import to_device
    from snellen.augment.draws import draw
    from snellen.augment.transforms import Transforms
    from snellen.recipes.recipe import Augment

    seen: list[int] = []

    def spy(images: torch.Tensor, *, seed: int) -> torch.Tensor:
        seen.append(seed)
        return images

    augment = Augment(before=(parts.give(spy),) * 2, after=(parts.give(spy),))
    draws = to_device(draw(augment, seed=0, epoch=0, count=2), "cpu")
    images = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    calls = [(run, epoch, step, worker) for run in (0, 1) for epoch in (0, 1) for step in (0, 1) for worker in (0, 1)]
    for run, epoch, step, worker in calls:
        Transforms(augment, seed=run).augment(images, draws, epoch=epoch, step=step, worker=worker)
    assert len(set(seen)) == len(seen) == 3 * len(calls)
    first, *_ = seen
    assert 0 <= first < 2**63
    assert np.random.default_rng(first)


def test_a_run_is_typed_with_the_code_that_it_may_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(Path("runs/one two"))
    assert run.typed == "'runs/one two'"
    for place in (tmp_path / "mine.py", tmp_path.parent / f"{tmp_path.name}.py"):
        place.touch()
        parts.allow(place)
    parts.allow("json")
    assert run.typed == f"'runs/one two' --code mine.py --code {tmp_path}.py --code json"
