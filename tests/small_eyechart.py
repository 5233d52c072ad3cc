"""The command `snellen`, with an eye chart of 360 letters: for tests that need a real process.

Run as a script: `python tests/small_eyechart.py train eyechart …`.
"""

from __future__ import annotations

from snellen.cli.main import entry
from snellen.data import catalog
from snellen.data.eyechart import make_eyechart

if __name__ == "__main__":
    catalog._LOADERS["eyechart"] = lambda: make_eyechart(seed=0, train=300, test=60)
    entry()
