"""What was done, as a folder: layout, journal, environment; without torch."""
