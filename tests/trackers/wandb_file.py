"""Read a `.wandb` file: LevelDB's log format with a head of its own, and one protocol buffer a record."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEAD, _BLOCK, _RECORD_HEAD = 7, 32_768, 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_WAIT = 60.0  # seconds


def whole(path: Path) -> list[Any]:
    """Every record of a run that has ended, as wandb's own message.

    A process of wandb's own writes the file, and on a busy machine `finish` returns before it has: the file was
    seen empty, and cut in the middle of a record. It is whole when its last record is the exit.
    """
    until = time.monotonic() + _WAIT
    while not (found := list(records(path.read_bytes()))) or found[-1].WhichOneof("record_type") != "exit":
        assert time.monotonic() < until, f"{path.name} has {len(found)} records and no exit after {_WAIT:.0f} s"
        time.sleep(0.05)
    return found


def records(content: bytes) -> Iterator[Any]:
    """The records that stand whole in the file so far."""
    from wandb.proto import wandb_internal_pb2

    assert content[:4] == b":W&B"[: len(content)]
    at, parts = _HEAD, b""
    while at + _RECORD_HEAD <= len(content):
        left = _BLOCK - at % _BLOCK
        if left < _RECORD_HEAD:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + _RECORD_HEAD])
        piece = content[at + _RECORD_HEAD : at + _RECORD_HEAD + length]
        if len(piece) < length:
            return
        at += _RECORD_HEAD + length
        parts = piece if kind in (_FULL, _FIRST) else parts + piece
        if kind in (_FULL, _LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record


def entries(items: Any) -> dict[str, Any]:
    """Repeated key/value_json items, of history, config or summary."""
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
