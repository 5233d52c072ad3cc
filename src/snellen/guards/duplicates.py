"""Guards against copies within train, and between train, val and the sealed test part: to the pixel, or nearly.

Pictures of one's own come in bursts, crops and renamed copies, and nobody has looked at all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from snellen.data.splits import Splits
from snellen.guards.copies import Copies, CopyPair, find_copies
from snellen.guards.guard import GuardResult, ask_guards, judged, unjudged

MOST_COMPARED = 20_000
"""Pictures up to which near-duplicates are searched before each training: a few seconds at 64 px."""
_SHOWN_PAIRS = 3
_TOLERATED = 0.01  # of val: bends an accuracy of 94 % by less than 0.1 points
_LEARNED = ("train", "train+val", "val")


def check_duplicates(splits: Splits) -> tuple[GuardResult, ...]:
    """Before a training: copies between train, val and the sealed test part, which stays sealed."""
    train, val, test = splits.train, splits.val, splits.test
    count = len(train) + (len(val) if val else 0) + (0 if test is None else test.count)
    copies = cache(lambda: find_copies(train, val, test, near=count <= MOST_COMPARED))  # a fault in it is each guard's
    return ask_guards(
        {
            "exact-duplicates": lambda: exact_duplicates(copies()),
            "near-duplicates": lambda: near_duplicates(copies()),
            "test-duplicates": lambda: duplicates_in_test(copies()),
        }
    )


def exact_duplicates(copies: Copies) -> GuardResult:
    """Whether a picture is in train under two labels, or in train and in val; equal means every pixel is equal."""
    name = "exact-duplicates"
    within = [pair for part in ("train", "train+val") for pair in copies.among("exact", (part,), part)]
    contradicting = [pair for pair in within if pair.contradicts]
    across = copies.among("exact", ("train",), "val")
    evidence = f"{len(within)} copies within train, {len(contradicting)} of them under another label" + (
        f"; {len(across)} of {copies.val:,} val images are also in train." if copies.val else "."
    )
    if not contradicting and not across:
        return GuardResult(name, True, evidence)
    return GuardResult(
        name, False, f"{evidence} For example {_some([*contradicting, *across])}.",
        "Remove the copies before the split; what is in train and in val is remembered, not recognised. Of a picture "
        "under two labels at most one is right.",
        "error" if len(across) > 0.01 * copies.val else "warning",
    )  # fmt: skip


def near_duplicates(copies: Copies) -> GuardResult:
    """Whether more than 1 % of the val images have a near-duplicate among the training images."""
    name = "near-duplicates"
    if not copies.val:
        return unjudged(name, "There is no val split to compare train with.")
    if not copies.near:
        count = copies.train + copies.val + (copies.test or 0)
        many = f"{count:,} pictures are more than the {MOST_COMPARED:,} compared before a training"
        return unjudged(name, f"{many}: snellen doctor DATA")
    found = copies.among("near", ("train",), "val")
    share, same = len(found) / copies.val, sum(not pair.contradicts for pair in found)
    evidence = f"{len(found)} of {copies.val:,} val images ({100 * share:.1f} %) have a near-duplicate in train"
    evidence += f", {same} of them with the same label; for example {_some(found)}." if found else "."
    if within := copies.among("near", ("train",), "train"):
        evidence += f" Within train there are {len(within)} pairs."
    if share <= _TOLERATED:
        return GuardResult(name, True, evidence)
    points = 100 * share / (1 - share) * 0.1
    return GuardResult(
        name, False, evidence,
        f"Val accuracy flatters: at 90 % by up to {points:.1f} points if all of these are right. Put pictures of one "
        "shot, burst or scene on one side before you split; the choice between models is hardly touched.",
        "note" if share < 0.1 else "warning",
    )  # fmt: skip


def duplicates_in_test(copies: Copies) -> GuardResult:
    """Whether a picture of the sealed test part is also in train or val, to the pixel or nearly."""
    name = "test-duplicates"
    if copies.test is None:
        return unjudged(name, "There is no test part.")
    if not copies.test_searched:
        return unjudged(name, "The test set cannot be searched for copies while it is sealed.")
    exact, near = (copies.among(kind, _LEARNED, "test") for kind in ("exact", "near"))
    alike = len({pair.second for pair in near})
    evidence = f"{len(exact)} of {copies.test:,} test pictures are in train or val to the pixel"
    evidence += f", {alike} more nearly" if copies.near else ""
    evidence += f"; for example {_some([*exact, *near])}." if exact or near else "."
    return judged(
        name, not exact and alike <= 0.01 * copies.test, evidence,
        "Test accuracy would flatter. Remove the copies, or put all pictures of one shot on one side, then train.",
        "error" if len(exact) > 0.01 * copies.test else "warning",
    )  # fmt: skip


def _some(pairs: Sequence[CopyPair]) -> str:
    return ", ".join(map(str, pairs[:_SHOWN_PAIRS]))
