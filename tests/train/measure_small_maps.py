"""What products for small maps save of a training step, in turns: `python -m tests.train.measure_small_maps OUT.json`.

Two minutes for `sprint` at each of its sizes, then `resnet18`. On a CPU without AMX there is nothing to compare.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from tests.measured import write_measured

from snellen.bench.protocol import compare, conditions_here, percentile
from snellen.bench.step import Stage, TrainingStep, noise_images, stages
from snellen.models.device import has_instructions
from snellen.recipes.catalog import find_recipe
from snellen.serialize import to_json
from snellen.train import precision
from snellen.train.small_maps import small_map_products

_RECIPES, _SIDE, _REPEATS = ("sprint", "resnet18"), 32, 20


def measure(name: str, stage: Stage) -> dict[str, Any]:
    """One recipe's step at one of its sizes: the same step, with and without."""
    compute = precision.DeviceAndPrecision(precision="bf16")
    step = TrainingStep(find_recipe(name), noise_images(3_000), compute, stage)
    batch = step.batch()

    def under(context: Callable[[], AbstractContextManager[object]]) -> Callable[[], None]:
        def update() -> None:
            precision.small_map_products = context  # type: ignore[assignment]
            step.training.step(batch)

        return update

    conditions = conditions_here(device=torch.device("cpu"), precision="bf16", batch=step.batch_size)
    found = compare(
        under(nullcontext), under(small_map_products), warmup=2, repeats=_REPEATS,
        synchronize=lambda: None, conditions=(conditions, conditions),
    )  # fmt: skip
    per_image = 1e6 / step.batch_size
    return {
        "recipe": name, "side": stage.side, "batch": step.batch_size, "n": _REPEATS,
        "without_us_per_image": round(per_image * found.a.median),
        "with_us_per_image": round(per_image * found.b.median),
        "ratio": {f"p{percent}": round(percentile(found.ratios, percent), 3) for percent in (25, 50, 75)},
        "conditions": to_json(found.a.conditions),
    }  # fmt: skip


def main(out: Path) -> None:
    """Measure, print each line as it comes, and write them down."""
    if not has_instructions("amx_bf16"):
        sys.exit("This CPU has no AMX: convolutions are PyTorch's own here, and there is nothing to compare.")
    began, rows = time.monotonic(), []
    for name in _RECIPES:
        for stage in stages(find_recipe(name), _SIDE):
            rows.append(measure(name, stage))
            print(rows[-1], flush=True)
    write_measured(
        out, module="tests.train.measure_small_maps", began=began, rows=rows,
        what="training steps in turns, with and without products for small maps; ratio: time with / time without",
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
