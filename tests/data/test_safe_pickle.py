"""The batch reader: reads what batches hold, runs nothing, and never fails in another way than a DataError."""

from __future__ import annotations

import builtins
import os
import pickle
import struct
import subprocess
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snellen.data import safe_pickle
from snellen.data.safe_pickle import MAX_BYTES, load_batch_pickle
from snellen.errors import DataError, HostileFile

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 12)
BATCH = {"data": PIXELS, "labels": [3, 300, 70_000, -1], "batch_label": b"one of five", "more": ((), (1,), None, True)}


class Calls:
    """Pickles to a program that calls `function(*arguments)` when it is loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_a_batch_is_read_as_it_was_written(protocol: int) -> None:
    entries = load_batch_pickle(pickle.dumps(BATCH, protocol=protocol))
    np.testing.assert_array_equal(entries[b"data"], PIXELS)
    assert entries[b"data"].dtype == np.uint8
    assert entries[b"labels"] == BATCH["labels"]
    assert entries[b"batch_label"] == b"one of five"
    assert entries[b"more"] == BATCH["more"]


def test_both_spellings_of_numpy_are_read() -> None:
    new = pickle.dumps({"data": PIXELS}, protocol=2)
    assert b"numpy._core" in new
    old = new.replace(b"numpy._core", b"numpy.core")
    np.testing.assert_array_equal(load_batch_pickle(old)[b"data"], load_batch_pickle(new)[b"data"])


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["alone", "beside pixels", "nested"])
@pytest.mark.parametrize("function", [os.system, builtins.eval, subprocess.check_output, os.mkdir])
def test_a_foreign_function_is_named_and_not_called(function: Any, place: str, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    program = {
        os.system: f"touch {canary}",
        builtins.eval: f"__import__('os').mkdir({str(canary)!r})",
        subprocess.check_output: ["touch", str(canary)],
        os.mkdir: str(canary),
    }[function]
    call = Calls(function, program)
    payload: Any = {"alone": call, "beside pixels": {"labels": [1], "data": call}, "nested": {"a": [(1, {"b": call})]}}
    with pytest.raises(HostileFile, match=f"{function.__name__}.*Nothing was run"):
        load_batch_pickle(pickle.dumps(payload[place], protocol=protocol))
    assert not canary.exists()


def test_the_canary_would_have_sung(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(Calls(os.mkdir, str(canary))))
    assert canary.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"ios\nsystem\n.",  # INST, the oldest way
        b"(S'touch x'\nios\nsystem\n.",
        b"c__builtin__\neval\n(Vprint()\ntR.",
        b"\x80\x02cnumpy\nload\n.",
        b"\x80\x02cnumpy.core.multiarray\nfromfile\n.",
        b"\x80\x02c_codecs\nlookup\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",  # a dotted path below an allowed name
        pickle.dumps(OrderedDict(a=1)),
    ],
)
def test_names_near_the_allowed_ones_are_refused(payload: bytes) -> None:
    with pytest.raises(DataError, match=r"asks for|instruction"):
        load_batch_pickle(payload)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "cut short"),
        (b"hello world", "no CIFAR batch|cut short|damaged"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02]q\x01.", "a list where a dict belongs"),
        (b"}r\xff\xff\xff\xff.", None),  # a memo index of 2**32: one entry, not 32 GB
        (b"}h\x07.", "damaged"),
        (b"\x80\x02X\xff\xff\xff\xffabc.", "cut short"),
        (b"T\xff\xff\xff\xffabc.", "cut short"),  # a negative length
        (b"}K\x01", "cut short"),
        (b"}(K\x01u.", "damaged"),
        (b"}((tK\x01s.", "neither text nor number"),
        (b"K\x01K\x02a.", "no list"),
        (b"cnumpy\nndarray\n(tR.", "other than a uint8 array"),
        (b"c_codecs\nencode\n(Va\nVzlib\ntR.", "other than a uint8 array"),
        (b"}(lbK\x01.", "no array"),
        (pickle.dumps({"labels": [2**70]}, protocol=2), "instruction"),  # no label needs so many digits
    ],
)
def test_what_is_no_batch_is_one_sentence(payload: bytes, why: str | None) -> None:
    if why is None:
        assert load_batch_pickle(payload) == {}
        return
    with pytest.raises(DataError, match=why):
        load_batch_pickle(payload)


@pytest.mark.parametrize("payload", [b"(" * 1_001 + b".", b"}" + b"K\x01K\x02s" * 334 + b"."])
def test_work_is_bounded_before_it_starts(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_pickle, "MAX_INSTRUCTIONS", 1_000)
    with pytest.raises(DataError, match="more than 1000 instructions"):
        load_batch_pickle(payload)


def test_a_tuple_nested_in_itself_a_hundred_times_costs_nothing() -> None:
    doubled = b")" + b"q\x00h\x00\x86" * 100  # (t, t) again and again: 2**100 leaves
    with pytest.raises(DataError, match="neither text nor number"):
        load_batch_pickle(b"}" + doubled + b"K\x01s.")
    with pytest.raises(DataError, match="no text"):
        load_batch_pickle(doubled + b"q\x01h\x01\x93.")


def test_a_text_encoded_again_and_again_is_stopped() -> None:
    text = b"X" + struct.pack("<I", 2**20) + b"a" * 2**20 + b"q\x00"
    again = b"c_codecs\nencode\nh\x00Vlatin1\n\x86R" * 80
    with pytest.raises(DataError, match="unfolds"):
        load_batch_pickle(text + again + b".")


def test_more_than_a_batch_can_hold_is_not_looked_at() -> None:
    with pytest.raises(DataError, match=str(MAX_BYTES)):
        load_batch_pickle(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize("dtype", [np.float32, object, "S3"])
def test_arrays_of_other_types_are_refused(dtype: Any) -> None:
    with pytest.raises(DataError, match="uint8"):
        load_batch_pickle(pickle.dumps({"data": np.zeros(3, dtype=dtype)}, protocol=2))


WHOLE = pickle.dumps(BATCH, protocol=2)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_batch_cut_anywhere_is_one_sentence(length: int) -> None:
    with pytest.raises(DataError):
        load_batch_pickle(WHOLE[:length])


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_changed_byte_never_ends_in_another_error(position: int, value: int) -> None:
    changed = WHOLE[:position] + bytes([value]) + WHOLE[position + 1 :]
    with suppress(DataError):
        load_batch_pickle(changed)


@given(st.binary(max_size=60))
def test_noise_never_ends_in_another_error(noise: bytes) -> None:
    with suppress(DataError):
        load_batch_pickle(noise)


@pytest.mark.cifar10
@pytest.mark.parametrize("name", ["batches.meta", "test_batch", *(f"data_batch_{n}" for n in range(1, 6))])
def test_the_official_files_are_read(name: str, cifar10_folder: Path) -> None:
    entries = load_batch_pickle((cifar10_folder / name).read_bytes())
    if name == "batches.meta":
        assert entries[b"label_names"][3] == b"cat"
        return
    assert entries[b"data"].shape == (10_000, 3072)
    assert sorted(set(entries[b"labels"])) == list(range(10))
