"""Read a `.wandb` file: LevelDB's log format with a head of its own, and one protocol buffer a record."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEAD, _BLOCK, _RECORD_HEAD = 7, 32_768, 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Any]:
    """Every record, as wandb's own message."""
    from wandb.proto import wandb_internal_pb2

    content = path.read_bytes()
    assert content[:4] == b":W&B"
    at, parts = _HEAD, b""
    while at < len(content):
        left = _BLOCK - at % _BLOCK
        if left < _RECORD_HEAD:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + _RECORD_HEAD])
        piece = content[at + _RECORD_HEAD : at + _RECORD_HEAD + length]
        at += _RECORD_HEAD + length
        parts = piece if kind in (_FULL, _FIRST) else parts + piece
        if kind in (_FULL, _LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record


def entries(items: Any) -> dict[str, Any]:
    """Repeated key/value_json items, of history, config or summary."""
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
