"""Changes to the structure of valid documents: what a million flipped bytes would never get past a parser."""

from __future__ import annotations

import copy
import json
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 255, 4096, 2**31, 2**63, -(2**63) - 1, 10**40, 10**400, 0.5, -0.0, 1e308, 5e-324,
    "", "x", "\0", "\ud800", "NaN", "../../etc", "/etc/passwd", "<script>", "a" * 5_000, "१२", [], [[]], [None], {},
    {"kind": "sgd"}, {"kind": "muon"}, {"": {}}, [0] * 3, [1] * 1_000, ["x", "y"], [[0.5, 0.5]] * 3,
)  # fmt: skip
"""Values that a field does not expect."""
_LONGEST = 30_000  # bytes: edits of edits of edits would grow without end
_SPELLED = (
    b"1e999",
    b"-1e999",
    b"NaN",
    b"Infinity",
    b"9" * 5_000,
    b"[" * 3_000,
    b'{"a":' * 3_000,
    b"1.",
    b"0x1",
    b"''",
)


def edited_json(content: bytes, chance: Random) -> bytes:
    """A JSON document with one to three of its places changed; text that is none is changed as text."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return edited_text(content, chance)
    for _ in range(chance.randint(1, 3)):
        document = _edited(document, chance)
    try:
        text = json.dumps(document).encode()
    except (ValueError, RecursionError):
        return content
    if len(text) > _LONGEST:
        return content
    return edited_text(text, chance) if chance.random() < 0.1 else text


def edited_lines(content: bytes, chance: Random) -> bytes:
    """JSON lines with one line changed, doubled, removed or moved."""
    lines = content.split(b"\n")
    at = chance.randrange(len(lines))
    choice = chance.random()
    if choice < 0.7:
        lines[at] = edited_json(lines[at], chance)
    elif choice < 0.8:
        lines.insert(chance.randrange(len(lines) + 1), lines[at])
    elif choice < 0.9:
        del lines[at]
    else:
        chance.shuffle(lines)
    return b"\n".join(lines)


def edited_text(content: bytes, chance: Random) -> bytes:
    """A piece of the text replaced by another spelling, by nothing, or by a piece from elsewhere in it."""
    start = chance.randint(0, len(content))
    end = min(len(content), start + chance.choice((0, 1, 2, 4, 8, 32)))
    other = chance.randint(0, len(content))
    new = chance.choice((chance.choice(_SPELLED), b"", content[other : other + chance.randint(1, 40)]))
    return content[:start] + new + content[end:]


def edited_tensors(content: bytes, chance: Random) -> bytes:
    """A safetensors file with its header changed as JSON, or some of its values by others, NaN among them."""
    length = int.from_bytes(content[:8], "little")
    header, values = content[8 : 8 + length], bytearray(content[8 + length :])
    if chance.random() < 0.7:
        header = _renamed_dtype(header, chance) if chance.random() < 0.3 else edited_json(header, chance)
    elif values:
        at = 4 * chance.randrange(max(1, len(values) // 4))
        values[at : at + 4] = struct.pack("<f", chance.choice((0.0, -1.0, 1e38, float("inf"), float("nan"))))
    if chance.random() < 0.1:
        values = values[: chance.randint(0, len(values))]
    told = len(header) if chance.random() < 0.9 else chance.choice((0, 1, 2**31, 2**63, len(header) + 1))
    return told.to_bytes(8, "little") + header + values


def edited_array(content: bytes, chance: Random) -> bytes:
    """An .npy file with another dtype, order or shape in its header, the values left as they are."""
    if not content.startswith(b"\x93NUMPY") or len(content) < 12:
        return edited_text(content, chance)
    length = int.from_bytes(content[8:10], "little")
    header, values = content[10 : 10 + length].decode("latin-1"), content[10 + length :]
    old_type = header.partition("'descr': ")[2].partition(",")[0]
    old_shape = header.partition("'shape': ")[2].partition("}")[0]
    types = ("'<f8'", "'<f4'", "'<i8'", "'|u1'", "'|O'", "'<U4'", "'|S3'", "'<c8'", "[('a', '<f4')]", "'<M8[s]'")
    shapes = ("()", "(0,)", "(3,)", "(6, 3)", "(3, 6)", "(1, 1, 18)", "(-1,)", "(1099511627776,)", "(0, 9)", "(18,)")
    if chance.random() < 0.5:
        header = header.replace(old_type, chance.choice(types), 1)
    else:
        header = header.replace(old_shape, chance.choice(shapes) + ", ", 1)
    return content[:8] + struct.pack("<H", len(header)) + header.encode("latin-1") + values


def edited_png(content: bytes, chance: Random) -> bytes:
    """A PNG with one chunk changed, doubled, removed or invented, its checksum made right again."""
    chunks = _chunks(content)
    if not chunks:
        return edited_text(content, chance)
    at = chance.randrange(len(chunks))
    kind, data = chunks[at]
    choice = chance.random()
    if choice < 0.6:
        changed = bytearray(data or b"\0")
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        chunks[at] = kind, bytes(changed)
    elif choice < 0.7:
        chunks.insert(chance.randrange(len(chunks)), (kind, data))
    elif choice < 0.8:
        del chunks[at]
    else:
        kinds = (b"tRNS", b"PLTE", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"gAMA", b"sBIT")
        chunks.insert(1, (chance.choice(kinds), chance.randbytes(chance.choice((0, 1, 4, 8, 26, 60)))))
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def edited_tar(content: bytes, chance: Random) -> bytes:
    """A tar archive with one header's field changed and its checksum made right again, or a member doubled."""
    blocks = [content[at : at + 512] for at in range(0, len(content), 512)]
    headers = [at for at, block in enumerate(blocks) if block[257:262] == b"ustar" and len(block) == 512]
    if not headers:
        return edited_text(content, chance)
    at = chance.choice(headers)
    header = bytearray(blocks[at])
    field, values = chance.choice(_TAR_FIELDS)
    value = chance.choice(values)
    header[field : field + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    if chance.random() < 0.2:
        blocks.insert(at, bytes(header))
    else:
        blocks[at] = bytes(header)
    return b"".join(blocks)


_PNG = b"\x89PNG\r\n\x1a\n"
_TAR_FIELDS: tuple[tuple[int, tuple[bytes, ...]], ...] = (
    (0, (b"../x\0", b"/etc/x\0", b"a\\b\0", b"\0", b"cifar-10-batches-py/test_batch\0", b"\xff\xfe\0", b"./\0")),
    (124, (b"00000000000\0", b"77777777777\0", b"-0000000001\0", b"\x80" + b"\0" * 10 + b"\x01", b"\xff" * 12)),
    (156, tuple(bytes([kind]) for kind in b"0123456789LKxgXSVNM\0")),
    (157, (b"../../x\0", b"/etc/passwd\0", b"\0")),
    (257, (b"ustar\x0000", b"ustar  \0")),
    (100, (b"0004777\0", b"xxxxxxx\0")),
    (386, (b"00000000000\x0077777777777\0",)),
)  # name, size, type, link, magic, mode, sparse map


def _edited(document: Any, chance: Random) -> Any:
    places = list(_places(document))
    if not places:
        return _odd(chance)
    container, key = chance.choice(places)
    other, other_key = chance.choice(places)
    changes: tuple[Callable[[], object], ...] = (
        lambda: container.__setitem__(key, _odd(chance)),
        lambda: container.__setitem__(key, _odd(chance)),
        lambda: container.__setitem__(key, copy.deepcopy(other[other_key])),  # a copy: nothing contains itself
        lambda: container.__setitem__(key, _near(container[key], chance)),
        lambda: container.pop(key),
        lambda: container.update({chance.choice(("kind", "x", "", "name")): _odd(chance)})
        if isinstance(container, dict) else container.append(container[key]),
    )  # fmt: skip
    chance.choice(changes)()
    return document


def _odd(chance: Random) -> Any:
    return copy.deepcopy(chance.choice(ODD))


def _near(value: Any, chance: Random) -> Any:
    if isinstance(value, bool | None):
        return not value
    if isinstance(value, int):
        return chance.choice((-value, value + 1, value - 1, value * 1_000, value // 7, f"{value}"))
    if isinstance(value, float):
        return chance.choice((-value, value + 1, value * 1_000, value / 7, round(value, 1), f"{value}"))
    if isinstance(value, str):
        return chance.choice((value.upper(), value[:-1], value + "x", value * 20, [value], f"timm{value}"))
    return [value]


def _places(document: Any) -> Any:
    """Every (container, key) inside a document."""
    waiting = [document]
    while waiting:
        here = waiting.pop()
        keys: Any = here.keys() if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        for key in list(keys)[:200]:
            yield here, key
            waiting.append(here[key])


def _renamed_dtype(header: bytes, chance: Random) -> bytes:
    old = chance.choice((b'"F32"', b'"I64"'))
    return header.replace(old, chance.choice((b'"F64"', b'"I32"', b'"BF16"', b'"F8_E5M2"', b'"BOOL"', b'"U16"')), 1)


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(_PNG)
    while content.startswith(_PNG) and at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def small_pixels(height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8, the same every time."""
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
