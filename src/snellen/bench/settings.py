"""What a benchmark may choose; the same for all subjects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snellen.errors import InvalidSetting


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How, where and how long to measure.

    Attributes:
        device: "auto", "cpu", "cuda" or "mps".
        quick: small sizes and few repeats: shows that it works and the order of magnitude, no number to publish.
        data: folder of CIFAR-10, or None for the usual places.
        dataset: that `to-accuracy` and `memory` train on.
        recipe: the one recipe to measure, or None for each subject's own choice.
        seeds: trainings of `to-accuracy`.
        final: whether `to-accuracy` trains on train + val.
        reason: the line in the ledger with which `to-accuracy` may open the test set; None leaves it sealed.
        ledger: its file, or None for the usual one.
        runs: folder for the run folders of `to-accuracy`.
        peer: a Python file that trains something else and takes turns with `to-accuracy`, or None.
        peer_seeds: trainings of the peer, in the first turns; None is as many as ours.
    """

    device: str = "auto"
    quick: bool = False
    data: Path | None = None
    dataset: str = "cifar10"
    recipe: str | None = None
    seeds: int = 3
    final: bool = False
    reason: str | None = None
    ledger: Path | None = None
    runs: Path = Path("runs/bench")
    peer: Path | None = None
    peer_seeds: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.seeds <= 1000:
            raise InvalidSetting(f"--seeds {self.seeds} is not possible: 1 to 1000 trainings.")
        if self.reason is not None and not self.final:
            raise InvalidSetting(
                "--reason opens the test set, and that is for final trainings only. Add --final, or leave it out."
            )
        if self.ledger is not None and self.reason is None:
            raise InvalidSetting("--ledger has no effect without --reason: nothing is written there.")
        if self.peer is not None and not self.peer.is_file():
            raise InvalidSetting(f"--peer {self.peer} is not a file. Name a Python file as docs/bench.md describes it.")
        if self.peer_seeds is not None and (self.peer is None or not 1 <= self.peer_seeds <= self.seeds):
            raise InvalidSetting(
                f"--peer-seeds {self.peer_seeds} is not possible: 1 to --seeds ({self.seeds}) trainings of a --peer."
            )

    @property
    def repeats(self) -> int:
        """Timed repeats of a subject that takes up to a few seconds."""
        return 3 if self.quick else 9
