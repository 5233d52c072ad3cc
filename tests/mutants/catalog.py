"""All mutants, by name."""

from __future__ import annotations

from tests.mutants.mutant import Mutant
from tests.mutants.of_data import OF_DATA
from tests.mutants.of_grading import OF_GRADING
from tests.mutants.of_training import OF_TRAINING

MUTANTS: dict[str, Mutant] = {mutant.name: mutant for mutant in (*OF_DATA, *OF_TRAINING, *OF_GRADING)}
assert len(MUTANTS) == len(OF_DATA) + len(OF_TRAINING) + len(OF_GRADING), "each name once"
