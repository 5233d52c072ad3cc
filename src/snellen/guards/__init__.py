"""Each known gotcha as an automatic verdict with evidence and remedy."""
