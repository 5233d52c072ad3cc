"""`--continue RUN --set epochs=+20`: a finished run, gone on with as a longer training.

The new run begins as the old one ended: the last weights, what the optimizer remembers, step and rows; the old one
stays as it is. From there it is the longer training: rate, image sizes and freezing follow the schedule of all its
epochs. What is best on val is so among the old and the new ones, and is said to be the best of all of them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

from snellen.errors import InvalidSetting, RunError, UsageError
from snellen.recipes.json_form import changes, with_settings
from snellen.recipes.recipe import Recipe
from snellen.runs.atomic import storage_error
from snellen.runs.environment import describe_environment
from snellen.runs.run import WEIGHTS, Run, create_run
from snellen.train.schedules import lr_fraction, out_of_patience

_STATE = "resume/state.safetensors"
_COPIED = ("metrics.jsonl", WEIGHTS, _STATE)  # the state last: without it `resume` refuses
_TOLD = (
    "data", "statistics", "start", "parts", "seed", "final", "device", "precision", "precision_reason", "threads",
    "initial_weights_sha256",
)  # fmt: skip
_MAY_CHANGE = ("epochs", "patience", "evaluate_every", "schedule.", "optimizer.")
_IS_ANOTHER = ("optimizer.kind", "optimizer.name")


def longer(run: Run, settings: Sequence[str], *, name: str | None = None) -> tuple[Run, str]:
    """A new run beside a finished one, which `resume` goes on with; and what that means for its schedule.

    Args:
        run: finished.
        settings: `key=value`; epochs=+20 adds to those that were trained. Only what leaves the meaning of the state
            alone may change: epochs, patience, evaluate_every, the schedule, and the optimizer's numbers.
        name: of the new folder; by default that of the old one with the epochs behind it.

    Raises:
        RunError: the run is not finished, or has no state to go on from.
        UsageError: it would not train on.
        InvalidSetting: another field is set, or to what cannot be.
        StorageError: the new folder cannot be written.
    """
    run.require_finished()
    if not (run.folder / _STATE).exists():
        raise RunError(f"{run.folder} has no {_STATE}, and only from there it goes on. Train again with --set epochs=…")
    images, steps = run.info["data"]["train"]["count"], run.journal.rows()[-1]["step"]
    per_epoch = images // min(run.recipe.batch_size, images)
    done = steps / per_epoch
    recipe = _longer_recipe(run.recipe, settings, done)
    if out_of_patience(recipe, int(done), run.info["best_epoch"], images):
        raise UsageError(
            f"patience={recipe.patience} has run out already: the best epoch of {int(done)} is "
            f"{run.info['best_epoch']}. Let it wait longer: --set patience=… (0 is off)"
        )
    told = {key: run.info[key] for key in _TOLD if key in run.info}
    told |= {"continues": {"run": run.name, "epochs": done}, "status": "created"}
    name = name or f"{run.name}-{recipe.epochs:g}epochs"
    new = create_run(run.folder.absolute().parent, name, recipe, told, describe_environment())
    try:
        (new.folder / _STATE).parent.mkdir()
        for file in _COPIED:
            shutil.copyfile(run.folder / file, new.folder / file)
    except OSError as error:
        raise storage_error(new.folder, error) from error
    return new, _consequence(run.recipe, recipe, images, steps)


def _longer_recipe(old: Recipe, settings: Sequence[str], done: float) -> Recipe:
    new = with_settings(old.replace(min_steps=0), [_counted(setting, done) for setting in settings])
    fields = [change.field for change in changes(old, new) if change.field != "min_steps"]
    others = [field for field in fields if field in _IS_ANOTHER or not field.startswith(_MAY_CHANGE)]
    if others:
        raise InvalidSetting(
            f"--continue cannot change {', '.join(others)}: the state of the run would not be that of the training "
            "that goes on. Leave it out, or train anew; weights alone are taken by --weights RUN/weights.safetensors."
        )
    if new.epochs <= done:
        raise UsageError(f"{done:g} epochs are trained. Say how many more: --set epochs=+{max(1, round(done)):g}")
    return new


def _counted(setting: str, done: float) -> str:
    """A setting as it is, but "epochs=+20" with those that are done."""
    more = re.fullmatch(r"epochs=\+(\d+(\.\d+)?)", setting)
    return f"epochs={done + float(more[1]):g}" if more else setting


def _consequence(old: Recipe, new: Recipe, images: int, steps: int) -> str:
    """What becomes of the rate, in one sentence."""
    per_epoch = images // min(old.batch_size, images)

    def share(recipe: Recipe, step: int) -> str:
        whole = max(1, round(recipe.epochs_on(images) * per_epoch))
        return f"{100 * lr_fraction(recipe.schedule, step=step, steps=whole, steps_per_epoch=per_epoch):.3g} %"

    return (
        f"The schedule is now that of {new.epochs:g} epochs, of which {steps / per_epoch:g} are done: the rate was at "
        f"{share(old, steps - 1)} of its peak and goes on at {share(new, steps)}."
    )
