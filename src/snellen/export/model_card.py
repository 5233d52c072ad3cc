"""What an exported model says of itself: facts for its files, and the model card.

The card says what it is, how good it is and what it is not, from the run's own files and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snellen.data.ledger import Ledger
from snellen.data.pictures import PictureForm
from snellen.errors import RunError
from snellen.export.parity import Parity
from snellen.guards.guard import read_guards, summary
from snellen.metrics.calibration import calibration
from snellen.metrics.intervals import Rate
from snellen.metrics.scorecard import Scorecard, scorecard
from snellen.models.weights import weights_hash
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.show.text import markdown_list, markdown_table
from snellen.version import VERSION

_NO_VAL = ["A final training learns from the val images as well: there is no val accuracy, recall or calibration."]


def facts_of(run: Run) -> dict[str, Any]:
    """What a user of an exported file needs in order to feed it and to know what it is, JSON-able.

    The same words stand in the ONNX metadata, in model.json and in the card.
    """
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


def model_card(
    run: Run, facts: dict[str, Any], parities: Sequence[Parity], sizes: dict[str, int], ledger: Ledger
) -> str:
    """The card as Markdown.

    Args:
        run: finished.
        facts: from `facts_of`.
        parities: of the files exported.
        sizes: bytes of the files written, by name.
        ledger: where looks at test sets are written.
    """
    stored = run.folder / "predictions_val.npz"
    predictions = Predictions.load(stored) if stored.exists() else None
    names = facts["class_names"]
    parts = [
        f"# {run.name}",
        f"Names what is in a picture: one of {len(names)} classes of {facts['data']}. "
        f"Trained with Snellen {facts['snellen']}; every number here was measured and stands in the run's files.",
        "## What it is",
        *_what(run, facts),
        "## How good it is",
        *(_NO_VAL if predictions is None else _val(run, predictions)),
        _test(facts, run, ledger),
        *([] if predictions is None else ["### By class", _by_class(scorecard(predictions))]),
        "## The files",
        *_files(parities, sizes),
        "## What was looked for",
        *_guards(run),
        "## Limits",
        markdown_list(_limits(facts, predictions)),
    ]
    return "\n\n".join(parts) + "\n"


def _what(run: Run, facts: dict[str, Any]) -> list[str]:
    recipe, environment, info = run.recipe, run.read("environment.json"), run.info
    height, width, channels = facts["image_shape"]
    epochs = recipe.epochs_on(info["data"]["train"]["count"])
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    options = ", ".join(f"{key}={value}" for key, value in recipe.model_options.items())
    commit = f", commit {environment['commit']}" if environment.get("commit") else ""
    rows = [
        ("input", f"{facts['input']}, here {height} x {width} px, {'RGB' if channels == 3 else 'grey'}"),
        ("pictures become square by", f"{facts['fit']} (Lanczos)"),
        ("output", facts["output"]),
        ("classes", ", ".join(map(str, facts["class_names"]))),
        ("network", f"{recipe.model} ({options})" if options else recipe.model),
        ("trained on", f"{facts['data']}, {facts['training_images']:,} images ({facts['trained_on']})"),
        ("recipe", f"{recipe.name}, {epochs:g} epochs, seed {info['seed']}, {info['precision']}"),
        ("command", f"`{environment['command']}`"),
        ("made with", f"Snellen {environment['snellen']}{commit}, Python {environment['python']}, {packages}"),
        ("on", f"{environment['processor']}, {info['device']}, {environment['started'][:10]}"),
        ("weights (SHA-256)", f"`{facts['weights_sha256']}`"),
    ]
    return [
        markdown_table(("", ""), rows),
        "The whole recipe stands in the metadata of the ONNX file and in `model.json`.",
    ]


def _val(run: Run, predictions: Predictions) -> list[str]:
    card = scorecard(predictions)
    lines = [f"val accuracy **{card.plain.accuracy.text(2)}**, one view per image, graded in {run.info['precision']}"]
    if card.with_tta is not None:
        lines.append(f"with test-time augmentation ({card.tta}) {card.with_tta.accuracy.text(2)}; not in the files")
    lines.append(f"always answering {card.majority_class} would give {card.majority.text(1)}")
    lines.append(str(calibration(predictions)))
    chosen = "Brackets are 95 % intervals over images."
    if predictions.best_of > 1:
        chosen += (
            f" Epoch {run.info['best_epoch']} was chosen on these same images as the best of {predictions.best_of}, "
            f"which the lower ends allow for; the last of them has {100 * run.val_looks[-1]:.2f} %."
        )
    return [markdown_list(lines), chosen]


def _test(facts: dict[str, Any], run: Run, ledger: Ledger) -> str:
    if run.info["data"]["test"] is None:
        return "There is no test set; these are all the pictures it was graded on."
    tta, unsure = run.recipe.tta, run.recipe.tta_fraction
    line = ledger.result_for(facts["weights_sha256"], tta=tta, tta_fraction=unsure, data=facts["data"])
    if line is None:
        return "Test: not looked at, as far as the ledger knows."
    plain, averaged = Rate(line["hits"], line["n"]), Rate(line["hits_tta"], line["n"])
    number, together = ledger.look_number(line["intent"]), ledger.candidate_count(line["intent"])
    views = "" if tta == "none" else f", with test-time augmentation ({tta}) {averaged.text(2)}"
    others = f", one of {together} models graded in it" if together > 1 else ""
    return f"Test accuracy **{plain.text(2)}**{views}: look {number} at this test set by the ledger{others}."


def _by_class(card: Scorecard) -> str:
    rows = [
        (row.name, _percent(row.recall), _percent(row.precision), str(row.support))
        for row in sorted(card.classes, key=lambda row: row.recall.value if row.recall else 2.0)
    ]
    return markdown_table(("class, worst first", "recall", "precision", "images"), rows)


def _files(parities: Sequence[Parity], sizes: dict[str, int]) -> list[str]:
    rows = []
    for one in parities:
        value = 100 * one.accuracy.value
        difference = f"{value:+.2f} ({100 * one.accuracy.low:+.2f} to {100 * one.accuracy.high:+.2f})"
        size = f"{sizes[one.file] / 1e6:.2f} MB" if one.file in sizes else "**refused**"
        rows.append(
            (f"`{one.file}`", size, one.runtime, one.accuracy.second.text(2), difference, f"{one.largest_gap:.1g}")
        )
    first = parities[0]
    said = (
        f"Each was compared with PyTorch in fp32 ({first.accuracy.first.text(2)}) on {first.accuracy.first.n:,} "
        f"{first.split} images. The difference is in points, image by image, with its 95 % interval; the gap is the "
        "largest of one probability. `parity.json` says what was allowed."
    )
    header = ("file", "size", "run by", f"{first.split} accuracy", "minus PyTorch", "largest gap")
    return [said, markdown_table(header, rows), *(one.refusal for one in parities if one.refusal)]


def _guards(run: Run) -> list[str]:
    try:
        results = read_guards(run)
    except RunError:
        return ["The guards were not asked. Ask them: `snellen doctor RUN`."]
    failed = [result for result in results if result.passed is False]
    unknown = [result for result in results if result.passed is None]
    lines = [f"**{result.name}** failed ({result.severity}): {result.evidence}" for result in failed]
    lines += [f"{result.name} could not be judged: {result.evidence}" for result in unknown]
    return [f"{summary(results)}.", *([markdown_list(lines)] if lines else [])]


def _limits(facts: dict[str, Any], predictions: Predictions | None) -> list[str]:
    height, width, _ = facts["image_shape"]
    limits = [
        f"It knows {len(facts['class_names'])} classes and answers one of them whatever it is shown; it cannot say "
        '"none of these".',
        f"A picture is shrunk to {height} x {width} px first; what is smaller than that cannot be seen.",
        f"The accuracy holds for pictures like those of {facts['data']}. Other cameras, crops or motifs were not "
        "measured.",
        "Noise, blur, changes of light and deliberate attacks were not measured here.",
    ]
    if predictions is not None:
        share = 100 * float(predictions.probabilities.max(axis=1).mean())
        limits.append(f"Its mean confidence on val is {share:.1f} %; see the calibration above before using it as one.")
    return limits


def _percent(rate: Rate | None) -> str:
    return "–" if rate is None else str(rate).rpartition(",")[0] + ")"
