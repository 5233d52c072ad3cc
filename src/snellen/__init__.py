"""Snellen: an eye test for image classifiers.

Train one with a recipe, see what it looks at, grade it once, honestly.
"""

__version__ = "0.1.0"
