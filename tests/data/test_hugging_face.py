"""Objects of Hugging Face's `datasets`, by stand-ins for them: written once, and read as shards are."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.made_shards import jpeg

import snellen
from snellen.data.run_images import load_as_before
from snellen.errors import InvalidSetting

pyarrow = pytest.importorskip("pyarrow")
SCHEMA = (
    b'{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "ant"], "_type": "ClassLabel"}}}}'
)
EMBEDDED = object()


class Rows:
    """A `datasets.Dataset` whose pictures are not inside until they were embedded."""

    def __init__(self, count: int, written: list[str], first: int = 0) -> None:
        self.count, self.written, self.first, self.embedded = count, written, first, False
        self._fingerprint, self.info = f"{first}-{count}", SimpleNamespace(dataset_name="pets")

    def with_format(self, kind: str) -> Rows:
        assert kind == "arrow"
        return self

    def map(self, function: object, *, batched: bool) -> Rows:
        assert function is EMBEDDED
        assert batched
        self.embedded = True
        return self

    def to_parquet(self, path: str) -> None:
        from pyarrow import parquet

        assert self.embedded
        self.written.append(Path(path).name)
        images = [{"bytes": jpeg(self.first + at, side=40), "path": None} for at in range(self.count)]
        labels = [at % 2 for at in range(self.count)]
        table = pyarrow.table({"image": images, "label": labels}).replace_schema_metadata({b"huggingface": SCHEMA})
        parquet.write_table(table, path)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "datasets", ModuleType("datasets"))
    monkeypatch.setitem(sys.modules, "datasets.table", SimpleNamespace(embed_table_storage=EMBEDDED))  # type: ignore[arg-type]
    return []


def test_parts_are_written_once_and_read_as_shards_are(written: list[str], tmp_path: Path) -> None:
    parts: dict[str, Any] = {
        "train": Rows(20, written),
        "validation": Rows(6, written, 20),
        "test": Rows(8, written, 26),
    }
    dataset = snellen.load(parts, size=32)
    assert (dataset.name, len(dataset.train), dataset.train.class_names) == ("pets", 26, ("cat", "ant"))
    assert dataset.in_val is not None
    assert dataset.in_val.sum() == 6
    assert dataset.test is not None
    assert dataset.test.count == 8
    assert len(written) == 3
    again = snellen.load(parts, size=32)
    assert len(written) == 3
    assert again.train.fingerprint == dataset.train.fingerprint == load_as_before(dataset.read_as).train.fingerprint
    run = snellen.fit("glance", parts, epochs=1, batch_size=8, quiet=True, runs=tmp_path, precision="fp32")
    assert (len(written), run.info["data"]["train"]["count"]) == (3, 20)
    one = snellen.load(Rows(20, written), size=32)
    assert one.test is None
    assert len(written) == 4
    assert one.source != dataset.source


@pytest.mark.parametrize("given", [3, None, [1, 2], {}, {"train": [1]}, np.zeros((2, 8, 8, 3), dtype=np.uint8)])
def test_what_is_no_data_set_is_told_what_one_is(given: Any) -> None:
    for name, takes_data in (("name_or_path", snellen.load), ("data", lambda data: snellen.fit("glance", data))):
        words = rf"(?s){name}=.* is not possible: a name, a path.*snellen\.from_arrays"
        with pytest.raises(InvalidSetting, match=words):
            takes_data(given)


def test_a_cut_while_it_is_written_leaves_nothing(written: list[str], tmp_path: Path) -> None:
    rows = Rows(4, written)
    rows.to_parquet = lambda path: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        snellen.load({"train": rows}, size=32)
    assert not list((tmp_path / "cache" / "snellen" / "hugging_face").glob("*/*"))
