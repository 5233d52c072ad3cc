"""Which look it is: counted over other weights, other names of a test set, other clocks and other machines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_looks import edit, letters, look
from snellen.data import ledger as ledger_file
from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Ledger, TestSet


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "runs" / "ledger.jsonl")


# Look numbers


def test_the_same_weights_again_are_no_new_look(ledger: Ledger) -> None:
    assert [ledger.look_number(look(ledger, "aa")) for _ in range(3)] == [1, 1, 1]


def test_each_other_model_is_a_new_look_and_the_first_stays_the_first(ledger: Ledger) -> None:
    intents = [look(ledger, weights) for weights in ("aa", "bb", "aa", "cc")]
    assert [ledger.look_number(intent) for intent in intents] == [1, 2, 2, 3]


def test_several_seeds_in_one_intent_are_one_look_and_so_is_each_of_them_afterwards(ledger: Ledger) -> None:
    assert ledger.look_number(look(ledger, ["aa", "bb", "cc"])) == 1
    assert ledger.look_number(look(ledger, "bb")) == 1
    assert ledger.look_number(look(ledger, "dd")) == 2


def test_a_family_with_a_new_member_is_a_new_look(ledger: Ledger) -> None:
    look(ledger, "aa")
    assert ledger.look_number(look(ledger, ["aa", "bb"])) == 2


def test_another_test_set_has_its_own_count(ledger: Ledger) -> None:
    look(ledger, "aa")
    assert ledger.look_number(look(ledger, "bb", TestSet.of(letters(200, seed=1)))) == 1


def test_a_renamed_reordered_relabelled_cut_or_extended_test_set_is_recognised(ledger: Ledger) -> None:
    images = letters(1_000)
    look(ledger, "aa", TestSet.of(images))
    order = np.random.default_rng(5).permutation(1_000)
    extended = np.concatenate([images.images, letters(1_000, seed=9).images])
    both = LabeledImages(
        extended, np.zeros(2_000, dtype=np.int64), ("C", "D"), np.arange(2_000, dtype=np.int64), "all", "more"
    )
    others = [
        LabeledImages(images.images, images.labels, ("C", "D"), images.ids, "all", "renamed"),
        images.take(order, "all"),
        LabeledImages(images.images, 1 - images.labels, ("C", "D"), images.ids, "all", "relabelled"),
        images.take(order[:300], "all"),
        both,
    ]
    numbers = [ledger.look_number(look(ledger, f"w{at}", TestSet.of(other))) for at, other in enumerate(others)]
    assert numbers == [2, 3, 4, 5, 6]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_tenth_of_a_test_set_is_practically_always_recognised_and_a_foreign_one_never(seed: int) -> None:
    # 64 smallest hashes: a random tenth misses them all with probability 0.9^64 = 0.1 %; 25 draws do not meet it.
    whole, foreign = letters(1_000, seed=seed), letters(1_000, seed=seed + 1)
    picked = np.random.default_rng(seed).permutation(1_000)[:200]
    assert TestSet.of(whole.take(picked, "all")).overlaps(TestSet.of(whole))
    assert TestSet.of(whole).overlaps(TestSet.of(whole.take(picked, "all")))
    assert not TestSet.of(foreign).overlaps(TestSet.of(whole))


def test_the_identity_depends_on_the_pictures_and_not_on_their_order_or_name() -> None:
    images = letters(50)
    shuffled = images.take(np.random.default_rng(3).permutation(50), "test")
    assert TestSet.of(shuffled) == TestSet.of(images)
    more = letters(100)
    assert TestSet.of(more).sketch == tuple(f"{each:016x}" for each in sorted(more.identities.tolist())[:64])
    assert TestSet.of(letters(50, seed=1)).fingerprint != TestSet.of(images).fingerprint
    assert TestSet.of(letters(50, name="other")).fingerprint == TestSet.of(images).fingerprint


# Stored answers


def test_the_stored_answer_is_found_by_weights_views_and_data_together(ledger: Ledger) -> None:
    intent = look(ledger, "aa", tta="flip")
    found = ledger.result_for("aa", tta="flip", data="letters")
    assert found == {"weights": "aa", "n": 200, "hits": 190, "hits_tta": 191, "intent": intent}
    assert ledger.result_for("aa", tta="none", data="letters") is None
    assert ledger.result_for("aa", tta="flip", data="digits") is None
    assert ledger.result_for("bb", tta="flip", data="letters") is None


# Clocks


def test_a_clock_set_back_changes_neither_order_nor_look_numbers(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    times = iter((noon - timedelta(hours=hour)).isoformat() for hour in range(100))
    monkeypatch.setattr(ledger_file, "_now", lambda: next(times))
    intents = [look(ledger, weights) for weights in ("aa", "bb", "cc")]
    copy = Ledger(tmp_path / "copy.jsonl")
    look(copy, "dd", TestSet.of(letters(10, seed=4)))
    copy.merge(ledger)
    assert ledger.problems() == copy.problems() == []
    assert [ledger.look_number(intent) for intent in intents] == [1, 2, 3]
    assert [copy.look_number(intent) for intent in intents] == [1, 2, 3]


# Merging


def test_merged_looks_stand_in_the_order_in_which_they_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(f"2026-11-24T12:00:{second:02d}" for second in range(60))
    monkeypatch.setattr(ledger_file, "_now", lambda: next(clock))
    here, there = Ledger(tmp_path / "here.jsonl"), Ledger(tmp_path / "there.jsonl")
    intents = [look(here, "aa"), look(here, "bb"), look(there, "cc"), look(here, "dd")]
    here.merge(there)
    assert [here.look_number(intent) for intent in intents] == [1, 2, 3, 4]
    assert here.problems() == []


def test_merging_says_how_many_lines_were_new(tmp_path: Path) -> None:
    here, there = Ledger(tmp_path / "here.jsonl"), Ledger(tmp_path / "there.jsonl")
    look(there, "aa")
    assert here.merge(there) == 2
    assert here.merge(there) == 0
    assert here.path.read_bytes() == there.path.read_bytes()


def test_a_merged_ledger_goes_on(tmp_path: Path) -> None:
    here, there = Ledger(tmp_path / "here.jsonl"), Ledger(tmp_path / "there.jsonl")
    look(here, "aa")
    look(there, "bb")
    here.merge(there)
    assert here.look_number(look(here, "cc")) == 3
    assert here.problems() == []


def test_damage_is_merged_as_it_is_and_stays_visible(tmp_path: Path) -> None:
    here, there = Ledger(tmp_path / "here.jsonl"), Ledger(tmp_path / "there.jsonl")
    look(here, "aa")
    look(there, "bb")
    edit(there, 1, '"hits":190', '"hits":199')
    with there.path.open("a") as file:
        file.write("torn")
    assert here.merge(there) == 3
    assert len(here.problems()) == 2
    assert here.merge(there) == 0


_HISTORY = st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["aa", "bb", "cc", "dd"])), max_size=6)
_COPIES = st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("ABC")), max_size=3)


@settings(max_examples=25, deadline=None)
@given(history=_HISTORY, copies=_COPIES, more=_HISTORY)
def test_merging_is_the_union_it_commutes_and_repeating_it_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[str, str]],
    copies: list[tuple[str, str]],
    more: list[tuple[str, str]],
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    ledgers = {name: Ledger(folder / f"{name}.jsonl") for name in "ABC"}
    for name, weights in history:
        look(ledgers[name], weights, reason=name)
    for into, source in copies:
        ledgers[into].merge(ledgers[source])
    for name, weights in more:
        look(ledgers[name], weights, reason=name)

    def merged(*names: str) -> Ledger:
        into = Ledger(folder / f"{'-'.join(names)}.jsonl")
        for name in names:
            into.merge(ledgers[name])
            into.merge(ledgers[name])
        return into

    def content(ledger: Ledger) -> list[str]:
        return sorted(line.hash for line in ledger.lines())

    forwards, backwards = merged("A", "B", "C"), merged("C", "B", "A")
    union = {line.hash for ledger in ledgers.values() for line in ledger.lines()}
    assert content(forwards) == content(backwards) == sorted(union)
    assert forwards.problems() == []
    assert backwards.problems() == []


@pytest.mark.parametrize("order", [(4, 5, 0, 1, 2, 3), (5, 4, 3, 2, 1, 0)])
def test_a_ledger_in_another_order_is_not_whole_and_the_third_look_stays_the_third(
    ledger: Ledger, order: Sequence[int]
) -> None:
    intents = [look(ledger, weights) for weights in ("aa", "bb", "cc")]
    lines = ledger.path.read_text().splitlines()
    ledger.path.write_text("".join(lines[at] + "\n" for at in order))
    assert ledger.problems()[0] == "line 1 follows a line that stands after it"
    assert list(map(ledger.look_number, intents)) == [1, 2, 3]


@pytest.mark.parametrize(
    "hits", ["", '"hits":"many",', '"hits":1000000000,', '"hits":-1,', '"hits":1.5,', '"hits":true,']
)
def test_a_result_with_absurd_or_missing_hits_is_a_sentence(ledger: Ledger, hits: str) -> None:
    number = ledger.look_number(look(ledger, "aa"))
    edit(ledger, 1, '"hits":190,', hits)
    assert ledger.problems() == ["line 2 does not match its own hash: it was edited or torn"]
    assert ledger.result_for("aa", tta="none", data="letters") is None
    assert number == 1
