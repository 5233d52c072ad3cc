"""How numbers look: terminal tables, Matplotlib figures, notebook views, progress."""
