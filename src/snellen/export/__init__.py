"""Weights for other tools, refused when they disagree."""
