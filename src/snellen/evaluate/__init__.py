"""Predictions and everything that follows from them; NumPy only after `predict`."""
