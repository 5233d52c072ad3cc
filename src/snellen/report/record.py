"""What stands behind a run's numbers: recipe, machine, verdicts, robustness, and who looked at the test set."""

from __future__ import annotations

from typing import Any

from snellen.data.ledger import Ledger
from snellen.errors import RunError
from snellen.metrics.classification import smoothing_floor
from snellen.models.weights import weights_hash
from snellen.runs.environment import redact_paths
from snellen.runs.run import Run
from snellen.serialize import to_json


def record_json(run: Run, ledger: Ledger) -> dict[str, Any]:
    """The run's own files, as far as they exist; what is missing is None and is shown as missing."""
    info = run.info
    return {
        "name": run.name,
        "path": f"{run.folder.resolve().parent.name}/{run.name}",
        "recipe": to_json(run.recipe),
        "environment": redact_paths(_optional(run, "environment.json")),
        "guards": redact_paths(_verdicts(_optional(run, "guards.json"))),
        "robustness": _optional(run, "robustness.json"),
        "journal": [_numbers(row) for row in run.journal.rows()],
        "loss_floor": smoothing_floor(run.recipe.label_smoothing, len(info["data"]["class_names"])),
        "seed": info["seed"],
        "final": info["final"],
        "device": info["device"],
        "precision": info["precision"],
        "precision_reason": info.get("precision_reason", ""),
        "status": info["status"],
        "best_epoch": info.get("best_epoch"),
        "seconds": info.get("seconds"),
        "weights": weights_hash(run),
        "ledger": looks(run, ledger),
    }


def looks(run: Run, ledger: Ledger) -> list[dict[str, Any]]:
    """The ledger's lines about this run's weights on its own data, oldest first: when, why, what it showed."""
    weights, data = weights_hash(run), run.info["data"]["name"]
    lines, numbers = ledger.lines(), ledger.look_numbers()
    results = {line.content["intent"]: line for line in lines if line.kind == "result"}
    found = []
    for line in lines:
        if line.kind != "intent" or line.content["test_set"]["name"] != data:
            continue
        if all(candidate["weights"] != weights for candidate in line.content["candidates"]):
            continue
        result = results.get(line.hash)
        graded = [] if result is None else [each for each in result.content["results"] if each["weights"] == weights]
        found.append(
            {
                "time": line.content["time"],
                "reason": line.content["reason"],
                "tta": line.content["tta"],
                "look": numbers[line.hash],
                "intact": line.intact and (result is None or result.intact),
                "result": {key: graded[0][key] for key in ("n", "hits", "hits_tta")} if graded else None,
            }
        )
    return found


def graded_on_test(run: Run, ledger: Ledger) -> bool:
    """Whether there are test predictions *and* a ledger line that holds the result of exactly these weights."""
    if not (run.folder / "predictions_test.npz").exists():
        return False
    return any(look["result"] is not None and look["intact"] for look in looks(run, ledger))


def _optional(run: Run, name: str) -> dict[str, Any] | None:
    if not (run.folder / name).exists():
        return None
    try:
        return run.read(name)
    except RunError as error:
        return {"unreadable": str(error)}


def _verdicts(guards: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    """The list of verdicts, whatever stands around it."""
    if guards is None:
        return None
    return [
        {key: entry.get(key) for key in ("name", "passed", "evidence", "remedy", "severity")}
        for verdicts in guards.values()
        if isinstance(verdicts, list)
        for entry in verdicts
        if isinstance(entry, dict) and "name" in entry
    ]


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in row.items() if isinstance(value, int | float) and value == value}
