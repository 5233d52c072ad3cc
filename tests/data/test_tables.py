"""Tables of pictures: CSV, TSV, JSON lines, Parquet with paths or with the pictures inside."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.image_folder import list_pictures
from snellen.data.listing import Listing
from snellen.data.tables import part_of_shard, read_cells
from snellen.errors import DataError


def encoded(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), shade, dtype=np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with images/0.png to images/39.png, each of its own shade."""
    (tmp_path / "images").mkdir()
    for number in range(40):
        (tmp_path / "images" / f"{number}.png").write_bytes(encoded(number * 5))
    return tmp_path


def seen(listing: Listing) -> list[tuple[str, str, str | None]]:
    return [
        (one.name, listing.class_names[label], one.part)
        for one, label in zip(listing.found, listing.labels, strict=True)
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("columns", [("path", "label"), ("File_Name", "Class"), ("image", "category")])
def test_a_csv_names_pictures_and_labels(pictures: Path, delimiter: str, columns: tuple[str, str]) -> None:
    lines = [delimiter.join((*columns, "note"))]
    lines += [delimiter.join((f"images/{n}.png", "cat" if n % 2 else "dog", '"a, b"')) for n in range(4)]
    table = pictures / "labels.csv"
    table.write_text("\ufeff" + "\n".join(lines))
    expected = [(f"images/{n}.png", "cat" if n % 2 else "dog", None) for n in range(4)]
    assert seen(list_pictures(table)) == expected


@pytest.mark.parametrize("names", ["path,label,split", "Path,LABEL,Split"])
def test_a_column_may_say_where_a_picture_belongs(pictures: Path, names: str) -> None:
    table = pictures / "labels.csv"
    table.write_text(
        f"{names}\nimages/0.png,a,train\nimages/1.png,b,TRAIN\nimages/2.png,a,validation\nimages/3.png,b,test"
    )
    assert [part for _, _, part in seen(list_pictures(table))] == ["train", "train", "val", "test"]
    table.write_text("path,label,split\nimages/0.png,a,train\nimages/1.png,b,holdout")
    with pytest.raises(DataError, match="row 2: 'holdout' is no part"):
        list_pictures(table)


def test_cells_beyond_the_header_belong_to_no_column(pictures: Path) -> None:
    (pictures / "labels.csv").write_text("path,label\nimages/0.png,a,test\nimages/1.png,b,looked at\n")
    assert [part for _, _, part in seen(list_pictures(pictures / "labels.csv"))] == [None, None]


def test_paths_do_not_leave_the_tables_folder(pictures: Path) -> None:
    outside = pictures.parent / "secret.png"
    outside.write_bytes(encoded(0))
    (pictures / "images" / "link.png").symlink_to(outside)
    table = pictures / "labels.csv"
    rows = ["../secret.png,a", f"{outside},a", "images/link.png,a", "images/0.png,a", "images/1.png,b", ",b", "x.png,"]
    table.write_text("path,label\n" + "\n".join(rows))
    listing = list_pictures(table)
    assert [one.name for one in listing.found] == ["images/0.png", "images/1.png"]
    assert listing.left_out == {
        "paths that lead out of the folder": 3,
        "rows without a label": 1,
        "rows without a path": 1,
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,label\nx,y", "has the columns name, label; one of path, file_name"),
        ("path,colour\nx,y", "one of class_name, label_name, label"),
        ("", r"has the columns \(none\)"),
    ],
)
def test_a_table_without_the_columns_says_which_it_has(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        list_pictures(tmp_path / "t.csv")
    parquet.write_table(pyarrow.table({"label": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="has the columns label; one of path, file_name"):
        list_pictures(tmp_path / "t.parquet")


@pytest.mark.parametrize("text", ["path,label", "path,label\n", "path;label\n\n"])
def test_a_table_with_a_header_alone_holds_no_pictures(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"holds no pictures to learn from \(table t.csv\)"):
        list_pictures(tmp_path / "t.csv")


@pytest.mark.parametrize("above", ["\n", "\r\n \n", ",,\n"])
def test_empty_rows_above_the_header_are_passed_over(pictures: Path, above: str) -> None:
    rows = "path;label\n" + "".join(f"images/{at}.png;{'ab'[at % 2]}\n" for at in range(4))
    (pictures / "plain.csv").write_text(rows)
    (pictures / "spaced.csv").write_text(above + rows)
    plain, spaced = (seen(list_pictures(pictures / name)) for name in ("plain.csv", "spaced.csv"))
    assert plain == spaced != []


def test_an_image_folder_with_metadata_is_read_by_its_metadata(pictures: Path) -> None:
    for part in ("train", "test"):
        folder = pictures / "data" / part
        folder.mkdir(parents=True)
        for number in range(4):
            (folder / f"{number}.png").write_bytes(encoded(number))
        rows = [{"file_name": f"{number}.png", "label": "ab"[number % 2]} for number in range(4)]
        (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    listing = list_pictures(pictures / "data")
    assert sorted({(label, part) for _, label, part in seen(listing)}) == [
        ("a", "test"), ("a", "train"), ("b", "test"), ("b", "train"),
    ]  # fmt: skip


def test_metadata_without_labels_leaves_the_class_folders_to_speak(pictures: Path) -> None:
    for name in ("a", "b"):
        (pictures / "data" / name).mkdir(parents=True)
        (pictures / "data" / name / "1.png").write_bytes(encoded(3))
    (pictures / "data" / "metadata.csv").write_text("file_name,caption\na/1.png,a bird")
    assert list_pictures(pictures / "data").class_names == ("a", "b")


def shards(folder: Path, *, names: list[str] | None = None, kind: str = "struct") -> None:
    """Three shards as Hugging Face writes them, 40 pictures in train, 8 in test; class 1 comes before class 0."""
    folder.mkdir()
    for shard, numbers in (
        ("train-00000-of-00002", range(20)), ("train-00001-of-00002", range(20, 40)), ("test-00000-of-00001", range(8)),
    ):  # fmt: skip
        cells: list[Any] = [encoded(number * 5) for number in numbers]
        if kind == "struct":
            cells = [{"bytes": cell, "path": None} for cell in cells]
        table = pyarrow.table({"image": cells, "label": [(number + 1) % 2 for number in numbers]})
        if names:
            feature = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
            table = table.replace_schema_metadata({"huggingface": json.dumps(feature)})
        parquet.write_table(table, folder / f"{shard}.parquet", row_group_size=7)


@pytest.mark.parametrize("kind", ["struct", "binary"])
def test_parquet_shards_with_pictures_inside_load(tmp_path: Path, kind: str, no_cache: None) -> None:
    shards(tmp_path / "hub", names=["zebra", "ant"], kind=kind)
    dataset = load_folder(tmp_path / "hub", ImageOptions(16))
    assert dataset.train.class_names == ("zebra", "ant")  # as declared, not sorted
    assert len(dataset.train) == 40
    assert dataset.test is not None
    assert dataset.test.count == 8
    for pixels, label, place in zip(dataset.train.images, dataset.train.labels, dataset.train.ids, strict=True):
        assert dataset.train.files[place].startswith("train-0000")
        number = int(dataset.train.files[place].rpartition(" ")[2]) + 20 * ("train-00001" in dataset.train.files[place])
        assert pixels[0, 0, 0] == number * 5
        assert label == (number + 1) % 2


def test_shards_lie_at_the_top_in_a_folder_called_data_or_in_those_of_the_parts_and_nowhere_else(
    tmp_path: Path,
) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    shards(hub / "data")
    (hub / "data" / "z.parquet").symlink_to(tmp_path / "elsewhere.parquet")
    (tmp_path / "elsewhere.parquet").write_bytes(b"")
    listing = list_pictures(hub)
    whole = [(one.row, one.label, one.part) for one in listing.found]
    assert len(whole) == 48
    assert listing.left_out == {"links that lead out of the folder": 1}
    (hub / "data" / "z.parquet").unlink()
    (hub / "data").rename(hub / "more")
    with pytest.raises(DataError, match="holds no pictures to learn from"):
        list_pictures(hub)
    for part in ("train", "test"):
        (hub / part).mkdir()
    for number, path in enumerate(sorted((hub / "more").iterdir())):
        path.rename(hub / path.name.partition("-")[0] / f"{number}.parquet")
    (hub / "more").rmdir()
    assert sorted((one.row, one.label, one.part) for one in list_pictures(hub).found) == sorted(whole)  # type: ignore[type-var]


@pytest.mark.parametrize("names", [("image", "label", "split"), ("Image", "LABEL", "Split")])
def test_a_column_of_a_shard_may_say_where_its_pictures_belong(tmp_path: Path, names: tuple[str, str, str]) -> None:
    told = ["train", "", "val", "Test"]
    columns = ([encoded(number * 5) for number in range(4)], ["a", "b", "a", "b"], told)
    (tmp_path / "hub").mkdir()
    parquet.write_table(pyarrow.table(dict(zip(names, columns, strict=True))), tmp_path / "hub" / "train.parquet")
    found = list_pictures(tmp_path / "hub").found
    assert [(one.label, one.part) for one in found] == [("a", "train"), ("b", "train"), ("a", "val"), ("b", "test")]


@pytest.mark.parametrize("names", [None, "ab", [1, 2], [1, "b"]])
def test_labels_without_declared_names_are_named_by_number(tmp_path: Path, names: Any) -> None:
    shards(tmp_path / "hub", names=names)
    assert list_pictures(tmp_path / "hub").class_names == ("0", "1")


def test_names_that_the_first_shard_declares_are_those_of_all(tmp_path: Path) -> None:
    shards(tmp_path / "hub", names=["zebra", "ant"])
    last = tmp_path / "hub" / "train-00001-of-00002.parquet"
    parquet.write_table(parquet.read_table(last).replace_schema_metadata(None), last)
    listing = list_pictures(tmp_path / "hub")
    assert (listing.class_names, len(listing.found)) == (("zebra", "ant"), 48)
    (tmp_path / "one").mkdir()
    (tmp_path / "hub" / "train-00000-of-00002.parquet").rename(tmp_path / "one" / "metadata.parquet")
    assert set(list_pictures(tmp_path / "one").class_names) == {"zebra", "ant"}  # of a table that says so itself


def test_parquet_may_hold_paths(pictures: Path) -> None:
    rows = {"path": [f"images/{n}.png" for n in range(4)], "label": ["a", "b", "a", "b"]}
    parquet.write_table(pyarrow.table(rows), pictures / "t.parquet")
    assert [label for _, label, _ in seen(list_pictures(pictures / "t.parquet"))] == ["a", "b", "a", "b"]


def test_what_is_no_parquet_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="t.parquet cannot be read as Parquet"):
        list_pictures(tmp_path / "t.parquet")


@pytest.mark.processes
def test_without_pyarrow_the_install_line_is_said(pictures: Path) -> None:
    (pictures / "t.parquet").write_bytes(b"")
    code = (
        "import sys; sys.modules['pyarrow'] = None\nfrom snellen.cli.main import main\n"
        f"sys.exit(main(['train', {str(pictures / 't.parquet')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("needs pyarrow, which is not installed: pip install 'snellen[tables]'")


def test_a_parquet_shard_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shard = tmp_path / "0.parquet"
    cells = [rng.bytes(10_000) for _ in range(1_000)]
    table = pyarrow.table({"image": cells, "label": [0, 1] * 500})
    parquet.write_table(table, shard, row_group_size=50)
    del table
    places = [0, 63, 64, 65, 130, 999]  # 64 rows are read at once
    assert list(read_cells(shard, places)) == [cells[place] for place in places]
    before = pyarrow.total_allocated_bytes()
    most = max(pyarrow.total_allocated_bytes() for _ in read_cells(shard, range(1_000)))
    assert most - before < shard.stat().st_size / 4


def test_a_linked_table_is_what_its_name_says(pictures: Path) -> None:
    """As a cache keeps it: a name with an ending that leads to a file without one."""
    blob = pictures / "blobs" / "bbbb"
    blob.parent.mkdir()
    blob.write_text("path,label\nimages/0.png,a\nimages/1.png,b")
    (pictures / "t.csv").symlink_to(blob)
    assert [name for name, _, _ in seen(list_pictures(pictures / "t.csv"))] == ["images/0.png", "images/1.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_tables_of_other_systems_are_read(pictures: Path, encoding: str, ending: str) -> None:
    rows = [("images\\0.png", "Käfer"), ("images/1.png", "Ameise")]
    text = "path,label\n" + "\n".join(map(",".join, rows))
    if ending == "jsonl":
        text = "\n".join(json.dumps({"path": path, "label": label}, ensure_ascii=False) for path, label in rows)
    (pictures / f"t.{ending}").write_bytes(text.encode(encoding))
    listing = list_pictures(pictures / f"t.{ending}")
    assert listing.class_names == ("Ameise", "Käfer")
    assert all(one.path.is_file() for one in listing.found)


def test_a_name_in_the_bytes_of_an_old_code_page_is_found(pictures: Path) -> None:
    named = os.fsencode(pictures) + b"/caf\xe9.png"
    (pictures / "images" / "0.png").rename(os.fsdecode(named))
    (pictures / "t.csv").write_bytes(b"path,label\ncaf\xe9.png,a\nimages/1.png,b")
    assert all(one.path.is_file() for one in list_pictures(pictures / "t.csv").found)


def test_columns_of_ids_and_labels_are_known_and_names_come_before_numbers(pictures: Path) -> None:
    (pictures / "t.csv").write_text("id,labels\nimages/0,a\nimages/1,b")
    assert [one.path.name for one in list_pictures(pictures / "t.csv").found] == ["0.png", "1.png"]
    (pictures / "t.csv").write_text("path,label,class_name\nimages/0.png,0,cat\nimages/1.png,1,dog")
    assert list_pictures(pictures / "t.csv").class_names == ("cat", "dog")


def test_missing_labels_are_counted_in_every_table(pictures: Path) -> None:
    cells = ["a", "b", None, float("nan"), -1, "N/A"]
    rows = [{"path": f"images/{number}.png", "label": cell} for number, cell in enumerate(cells)]
    (pictures / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = [f"images/{number}.png,{'' if cell is None else cell}" for number, cell in enumerate(cells)]
    (pictures / "t.csv").write_text("path,label\n" + "\n".join(lines))
    texts = ["a", "b", None, "nan", "-1", "N/A"]
    parquet.write_table(pyarrow.table({"path": [row["path"] for row in rows], "label": texts}), pictures / "t.parquet")
    for ending in ("jsonl", "csv", "parquet"):
        listing = list_pictures(pictures / f"t.{ending}")
        assert (listing.class_names, listing.left_out) == (("a", "b"), {"rows without a label": 4}), ending


@pytest.mark.parametrize("kind", ["path only", "path first", "list"])
def test_parquet_cells_of_every_kind_are_pictures(pictures: Path, kind: str) -> None:
    content = [encoded(number * 5) for number in range(4)]
    names = [f"images/{number}.png" for number in range(4)]
    cells: Any = {
        "path only": [{"bytes": None, "path": name} for name in names],
        "path first": [{"path": name, "bytes": cell} for name, cell in zip(names, content, strict=True)],
        "list": pyarrow.array([list(cell) for cell in content], pyarrow.list_(pyarrow.uint8())),
    }[kind]
    if kind == "path only":
        cells = pyarrow.array(cells, pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]))
    parquet.write_table(pyarrow.table({"image": cells, "label": ["a", "b"] * 2}), pictures / "t.parquet")
    listing = list_pictures(pictures / "t.parquet")
    assert list(read_cells(listing.found[0].path, [0, 1, 2, 3])) == content


def test_a_cell_without_a_picture_is_empty_and_the_others_stay_in_their_rows(pictures: Path) -> None:
    named = ["images/1.png", None, "images/gone.png", "../images/1.png"]
    cells = [{"bytes": content, "path": name} for content in (encoded(7), None) for name in named]
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    table = pyarrow.table({"image": pyarrow.array(cells, kind), "label": ["a", "b"] * 4})
    parquet.write_table(table, pictures / "t.parquet")
    assert list(read_cells(pictures / "t.parquet", [0, 3, 4, 5, 6, 7])) == [
        encoded(7), encoded(7), encoded(5), b"", b"", b"",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train-00000-of-00002.parquet", "train"), ("validation.parquet", "val"), ("TEST/0000.tar", "test"),
        ("birds-val-000.tar", "val"), ("birds-val-dev.tar", "val"), ("birds-val-test.tar", None),
        ("val/train-0.tar", "train"), ("val/birds-test-0.tar", "val"), ("0.parquet", None), ("below/0.parquet", None),
    ],
)  # fmt: skip
def test_a_shards_part_is_told_by_its_first_word_then_its_folder_then_any_other_word(name: str, part: str) -> None:
    root = Path("/data/test")  # what all of them lie in says nothing
    assert part_of_shard(root / name, root) == part
