"""Before training on a user's own pictures: is any of them on both sides of a split?

Pictures of one's own come in bursts, crops and renamed copies, and nobody has looked at all of them. Train, val and
test are compared by pixels; of the test part pixels alone are handed out, and no label.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages, hash_pixels
from snellen.data.sealed_images import SealedImages
from snellen.data.splits import Splits
from snellen.guards.data_guards import exact_duplicates
from snellen.guards.guard import Verdict, judge, unjudged
from snellen.guards.near_duplicates import find_near_copies, named, near_duplicates

MOST_COMPARED = 20_000
"""Pictures up to which near-copies are searched before each training: a few seconds at 64 px."""
_SHOWN_PAIRS = 3


def check_copies(splits: Splits, files: Sequence[str] = ()) -> tuple[Verdict, ...]:
    """Copies and near-copies between train, val and the sealed test part.

    Args:
        splits: test may be sealed; it stays so.
        files: the name of the file each id stands for, for the evidence; empty where there are none.
    """
    count = (
        len(splits.train) + (len(splits.val) if splits.val else 0) + (0 if splits.test is None else splits.test.count)
    )
    near = count <= MOST_COMPARED
    too_many = f"{count:,} pictures are more than the {MOST_COMPARED:,} compared before a training: snellen doctor DATA"
    return judge(
        {
            "exact-duplicates": partial(exact_duplicates, splits.train, splits.val, files),
            "near-duplicates": partial(near_duplicates, splits.train, splits.val, files)
            if near
            else partial(unjudged, "near-duplicates", too_many),
            "test-twins": partial(copies_in_test, splits.train, splits.val, splits.test, files, near=near),
        }
    )


def copies_in_test(
    train: LabeledImages,
    val: LabeledImages | None,
    test: SealedImages | None,
    files: Sequence[str] = (),
    *,
    near: bool = True,
) -> Verdict:
    """Whether a picture of the sealed test part is also in train or val, to the pixel or nearly."""
    name = "test-twins"
    if test is None:
        return unjudged(name, "There is no test part.")
    learned = [part for part in (train, val) if part is not None]
    found = test.search_copies(partial(_search, learned, near=near))
    if found is None:
        return unjudged(name, "The test set cannot be searched for copies while it is sealed.")
    exact, alike, pairs = found
    evidence = f"{exact} of {test.count:,} test pictures are in train or val to the pixel"
    evidence += f", {alike} more nearly" if near else ""
    shown = ", ".join(named(place, files) for place in pairs[:_SHOWN_PAIRS])
    evidence += f"; for example copies of {shown}." if shown else "."
    if exact + alike <= 0.01 * test.count and not exact:
        return Verdict(name, True, evidence)
    return Verdict(
        name, False, evidence,
        "Test accuracy would flatter. Remove the copies, or put all pictures of one shot on one side, then train.",
        "error" if exact > 0.01 * test.count else "warning",
    )  # fmt: skip


def _search(learned: Sequence[LabeledImages], pixels: NDArray[np.uint8], *, near: bool) -> tuple[int, int, list[int]]:
    """Exact copies, further near-copies, and the ids in train or val that they are copies of."""
    mine = hash_pixels(pixels)
    exact = np.zeros(len(pixels), dtype=bool)
    alike = np.zeros(len(pixels), dtype=bool)
    ids: list[int] = []
    for images in learned:
        here = np.isin(mine, images.content_hashes)
        ids += images.ids[np.isin(images.content_hashes, mine)].tolist()
        exact |= here
        if near and len(images):
            found = find_near_copies(images.images, pixels)
            alike[found.queries] = True
            ids += images.ids[found.twins].tolist()
    return int(exact.sum()), int((alike & ~exact).sum()), list(dict.fromkeys(ids))
