"""One meaning, two hands: `reference` in NumPy for reading, `batched` in torch for work."""
