"""Scripts that make this project's records. Not shipped; run from its root: `python -m benchmarks.NAME`."""
