"""What `run.json` says of a run, judged before any command relies on it: a run folder may come from anywhere."""

from __future__ import annotations

from typing import Any

_LARGEST_SIDE = 4096


def describes_run(info: dict[str, Any]) -> bool:
    """Whether every entry that later commands read is there and of its kind."""
    try:
        data, final = info["data"], info["final"]
        names = data["class_names"]
        texts = [info["status"], info["device"], info["precision"], data["name"], data["source"], *names]
        height, width, channels = data["image_shape"]
        graded = info["status"] == "finished" and final is False
        return (
            all(isinstance(text, str) for text in [*texts, data["train"]["fingerprint"]])
            and isinstance(names, list)
            and len(names) >= 2
            and all(type(side) is int and 1 <= side <= _LARGEST_SIDE for side in (height, width, channels))
            and (type(info["seed"]), type(final)) == (int, bool)
            and 0 <= info["seed"] < 2**32
            and all(_are_numbers(info["statistics"][name], channels) for name in ("mean", "std"))
            and all(_is_number(info.get(name, 0)) for name in ("best_epoch", "seconds"))
            and (not graded or _is_grade(info["val"]["accuracy"]))
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _are_numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(map(_is_number, values))


def _is_grade(rate: Any) -> bool:
    return type(rate["hits"]) is type(rate["n"]) is int and 0 <= rate["hits"] <= rate["n"] and _is_number(rate["value"])
