"""What an exported file says about itself: the same words in the ONNX metadata, in model.json and in the card."""

from __future__ import annotations

from typing import Any

from snellen.data.pictures import PictureForm
from snellen.metrics.intervals import Rate
from snellen.models.restore import weights_hash
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.version import VERSION


def about(run: Run) -> dict[str, Any]:
    """What a user of the file needs in order to feed it and to know what it is, JSON-able."""
    info = run.info
    data = info["data"]
    return {
        "made_by": "Snellen",
        "snellen": VERSION,
        "run": run.name,
        "data": data["name"],
        "trained_on": "train+val" if info["final"] else "train",
        "training_images": data["train"]["count"],
        "class_names": data["class_names"],
        "image_shape": data["image_shape"],  # [H, W, C] in pixels
        "side": data["image_shape"][0],
        "channels": data["image_shape"][2],
        "fit": PictureForm.of_run(data).fit,
        "input": "uint8, (N, H, W, C), 0 to 255, RGB",
        "output": "probabilities, float32, (N, K), in the order of class_names",
        "mean": info["statistics"]["mean"],
        "std": info["statistics"]["std"],
        "seed": info["seed"],
        "weights_sha256": weights_hash(run),
        "recipe": to_json(run.recipe),
    }


def measured(accuracy: Rate, split: str) -> dict[str, Any]:
    """The entry that states a file's own accuracy, with n and 95 % interval; nothing where no image was kept for it."""
    return {"val_accuracy": to_json(accuracy) if split == "val" else None}
