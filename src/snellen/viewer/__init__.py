"""The same page, served locally with live parts."""
