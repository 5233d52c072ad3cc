"""Baseline plus one change each, over seeds, with a verdict for every rung."""
