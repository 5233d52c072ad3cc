"""Corrections: what rows say reaches the right pictures and no others, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snellen.data.arrays import from_arrays
from snellen.data.corrections import (
    COLUMNS,
    Correction,
    Corrections,
    corrected,
    identity_text,
    read_corrections,
    settled,
)
from snellen.data.dataset import Dataset
from snellen.data.folder_dataset import load_folder
from snellen.data.ledger import Candidate, Ledger, TestSet
from snellen.data.sealed_images import SealedImages
from snellen.data.splits import split
from snellen.errors import DataError, DataNotFound, RunError
from snellen.serialize import to_csv

CLASSES = ("ant", "bee", "cat")


def pictures(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def made() -> Dataset:
    """60 pictures of three classes, 12 more under seal; of the first one there is a copy under another label."""
    images, labels = pictures(60, 0), np.repeat(CLASSES, 20)
    images[25] = images[0]
    return from_arrays(images, labels, test=(pictures(12, 1), np.repeat(CLASSES, 4)), name="made")


def code(dataset: Dataset, at: int) -> str:
    return identity_text(dataset.train.identities[at])


def rows(*entries: Correction) -> Corrections:
    return Corrections("mine.csv", entries)


def by_hash(dataset: Dataset, at: int, new: str, *, old: str | None = None, file: str = "") -> Correction:
    given_label = dataset.train.class_names[dataset.train.labels[at]]
    return Correction(file, code(dataset, at), given_label if old is None else old, new)


# Reading


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "corrections.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_file_is_read_with_its_columns_in_any_order_and_others_left_alone(tmp_path: Path, separator: str) -> None:
    noise = 30 * ",;".replace(separator, "")  # the names of the columns say which it is, and not what is written
    lines = [
        ("\ufeffnew", "suggested", "file", "hash", "old", "why"),
        (" bee ", "cat", "ant/1.jpg", "00C2F3A91B7DE645", "ant", f"looked{noise}twice"),
        ("", "cat", "ant/2.jpg", "", "ant", "unsure"),
        ("-", "", "ant/3.jpg", "", "", ""),
    ]
    found = read_corrections(written(tmp_path, "\n".join(separator.join(line) for line in lines)))
    assert found.rows == (
        Correction("ant/1.jpg", "00c2f3a91b7de645", "ant", "bee", f"looked{noise}twice", line=2),
        Correction("ant/3.jpg", "", "", "-", line=4),
    )
    assert found.open_rows == 1


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    row = {"file": 'a,"b".jpg', "hash": "0" * 16, "old": "ant", "new": "", "why": "x", "suggested": "bee"}
    path = written(tmp_path, to_csv([*COLUMNS, "suggested"], [row, {**row, "new": "bee"}]))
    assert read_corrections(path).rows == (Correction('a,"b".jpg', "0" * 16, "ant", "bee", "x", line=3),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\n1.jpg,ant\n", "has the columns file, label; corrections take new and file or hash"),
        ("new,why\nbee,looked\n", "has the columns new, why; corrections take new and file or hash"),
        ("", "has the columns none"),
        ("hash,file,new\n,,bee\n", "line 2, names no picture"),
        ("hash,new\n1.2E+15,bee\n", r"line 2: 1\.2E\+15 is no hash of 16 .*a spreadsheet"),
    ],
)
def test_what_is_no_file_of_corrections_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_corrections(written(tmp_path, text))


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="There is no file"):
        read_corrections(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00new")
    with pytest.raises(DataError, match="cannot be read as text"):
        read_corrections(tmp_path / "bytes.csv")


def test_a_file_of_more_bytes_than_any_has_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "file,new\n1.jpg,bee\n")
    monkeypatch.setattr("snellen.data.corrections._LARGEST", path.stat().st_size)
    assert len(read_corrections(path).rows) == 1
    path.write_text(path.read_text() + "2.jpg,bee\n")
    with pytest.raises(DataError, match="is larger than"):
        read_corrections(path)


def test_the_header_says_what_separates_and_the_hash_of_a_file_is_of_what_its_rows_say(tmp_path: Path) -> None:
    found = read_corrections(written(tmp_path, "new;file\nbee;a,b,c.jpg\nant;d,e.jpg\n"))
    assert [row.file for row in found.rows] == ["a,b,c.jpg", "d,e.jpg"]
    other = Corrections("other.csv", tuple(replace(row, why="so", line=9) for row in found.rows[::-1]), open_rows=3)
    assert other.sha256 == found.sha256 != replace(found, rows=found.rows[:1]).sha256


# Applying


@given(at=st.sets(st.integers(1, 59), max_size=12), out=st.sets(st.integers(1, 59), max_size=6), data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_only_what_is_named_changes_and_no_picture_changes_its_part(made, at, out, data) -> None:
    at, out = at - {25}, out - at - {25}
    wanted = {place: data.draw(st.sampled_from(CLASSES)) for place in at}
    said = [by_hash(made, place, new) for place, new in wanted.items()] + [by_hash(made, place, "-") for place in out]
    found = corrected(made, rows(*said))
    labels = dict(zip(found.train.ids.tolist(), found.train.labels.tolist(), strict=True))
    assert set(labels) == set(range(60)) - out
    for place, label in labels.items():
        assert CLASSES[label] == wanted.get(place, CLASSES[made.train.labels[place]])
    before, after = split(made), split(found)
    for part in ("train", "val"):
        assert set(getattr(after, part).ids.tolist()) == set(getattr(before, part).ids.tolist()) - out


def test_a_hash_counts_before_the_name_and_a_name_tells_copies_apart(made: Dataset) -> None:
    named = corrected(made, rows(Correction("#7", code(made, 3), "", "cat"), Correction("#8", "", "ant", "bee")))
    assert [CLASSES[label] for label in named.train.labels[[3, 7, 8]]] == ["cat", "ant", "bee"]
    # Pictures 0 (an ant) and 25 (a bee) are copies.
    one = corrected(made, rows(by_hash(made, 0, "cat", file="#0", old="")))
    assert [CLASSES[label] for label in one.train.labels[[0, 25]]] == ["cat", "bee"]
    by_old = corrected(made, rows(by_hash(made, 0, "cat", old="bee")))
    assert [CLASSES[label] for label in by_old.train.labels[[0, 25]]] == ["ant", "cat"]
    both = corrected(made, rows(by_hash(made, 0, "-", old="")))
    assert not {0, 25} & set(both.train.ids.tolist())


def test_what_fitted_is_said_and_what_does_not_is_named(made: Dataset) -> None:
    said = rows(
        by_hash(made, 1, "bee"), by_hash(made, 2, "-"), by_hash(made, 3, "ant"), by_hash(made, 4, "cat", old="bee"),
        Correction("gone.jpg", "", "ant", "bee"), by_hash(made, 30, "ant"), by_hash(made, 0, "-", old="cat"),
    )  # fmt: skip
    assert list(corrected(made, replace(said, open_rows=7)).about) == [
        "corrected 2 labels changed, 1 pictures left out, by 4 of 7 rows of mine.csv",
        "          7 rows say nothing: their column new is empty",
        f"          3 rows no longer fit: {code(made, 4)} is labelled 'ant', not 'bee'; gone.jpg is not there; "
        f"{code(made, 0)} is labelled 'ant', not 'cat'",
    ]


def test_corrections_of_other_data_are_refused_and_those_applied_already_are_not(made: Dataset) -> None:
    with pytest.raises(DataError, match=r"None of the 1 corrections of mine.csv fits made \(f{16} is not there\)"):
        corrected(made, rows(Correction("", "f" * 16, "ant", "bee")))
    once = corrected(made, rows(by_hash(made, 1, "bee")))
    again = corrected(once, rows(by_hash(made, 1, "bee")))
    assert again.train.fingerprint == once.train.fingerprint != made.train.fingerprint


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        (("beee",), "mine.csv: there is no class 'beee'; did you mean 'bee'?"),
        (("zzzzzz",), "mine.csv: there is no class 'zzzzzz'; there are ant, bee, cat."),
        (("bee", "cat"), "mine.csv corrects #1 twice and differently: to 'bee' and to 'cat'"),
        (("bee", "-"), "mine.csv corrects #1 twice and differently: to 'bee' and to '-'"),
    ],
)
def test_an_unknown_class_and_two_corrections_of_one_picture(
    made: Dataset, new: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence.replace("?", r"\?")):
        corrected(made, rows(*(by_hash(made, 1, each) for each in new)))
    with pytest.raises(DataError, match="mine.csv, line 5: there is no class 'x'"):
        corrected(made, rows(Correction("#1", "", "", "x", line=5)))
    corrected(made, rows(by_hash(made, 1, "bee"), by_hash(made, 1, "bee")))


def test_a_class_keeps_a_picture_to_learn_from(made: Dataset) -> None:
    ants = [by_hash(made, at, "-") for at in range(1, 20)]
    with pytest.raises(DataError, match="class 'ant' has no picture left to learn from"):
        corrected(made, rows(*ants, by_hash(made, 0, "-", file="#0")))
    train = split(made).train  # pictures to choose by are none to learn from
    cats = [by_hash(made, at, "-") for at in train.ids.tolist() if CLASSES[made.train.labels[at]] == "cat"]
    assert len(cats) < 20
    with pytest.raises(DataError, match="class 'cat' has no picture left to learn from"):
        corrected(made, rows(*cats))


def test_settled_is_what_rows_speak_of_whether_they_change_it_or_not(made: Dataset) -> None:
    said = rows(
        by_hash(made, 1, "bee"), by_hash(made, 2, "-"), Correction("#5", "", "", "ant"), by_hash(made, 0, "ant")
    )
    found = corrected(made, said)
    assert found.train.ids[settled(found)].tolist() == [0, 1, 5, 25]  # 25 is a copy of 0
    assert not settled(made).any()


def test_rows_without_effect_leave_the_data_as_they_are(made: Dataset) -> None:
    found = corrected(made, Corrections("mine.csv", (), open_rows=3))
    assert (found.train.fingerprint, found.corrections) == (made.train.fingerprint, {})
    hashes = made.train.content_hashes.tolist()  # pixels are not hashed again
    assert vars(corrected(made, rows(by_hash(made, 1, "bee"))).train)["content_hashes"].tolist() == hashes


def test_what_a_run_keeps_applies_again_and_nothing_else_is_taken_for_it(made: Dataset) -> None:
    said = rows(by_hash(made, 1, "bee"), by_hash(made, 2, "-"))
    kept = corrected(made, said).corrections
    assert corrected(made, Corrections.from_json(kept)).train.fingerprint == corrected(made, said).train.fingerprint
    changed = {**kept, "rows": kept["rows"][:1]}
    nobody, no_hash = Correction("", "", "", "bee"), Correction("1.jpg", "12", "", "bee")
    others = (*(rows(*said.rows, none).to_json() for none in (nobody, no_hash)), {**kept, "name": 5})
    for wrong in (None, [], {}, changed, {**kept, "rows": [["a"]]}, {**kept, "rows": [[1, 2, 3, 4, 5]]}, *others):
        with pytest.raises(RunError, match="does not say how its labels were corrected"):
            Corrections.from_json(wrong)


# The sealed test set


def test_test_labels_change_when_they_are_opened_and_the_ledger_says_so(made: Dataset, tmp_path: Path) -> None:
    sealed = made.test
    assert sealed is not None
    mine = Correction("", identity_text(sealed.identities[0]), "ant", "cat")
    found = corrected(made, rows(mine))
    assert found.test is not None
    assert found.train.fingerprint == made.train.fingerprint
    assert found.test.describe() != sealed.describe()
    ledger = Ledger(tmp_path / "ledger.jsonl")

    def intend(test_set: TestSet, note: str) -> None:
        ledger.intend(test_set, [Candidate("r", "aa", "t", 0, "b")], tta="none", reason="why", version="0", note=note)

    before = sealed.open(lambda test_set: intend(test_set, sealed.note))
    after = found.test.open(lambda test_set: intend(test_set, found.test.note))  # type: ignore[union-attr]
    assert (after.labels != before.labels).tolist() == [True] + [False] * 11
    assert CLASSES[after.labels[0]] == "cat"
    first, second = ledger.lines()
    assert "note" not in first.content
    assert second.content["note"].startswith("1 test labels corrected by mine.csv")
    assert second.intact
    with pytest.raises(DataError, match="is a test picture, and none of those is left out"):
        corrected(made, rows(replace(mine, new="-")))
    one_each = corrected(made, rows(mine, by_hash(made, 1, "bee")))
    assert one_each.about == (
        "corrected 1 labels changed, 0 pictures left out, by 2 of 2 rows of mine.csv",
        "          1 rows are of the sealed test set; once it is opened, the ledger says so",
    )
    assert one_each.test is not None
    assert one_each.test.open(lambda _: None).labels.tolist() == after.labels.tolist()


def test_a_test_picture_is_known_by_its_file_where_no_picture_to_learn_from_is_called_so(made: Dataset) -> None:
    files = tuple(f"{at % 65}.png" for at in range(72))  # the last seven are called as seven of train
    assert made.test is not None
    opened = replace(made.test.open(lambda _: None), ids=np.arange(60, 72), files=files)
    test = SealedImages(lambda: opened, name="made", count=12, identity="x", files=files[60:])
    dataset = replace(made, train=replace(made.train, files=files), test=test)
    for_test = Correction("62.png", "", "ant", "cat"), Correction("64.png", "", "bee", "ant")
    found = corrected(dataset, rows(*for_test, Correction("3.png", "", "ant", "bee")))
    assert found.about[-1].endswith("2 rows are of the sealed test set; once it is opened, the ledger says so")
    assert found.test is not None
    assert found.test.open(lambda _: None).labels.tolist() == [0, 0, 2, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert found.train.labels[3] == 1


def test_a_picture_that_is_in_train_too_is_no_test_picture_and_a_number_names_none(made: Dataset) -> None:
    images = made.train.images
    test = np.concatenate([pictures(39, 2), images[8:9]])
    few = from_arrays(images[:30], np.repeat(CLASSES, 10), test=(test, ["ant"] * 40))
    found = corrected(few, rows(by_hash(few, 8, "bee"), Correction("#35", "", "", "bee")))
    assert few.test is not None
    assert found.test is not None
    assert found.test.describe() == few.test.describe()
    assert found.about[-1] == "          1 rows no longer fit: #35 is not there"


# Folders


def test_files_are_untouched_and_a_moved_file_is_still_its_picture(tmp_path: Path) -> None:
    from PIL import Image

    for at, image in enumerate(pictures(40, 3)):
        path = tmp_path / "birds" / ("robin" if at < 20 else "wren") / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    before = load_folder(tmp_path / "birds", side=16)
    at = before.train.names.index("robin/3.png")
    said = rows(Correction("robin/3.png", code(before, at), "robin", "wren"))
    (tmp_path / "birds" / "robin" / "3.png").rename(tmp_path / "birds" / "robin" / "renamed.png")
    contents = {path: path.read_bytes() for path in (tmp_path / "birds").rglob("*.png")}
    found = corrected(load_folder(tmp_path / "birds", side=16), said)
    assert found.train.class_names[found.train.labels[found.train.names.index("robin/renamed.png")]] == "wren"
    assert contents == {path: path.read_bytes() for path in (tmp_path / "birds").rglob("*.png")}
