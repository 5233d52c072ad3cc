"""Grading a run: val freely, test through the ledger, robustness, one run beside another."""
