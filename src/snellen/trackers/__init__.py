"""Other people's pages of curves, filled from a run folder; without torch."""
