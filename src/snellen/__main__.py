"""`python -m snellen`."""

from snellen.cli.main import entry

entry()
