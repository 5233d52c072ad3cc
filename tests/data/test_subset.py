"""A subset for trials: shares of each class by content, val stays val, and a run is read again as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snellen
from mixed_pictures import write_folder
from snellen.cli.main import main
from snellen.data import catalog, picture_cache
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.run_images import images_of, load_as_before
from snellen.data.splits import in_val, split
from snellen.data.subset import shares, trial
from snellen.errors import InvalidSetting, RunError
from snellen.runs.run import open_run

BIRDS = "birds"


@pytest.fixture
def birds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_folder(make_eyechart(0, train=200, test=0).train, tmp_path / BIRDS)
    return tmp_path / BIRDS


@given(st.lists(st.integers(0, 6), min_size=2, max_size=200), st.data())
def test_each_group_gets_its_share_whatever_the_order(numbers: list[int], data: st.DataObject) -> None:
    groups = np.array(numbers, dtype=np.int64)
    hashes = np.random.default_rng(0).permutation(len(groups)).astype(np.uint64)
    kinds, sizes = np.unique(groups, return_counts=True)
    if len(kinds) >= len(groups):
        return
    count = data.draw(st.integers(len(kinds), len(groups) - 1))
    at = shares(groups, hashes, count)
    assert len(at) == count == len(set(at.tolist()))
    taken = np.array([(groups[at] == kind).sum() for kind in kinds])
    exact = sizes * count / len(groups)
    assert (taken >= 1).all()
    assert (taken <= sizes).all()
    assert (taken < np.maximum(1, exact) + 1).all()  # at most rounded up
    if (exact >= 1).all():
        assert (taken > exact - 1).all()
    for kind in kinds:  # the smallest hashes of each
        inside, all_of = hashes[at][groups[at] == kind], np.sort(hashes[groups == kind])
        assert np.array_equal(np.sort(inside), all_of[: len(inside)])
    order = np.random.default_rng(1).permutation(len(groups))
    assert set(order[shares(groups[order], hashes[order], count)].tolist()) == set(at.tolist())


@pytest.mark.parametrize("count", [0, 19, 200, 5000, -3])
def test_too_few_and_too_many_are_refused(count: int) -> None:
    dataset = make_eyechart(0, train=200, test=20)
    with pytest.raises(InvalidSetting, match=rf"--subset {count} is not possible: 20 .* to 199, for there are 200"):
        trial(dataset, count)


def test_what_is_val_in_the_whole_is_val_in_the_trial_and_the_test_set_stays_out() -> None:
    whole = make_eyechart(0, train=400, test=20)
    few = trial(whole, 100)
    assert (few.name, few.whole_name, few.test, len(few.train)) == ("eyechart-100", "eyechart", None, 100)
    was_val = set(whole.train.ids[in_val(whole)].tolist())
    parts = split(few)
    assert parts.val is not None
    assert set(parts.val.ids.tolist()) <= was_val
    assert not set(parts.train.ids.tolist()) & was_val
    assert few.train.counts.tolist() == [10] * 10
    assert parts.val.counts.tolist() == [1] * 10


def test_of_a_folder_only_the_subset_is_decoded_the_same_part_as_of_arrays(
    birds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    read = picture_cache.PictureForm.read
    monkeypatch.setattr(picture_cache.PictureForm, "read", lambda form, raw: decoded.append(1) or read(form, raw))
    few = catalog.load(f"./{BIRDS}", subset=40)
    assert len(decoded) == len(few.train) == 40
    whole = catalog.load(f"./{BIRDS}")
    assert len(decoded) == 240  # two caches: neither takes the other's place
    assert len(catalog.load(f"./{BIRDS}", subset=40).train) == 40
    assert len(catalog.load(f"./{BIRDS}").train) == 200
    assert len(decoded) == 240
    assert few.train.fingerprint == trial(whole, 40).train.fingerprint
    assert split(few).val.fingerprint == split(trial(whole, 40)).val.fingerprint  # type: ignore[union-attr]
    assert (few.name, few.test) == ("birds-40", None)
    (birds / "C" / "new.png").write_bytes(b"no picture")
    sealed = catalog.load(f"./{BIRDS}", options=catalog.ImageOptions(test_fraction=0.2))
    assert sealed.test is not None
    part = catalog.load(f"./{BIRDS}", options=catalog.ImageOptions(test_fraction=0.2), subset=40)
    assert part.test is None
    assert set(part.train.identities.tolist()) <= set(sealed.train.identities.tolist())


def test_a_run_knows_its_subset_and_takes_no_other(birds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", f"./{BIRDS}", "--recipe", "mlp", "--subset", "60", "--set", "epochs=1", "side=32"]
    assert main([*train, "--name", "few"]) == 0
    assert "test      none: it stays out of trials" in capsys.readouterr().err
    run = open_run(Path("runs/few"))
    assert (run.info["data"]["subset"], run.info["data"]["test"], run.info["data"]["name"]) == (60, None, "birds-60")
    assert images_of(run).train.name == "birds-60"
    whole = catalog.load(f"./{BIRDS}", side=32)
    assert images_of(run, whole).train.fingerprint == images_of(run).train.fingerprint  # the whole is cut as it was
    assert main(["doctor", "runs/few"]) in (0, 1)
    assert "not at hand" not in capsys.readouterr().out
    assert main(["evaluate", "runs/few", "--split", "test", "--reason", "no"]) != 0
    assert "has no test set" in capsys.readouterr().err
    assert main(["doctor", "runs/few", "--subset", "60"]) == 2


@pytest.mark.parametrize("subset", [0, -1, True, "60", 2.5, [60]])
def test_a_run_that_does_not_say_how_many_is_refused(subset: object) -> None:
    with pytest.raises(RunError, match="how many of its pictures were taken"):
        load_as_before({"name": "eyechart-60", "source": "made", "subset": subset})


@pytest.mark.usefixtures("small_eyechart")
def test_a_named_data_set_and_an_npz_file_come_again_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = make_eyechart(0, train=120, test=0).train
    np.savez("letters.npz", images=made.images, labels=made.labels)
    for name in ("eyechart", "letters.npz"):
        few: Dataset = snellen.load(name, subset=40)
        again = load_as_before(few.read_as)
        assert (again.name, again.train.fingerprint) == (few.name, few.train.fingerprint)
    assert snellen.fit(None, snellen.load("eyechart", subset=40), epochs=1, quiet=True).recipe.name == "glance"
