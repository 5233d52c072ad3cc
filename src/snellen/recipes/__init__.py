"""What to do, as data: every choice of a training, without torch."""
