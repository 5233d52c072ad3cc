"""One network, one file; `catalog` maps names to constructors."""
