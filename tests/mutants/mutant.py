"""One line of the source made wrong, and which tests must notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


class UnfitMutant(Exception):
    """A mutant that says nothing about the tests: its line is gone, or the program no longer starts."""


@dataclass(frozen=True)
class Mutant:
    """A mistake that gives wrong numbers without a word.

    Attributes:
        name: of the mistake, in kebab case.
        file: that is broken, under `src/snellen`.
        old: the right text; it stands exactly once in the file.
        new: what it becomes.
        tests: the narrowest pytest paths, under `tests`, that must notice.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        """`tests` as pytest takes them from the root of the checkout."""
        return [f"tests/{test}" for test in self.tests]

    def broken(self, source: Path = ROOT / "src") -> str:
        """The file's text with the mistake in it.

        Args:
            source: the folder that holds `snellen`.

        Raises:
            UnfitMutant: `old` is not found exactly once, or nothing would change.
        """
        text = (source / "snellen" / self.file).read_text(encoding="utf-8")
        found = text.count(self.old)
        if found != 1 or self.old == self.new:
            raise UnfitMutant(
                f"{self.name}: {self.old!r} stands {found} times in {self.file}, not once. The line was changed or "
                "moved; write the mutant anew in tests/mutants."
            )
        return text.replace(self.old, self.new)

    def apply(self, source: Path) -> None:
        """Break the copy of the sources at `source`.

        Raises:
            UnfitMutant: as `broken`.
        """
        text = self.broken(source)
        (source / "snellen" / self.file).write_text(text, encoding="utf-8")
