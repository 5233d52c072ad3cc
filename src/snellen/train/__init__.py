"""One loop, one step, optimizers, schedules, checkpoints."""
