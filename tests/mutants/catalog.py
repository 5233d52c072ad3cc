"""All mutants, by name."""

from __future__ import annotations

from tests.mutants.mutant import Mutant
from tests.mutants.of_data import OF_DATA
from tests.mutants.of_grading import OF_GRADING
from tests.mutants.of_strangers import OF_STRANGERS
from tests.mutants.of_training import OF_TRAINING

_ALL = (*OF_DATA, *OF_TRAINING, *OF_GRADING, *OF_STRANGERS)
MUTANTS: dict[str, Mutant] = {mutant.name: mutant for mutant in _ALL}
assert len(MUTANTS) == len(_ALL), "each name once"
