"""Run the notebook from top to bottom and keep what each cell shows in it: `python -m tests.api.run_tour`.

As Jupyter does, without Jupyter, in a folder of its own and on one core. The minutes of that core are written into the
first cell: processor time, which other programs do not lengthen.
"""

from __future__ import annotations

import ast
import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

TOUR = Path(__file__).parents[2] / "examples" / "tour.ipynb"
MINUTES = re.compile(r"(?<=nothing to download, )[\d.]+ minutes(?= on one CPU core)")


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Execute a cell as Jupyter does; returns the value of its last line if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


def shown(value: Any) -> dict[str, list[str]]:
    """What Jupyter would keep of a value, as lines by MIME type."""
    bundle = {"text/plain": repr(value)}
    if hasattr(value, "_repr_html_"):
        bundle["text/html"] = value._repr_html_()
    return {kind: text.splitlines(keepends=True) for kind, text in bundle.items()}


def main() -> None:
    """Run all cells and write the notebook back."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported by a cell
    notebook = json.loads(TOUR.read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        began = time.process_time()
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for number, cell in enumerate(code, start=1):
            data = shown(run_cell("".join(cell["source"]), names))
            result = {"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data}
            cell |= {"execution_count": number, "outputs": [result]}
        minutes = (time.process_time() - began) / 60
        os.chdir(TOUR.parent)
    first = notebook["cells"][0]
    first["source"] = MINUTES.sub(f"{minutes:.1f} minutes", "".join(first["source"])).splitlines(keepends=True)
    TOUR.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
