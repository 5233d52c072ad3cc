"""All that follows from predictions: accuracy, intervals, confusion, calibration, label issues; NumPy only."""
