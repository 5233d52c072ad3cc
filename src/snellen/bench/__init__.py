"""How fast, measured side by side under one protocol."""
