"""The version of Snellen, for everything that writes down what made it."""

VERSION = "0.1.0"
