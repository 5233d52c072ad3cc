"""What a soak found: printed, and kept where it is wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def tell(found: dict[str, Any], out: Path | None) -> None:
    """Print the outcome as JSON, and write it to `out`, whose folder is made."""
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    print(text)
