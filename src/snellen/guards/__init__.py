"""Each known gotcha as an automatic result with evidence and remedy."""
