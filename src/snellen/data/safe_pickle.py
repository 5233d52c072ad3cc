"""CIFAR's batch files are pickles, and a pickle is a program: `pickle.load` runs whatever its author wrote.

This is the pickle machine with the dangerous half left out. It knows numbers, text, bytes, lists, tuples, dicts
and one kind of array (uint8), calls nothing, imports nothing, and bounds its work before it starts. The five names
a NumPy array needs inside a pickle are recognised by spelling and answered by this file; any other name ends the
reading. There is no fallback to `pickle`. Called by `cifar10.py`, after the checksum.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snellen.errors import DataError, HostileFile

MAX_BYTES = 64 * 2**20
"""An official batch has 31,035,999 bytes at most."""
MAX_INSTRUCTIONS = 500_000
"""An official batch has about 40,000. Each instruction makes at most one small object, so this bounds memory."""

_Known = Literal["array", "ndarray", "dtype", "encode"]
_KNOWN_NAMES: dict[str, _Known] = {
    "numpy.core.multiarray._reconstruct": "array",  # NumPy 1
    "numpy._core.multiarray._reconstruct": "array",  # NumPy 2
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "_codecs.encode": "encode",  # how Python 3 writes bytes into a Python 2 pickle
}


class _Name:
    """A recognised name on the stack. It stands for a function of NumPy's and is not one."""

    def __init__(self, known: _Known) -> None:
        self.known = known


class _Uint8:
    """The element type of every array here."""


class _Array:
    """An array between its creation and the BUILD instruction that fills it."""

    def __init__(self) -> None:
        self.values: NDArray[np.uint8] | None = None


class _Unreadable(Exception):
    """Why the bytes are no CIFAR batch; becomes the end of a DataError's sentence."""


def load_batch_pickle(content: bytes, *, name: str = "the batch") -> dict[bytes, Any]:
    """The dict inside a CIFAR batch or `batches.meta`, without running anything the file says.

    Args:
        content: the file, protocols 0 to 4; Python 2 strings come back as bytes.
        name: what messages call the file.

    Returns:
        The entries under bytes keys; arrays are uint8 and read-only.

    Raises:
        HostileFile: the file names a class or function that no batch needs. It was not imported.
        DataError: the file is too large, truncated, or not such a pickle.
    """
    if len(content) > MAX_BYTES:
        raise DataError(f"{name} has {len(content)} bytes; a CIFAR batch has at most {MAX_BYTES}.")
    try:
        entries = _Machine(content, name).run()
        if not isinstance(entries, dict):
            raise _Unreadable(f"it holds a {type(entries).__name__} where a dict belongs")
        return {_as_bytes(key): _finished(value) for key, value in entries.items()}
    except _Unreadable as reason:
        raise DataError(f"{name} is not a readable CIFAR batch: {reason}. Download it again.") from None
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error):
        raise DataError(f"{name} is not a readable CIFAR batch: cut short or damaged. Download it again.") from None


def _as_bytes(key: object) -> bytes:
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, bytes):
        return key
    raise _Unreadable(f"a key is a {type(key).__name__} where bytes belong")


def _finished(value: object) -> object:
    if isinstance(value, _Array):
        if value.values is None:
            raise _Unreadable("an array has no content")
        return value.values
    return value


