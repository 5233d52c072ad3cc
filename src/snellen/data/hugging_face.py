"""Objects of Hugging Face's `datasets`: written once as Parquet shards, which are read as any others."""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snellen.errors import SHORT, InvalidSetting
from snellen.paths import cache_folder
from snellen.runs.atomic import storage_error


def on_disk(given: Any, called: str) -> Path:
    """The folder of shards that a `datasets.Dataset` or `DatasetDict` becomes, in the cache, known by its fingerprint.

    Raises:
        InvalidSetting: it is neither; the sentence names the argument as `called`.
        StorageError: the cache cannot be written.
    """
    parts = dict(given) if isinstance(given, Mapping) else {"train": given}
    if not parts or not all(hasattr(part, "to_parquet") and hasattr(part, "_fingerprint") for part in parts.values()):
        raise InvalidSetting(
            f"{called}={SHORT.repr(given)} is not possible: a name, a path, or a Dataset or DatasetDict of Hugging "
            "Face. Arrays: snellen.from_arrays(images, labels)."
        )
    embed = importlib.import_module("datasets.table").embed_table_storage  # pictures that are named by paths come along
    what = repr([(name, part._fingerprint) for name, part in sorted(parts.items())])
    name = getattr(next(iter(parts.values())).info, "dataset_name", None) or "hugging_face"
    folder = cache_folder() / "hugging_face" / hashlib.sha256(what.encode()).hexdigest()[:16] / name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                shards = Path(scratch) / name
                shards.mkdir()
                for part, rows in parts.items():
                    whole = rows.with_format("arrow").map(embed, batched=True)
                    whole.to_parquet(str(shards / f"{part}-00000-of-00001.parquet"))
                shards.rename(folder)
    except OSError as error:
        raise storage_error(folder, error) from error
    return folder
