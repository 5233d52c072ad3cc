"""`snellen lr DATA`: which learning rates train a recipe, found in a hundred steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snellen.cli.options import ToTrain
from snellen.errors import UsageError
from snellen.show.text import print_json


@dataclass(frozen=True, kw_only=True)
class Args(ToTrain):
    """What `snellen lr` takes."""

    steps: int = 100
    """Training steps, each at a higher rate."""
    out: Path | None = None
    """Draw the curve into this file: lr.png"""
    json: bool = False
    """Print the suggestion and the whole curve as JSON on stdout."""


def run(args: Args) -> int:
    """Test, suggest, draw."""
    if args.dataset is None:
        raise UsageError("Which data? For example: snellen lr eyechart")
    if args.out is not None and args.out.suffix != ".png":
        raise UsageError(f"--out {args.out} is not a .png file. Write for example --out {args.out.stem or 'lr'}.png")
    from snellen.recipes.json_form import rates
    from snellen.show.progress import Progress
    from snellen.train.lr_finder import range_test
    from snellen.train.setup import prepare, require_start

    progress = Progress(quiet=args.json)
    recipe, _ = args.chosen_recipe(args.dataset)
    require_start(recipe)
    dataset = args.load(args.dataset, progress, side=recipe.side)
    setup = prepare(recipe, dataset, seed=args.seed, device=args.device, precision=args.precision)
    bar = Progress(quiet=args.json, brief=True)  # no epoch ends here
    bar.begin(steps=args.steps, done=0, images_per_step=recipe.batch_size)
    try:
        found = range_test(setup, steps=args.steps, advance=bar.advance)
    finally:
        bar.end()
    settings = found.suggestion(recipe)
    name, rate = next(iter(rates(recipe).items()))
    if args.out is not None:
        from snellen.show.curves import lr_png

        by_rate = [factor * rate for factor in found.factors]
        lr_png(args.out, by_rate, found.losses, suggested=found.steepest * rate, lowest=found.lowest * rate)
    if args.json:
        document = {"recipe": recipe.name, "field": name, "recipe_rate": rate, "suggested": settings}
        curve = {"rates": [factor * rate for factor in found.factors], "losses": found.losses}
        print_json({**document, "lowest_loss_at": found.lowest * rate, **curve})
        return 0
    from snellen.parts import as_options
    from snellen.paths import typed, visible

    own = visible(recipe.name)
    print(f"The loss falls fastest at {name} = {found.steepest * rate:.2g}; {own} has {rate:g}.")
    print(f"It is lowest at {found.lowest * rate:.2g}; a peak rate beyond that is likely to diverge.")
    values = (*args.set, *(f"{key}={value:g}" for key, value in settings.items()))  # the last of a field counts
    words = typed(args.dataset, "--recipe", args.recipe or own, "--set", *values, *as_options())
    print(f"try     snellen train {words}")
    print("A range test sees the first steps only. Whether the rate is better is for val to say.")
    if args.out is not None:
        print(f"picture {args.out}")
    return 0