class _Machine:
    """A stack, a stack of marks and a memo, as in `pickletools.__doc__`; one method per instruction kept."""

    def __init__(self, content: bytes, name: str) -> None:
        self.content, self.name = content, name
        self.position = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}  # a dict, so that a put at index 2**31 costs one entry and not 16 GB
        self.encoded_bytes = 0

    def run(self) -> object:
        for _ in range(MAX_INSTRUCTIONS):
            opcode = self.take(1)
            if opcode == pickle.STOP:
                return self.stack.pop()
            instruction = _INSTRUCTIONS.get(opcode)
            if instruction is None:
                raise _Unreadable(f"instruction {opcode!r} at byte {self.position - 1} is in no CIFAR batch")
            instruction(self)
        raise _Unreadable(f"it has more than {MAX_INSTRUCTIONS} instructions")

    def take(self, count: int) -> bytes:
        start, self.position = self.position, self.position + count
        if count < 0 or self.position > len(self.content):
            raise _Unreadable(f"cut short at byte {len(self.content)}")
        return self.content[start : self.position]

    def number(self, layout: str) -> int:
        return int(struct.unpack(layout, self.take(struct.calcsize(layout)))[0])

    def line(self) -> bytes:
        return self.take(self.content.index(b"\n", self.position) + 1 - self.position)[:-1]

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def last(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise _Unreadable("an instruction finds too little on the stack")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def fill_dict(self, items: list[Any]) -> None:
        target = self.stack[-1]
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Plain keys only: the hash of a tuple nested 100 deep in itself would take 2**100 steps.
            if not isinstance(target, dict) or not isinstance(key, bytes | str | int):
                raise _Unreadable("a dict has a key that is neither text nor number")
            target[key] = value

    def fill_list(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise _Unreadable("it appends to something that is no list")
        self.stack[-1].extend(items)

    def find(self, module: object, attribute: object) -> None:
        dotted = f"{_text(module)}.{_text(attribute)}"
        if dotted not in _KNOWN_NAMES:
            raise HostileFile(
                f"{self.name} asks for {dotted[:80]!r}, which no CIFAR batch contains. Nothing was run. "
                "Do not open the file with other tools; delete it and download it again."
            )
        self.stack.append(_Name(_KNOWN_NAMES[dotted]))

    def reduce(self) -> None:
        function, arguments = self.last(2)
        known = function.known if isinstance(function, _Name) else None
        if known == "array":
            self.stack.append(_Array())
        elif known == "dtype" and arguments[0] in (b"u1", "u1"):
            self.stack.append(_Uint8())
        elif known == "encode" and isinstance(arguments[0], str) and arguments[1] in (b"latin1", "latin1"):
            # One long text may be encoded many times over, each time for two bytes of file.
            self.encoded_bytes += len(arguments[0])
            if self.encoded_bytes > MAX_BYTES:
                raise _Unreadable("it unfolds to more than a batch can hold")
            self.stack.append(arguments[0].encode("latin1"))
        else:
            raise _Unreadable("it holds an object other than a uint8 array")

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _Array):
            _version, shape, element, column_major, pixels = state
            if not isinstance(element, _Uint8) or not isinstance(pixels, bytes) or column_major:
                raise _Unreadable("its array is not one of uint8 in row-major order")
            target.values = np.frombuffer(pixels, dtype=np.uint8).reshape(shape)
        elif not isinstance(target, _Uint8):  # a dtype's state says nothing about uint8 that is not known
            raise _Unreadable("it fills something that is no array")


def _text(value: object) -> str:
    if not isinstance(value, bytes | str):
        raise _Unreadable("a name in it is no text")
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


_Instruction = Callable[[_Machine], None]


def _skip(count: int) -> _Instruction:
    def instruction(machine: _Machine) -> None:
        machine.take(count)

    return instruction


def _push(make: Callable[[_Machine], object]) -> _Instruction:
    def instruction(machine: _Machine) -> None:
        machine.stack.append(make(machine))

    return instruction


def _put(index: Callable[[_Machine], int]) -> _Instruction:
    def instruction(machine: _Machine) -> None:
        machine.memo[index(machine)] = machine.stack[-1]

    return instruction


def _dict_since_mark(machine: _Machine) -> None:
    items = machine.since_mark()
    machine.stack.append({})
    machine.fill_dict(items)


_INSTRUCTIONS: dict[bytes, _Instruction] = {
    pickle.PROTO: _skip(1),
    pickle.FRAME: _skip(8),
    pickle.MARK: lambda m: m.marks.append(len(m.stack)),
    pickle.NONE: _push(lambda m: None),
    pickle.NEWTRUE: _push(lambda m: True),
    pickle.NEWFALSE: _push(lambda m: False),
    pickle.INT: _push(lambda m: int(m.line())),
    pickle.BININT: _push(lambda m: m.number("<i")),
    pickle.BININT1: _push(lambda m: m.number("<B")),
    pickle.BININT2: _push(lambda m: m.number("<H")),
    pickle.UNICODE: _push(lambda m: m.line().decode("raw-unicode-escape")),
    pickle.SHORT_BINUNICODE: _push(lambda m: m.take(m.number("<B")).decode()),
    pickle.BINUNICODE: _push(lambda m: m.take(m.number("<I")).decode()),
    pickle.SHORT_BINSTRING: _push(lambda m: m.take(m.number("<B"))),
    pickle.BINSTRING: _push(lambda m: m.take(m.number("<i"))),
    pickle.SHORT_BINBYTES: _push(lambda m: m.take(m.number("<B"))),
    pickle.BINBYTES: _push(lambda m: m.take(m.number("<I"))),
    pickle.EMPTY_TUPLE: _push(lambda m: ()),
    pickle.TUPLE1: _push(lambda m: tuple(m.last(1))),
    pickle.TUPLE2: _push(lambda m: tuple(m.last(2))),
    pickle.TUPLE3: _push(lambda m: tuple(m.last(3))),
    pickle.TUPLE: _push(lambda m: tuple(m.since_mark())),
    pickle.EMPTY_LIST: _push(lambda m: []),
    pickle.LIST: _push(lambda m: m.since_mark()),
    pickle.APPEND: lambda m: m.fill_list(m.last(1)),
    pickle.APPENDS: lambda m: m.fill_list(m.since_mark()),
    pickle.EMPTY_DICT: _push(lambda m: {}),
    pickle.DICT: _dict_since_mark,
    pickle.SETITEM: lambda m: m.fill_dict(m.last(2)),
    pickle.SETITEMS: lambda m: m.fill_dict(m.since_mark()),
    pickle.PUT: _put(lambda m: int(m.line())),
    pickle.BINPUT: _put(lambda m: m.number("<B")),
    pickle.LONG_BINPUT: _put(lambda m: m.number("<I")),
    pickle.MEMOIZE: _put(lambda m: len(m.memo)),
    pickle.GET: _push(lambda m: m.memo[int(m.line())]),
    pickle.BINGET: _push(lambda m: m.memo[m.number("<B")]),
    pickle.LONG_BINGET: _push(lambda m: m.memo[m.number("<I")]),
    pickle.GLOBAL: lambda m: m.find(m.line(), m.line()),
    pickle.INST: lambda m: m.find(m.line(), m.line()),
    pickle.STACK_GLOBAL: lambda m: m.find(*m.last(2)),
    pickle.REDUCE: lambda m: m.reduce(),
    pickle.BUILD: lambda m: m.build(),
}
