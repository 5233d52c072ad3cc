"""Lines of this package's own source, quoted as they stand.

What a page or a terminal shows as "the line that did this" is read from the file that did it. A line that is
rewritten is shown rewritten; one that is gone is an error and not an old story.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import snellen

_PACKAGE = Path(snellen.__file__).parent


@dataclass(frozen=True)
class Line:
    """One statement and where it stands.

    Attributes:
        code: the statement on one line, without comment and annotation.
        place: file inside the package and line number, such as "augment/batched.py:66".
    """

    code: str
    place: str

    def to_json(self) -> dict[str, str]:
        """Both fields."""
        return {"code": self.code, "place": self.place}


@cache
def quote(file: str, fragment: str, *, within: str = "") -> Line:
    """The first statement of a file that contains `fragment`, joined to one line.

    Args:
        file: path inside the package, such as "augment/batched.py".
        fragment: text without a line break.
        within: name of the class or function to look in; empty means the whole file.
    """
    source = (_PACKAGE / file).read_text(encoding="utf-8")
    lines, tree = source.splitlines(), ast.parse(source)
    first, last = 1, len(lines)
    if within:
        scopes = ast.FunctionDef | ast.ClassDef
        scope = next(each for each in ast.walk(tree) if isinstance(each, scopes) and each.name == within)
        first, last = scope.lineno, scope.end_lineno or last
    number = next((n for n in range(first, last + 1) if fragment in lines[n - 1]), None)
    assert number is not None, f"{file} no longer says {fragment!r} in {within or 'any line'}"
    around = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _holds(node, number)]
    statement = min(around, key=lambda node: (node.end_lineno or node.lineno) - node.lineno)
    return Line(_on_one_line(source, statement), f"{file}:{number}")


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _on_one_line(source: str, statement: ast.stmt) -> str:
    """The statement without line breaks and without the annotation that only a type checker reads."""

    def text(node: ast.AST) -> str:
        joined = " ".join((ast.get_source_segment(source, node) or "").split())
        return re.sub(r"(?<=[(\[]) | (?=[)\]])", "", joined)

    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return f"{text(statement.target)} = {text(statement.value)}"
    return text(statement)
