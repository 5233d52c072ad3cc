"""Python's way in: what the command line does, as functions and objects that show themselves in notebooks."""
