"""One image at every stop of the tour: what it is there, which line made it, and whether NumPy agrees.

The order is that of `docs/tour.md`. Nothing is simulated: each stop calls what training or evaluation calls, and lays
the same thing done by hand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snellen.explain.context import Context, Side, find
from snellen.explain.stage import Stage
from snellen.explain.stages_answer import answer_stages
from snellen.explain.stages_network import forward, network_stages
from snellen.explain.stages_pixels import pixel_stages


@dataclass(frozen=True, eq=False)
class Walk:
    """One image's way.

    Attributes:
        run: the run's name.
        data: the data set's name.
        split: the image's split.
        image_id: its position in the source file.
        label: name of the class it is said to be.
        epoch: of the training whose draws are shown, from 0.
        stages: the stops, in order.
    """

    run: str
    data: str
    split: Side
    image_id: int
    label: str
    epoch: int
    stages: tuple[Stage, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(stage.check.passed for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        """All fields and the verdict, without pixels."""
        return {
            "run": self.run,
            "data": self.data,
            "split": self.split,
            "image": self.image_id,
            "label": self.label,
            "epoch": self.epoch,
            "passed": self.passed,
            "stages": [stage.to_json() for stage in self.stages],
        }


def walk(ground: Context, *, image_id: int | None = None, split: Side = "val", epoch: int = 0) -> Walk:
    """Take one image through all stops, on the CPU.

    Args:
        ground: the run and its data.
        image_id: as in `LabeledImages.ids`; None takes the first of the split.
        split: "val" or "train".
        epoch: of the training, from 0: which augmentation to show.

    Raises:
        InvalidSetting: there is no such image or epoch.
        RunError: the run kept no val images.
    """
    subject = find(ground, image_id=image_id, split=split, epoch=epoch)
    passed = forward(subject)
    stages = [*pixel_stages(subject), *network_stages(subject, passed), *answer_stages(subject, passed)]
    return Walk(
        run=ground.run.name,
        data=subject.images.name,
        split=split,
        image_id=subject.image_id,
        label=subject.images.class_names[subject.label],
        epoch=epoch,
        stages=tuple(stages),
    )
