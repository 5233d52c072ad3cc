"""One picture at every step of the pipeline, each done again in NumPy."""
