"""From a model and pictures to Predictions, the waist of the hourglass."""
