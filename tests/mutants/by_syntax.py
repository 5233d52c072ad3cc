"""Mistakes planted by syntax: where a table grows only where its author looks, chance looks everywhere.

Each candidate is one small change of an expression in a file that computes numbers: a comparison, an index, an axis, an
argument, first for last, any for all, what is stored for what was given. Which are planted, a seed decides.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.mutants.equivalent import EQUIVALENT
from tests.mutants.mutant import ROOT, Mutant

SOURCE = ROOT / "src" / "snellen"
ROOMS = (
    "data", "augment", "models", "predict", "metrics", "guards", "inspect", "evaluate", "train", "export", "explain",
    "ladder", "report",
)  # fmt: skip
NO_NUMBERS = {
    "data/download.py", "data/listing.py", "data/shards.py", "data/catalog.py", "train/ddp.py", "train/interrupt.py",
    "train/precision.py", "models/device.py", "models/catalog.py", "ladder/engines.py", "ladder/table.py",
    "ladder/run.py", "export/model_card.py", "export/torch_program.py", "report/bundle.py", "guards/guard.py",
}  # fmt: skip
"""Files that move bytes, choose devices, start processes or make sentences."""
MOST_TEST_FILES = 10
_OF_EVERYTHING = ("test_house.py", "cli/test_options_matter.py")  # near to no file

_OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
}  # fmt: skip
_TWINS = {
    "any": "all", "all": "any", "min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin",
    "minimum": "maximum", "maximum": "minimum", "floor": "ceil", "ceil": "floor", "sorted": "list",
}  # fmt: skip
_NO_NUMBER = ("strict", "dtype", "encoding", "verbose", "fontsize", "color", "va", "ha", "style", "linewidth")
"""Arguments of calls that no number comes from: checks, how a file or a figure looks."""
_LETTERS = 50  # a slice up to so many cuts a text
_SYMMETRIC = ("min", "max", "minimum", "maximum", "array_equal", "allclose", "gcd", "intersect1d", "union1d")


@dataclass(frozen=True)
class Change:
    """One expression replaced by another.

    Attributes:
        kind: of mistake, such as "comparison".
        start: byte offset in the file where the old text begins, and `end` where it ends.
        end: see `start`.
        new: the text that takes its place.
    """

    kind: str
    start: int
    end: int
    new: str


def planted(count: int, seed: int) -> list[Mutant]:
    """`count` different mutants; each kind of mistake is as likely as any other, and so is each line within a kind."""
    by_kind: dict[str, list[tuple[str, Change]]] = {}
    for file in files():
        for change in changes(_text(file)):
            by_kind.setdefault(change.kind, []).append((file, change))
    chance, found = random.Random(seed), {}
    while len(found) < count:
        kind = chance.choice(sorted(by_kind))
        file, change = chance.choice(by_kind[kind])
        made = mutant(file, change)
        if (file, in_one_line(made.new)) not in EQUIVALENT:
            found[file, change] = made
    return list(found.values())


def files() -> list[str]:
    """The files that compute numbers, below `src/snellen`."""
    paths = sorted(path for room in ROOMS for path in (SOURCE / room).glob("[!_]*.py"))
    return [name for path in paths if (name := path.relative_to(SOURCE).as_posix()) not in NO_NUMBERS]


def mutant(file: str, change: Change) -> Mutant:
    """A change as a mutant: as many whole lines around it as make its text the only one of its kind in the file."""
    text = _text(file).encode()
    line = text[: change.start].count(b"\n") + 1
    begin, end = text.rfind(b"\n", 0, change.start) + 1, text.find(b"\n", change.end)
    while text.count(text[begin:end]) > 1:
        begin = text.rfind(b"\n", 0, begin - 1) + 1
    new = text[begin : change.start] + change.new.encode() + text[change.end : end]
    name = f"{change.kind}-{file.removesuffix('.py').replace('/', '-')}-{line}"
    within = re.findall(rb"def (\w+)", text[:begin])[-1:]  # the function's name says what the line is for
    words = b" ".join([text[begin:end], *within]).decode()
    return Mutant(name, file, text[begin:end].decode(), new.decode(), tests_near(file, words))


def in_one_line(code: str) -> str:
    """Code without its line breaks and indentation, as `EQUIVALENT` names it."""
    return " ".join(code.split())


def tests_near(file: str, line: str) -> tuple[str, ...]:
    """The test files of a source, and of one line in it: its mirror, then those that share most words with the line.

    Of all that import the file, or what it is a part of in its room, or are of its room; a word of which few test files
    speak counts for more. What registers parts by name is also tested where parts are.
    """
    words = set(re.findall(r"[A-Za-z_]{4,}", line))
    candidates = _candidates(file)
    spoken = {word: [name for name, _, text in candidates if word in text] for word in words}
    shared = {name: sum(1 / len(by) for by in spoken.values() if name in by) for name, *_ in candidates}
    order = sorted(candidates, key=lambda each: (not each[1], -shared[each[0]], each[0]))
    names = [name for name, *_ in order][:MOST_TEST_FILES]
    registers = re.search(r"^ *@?register\(", _text(file), re.MULTILINE) is not None
    return (*names, "test_parts.py") if registers and "test_parts.py" not in names else tuple(names)


@cache
def _candidates(file: str) -> list[tuple[str, bool, str]]:
    """Name below `tests`, whether it mirrors the file, and text of each test file that may have to do with it."""
    room, stem = Path(file).parent.name, Path(file).stem
    imported, mirror = _imports_of(room, stem), re.compile(rf"test_(\w*_)?{stem}(_\w+)?\.py")
    wholes = [path.stem for path in sorted((SOURCE / room).glob("*.py")) if imported.search(path.read_text("utf-8"))]
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        own, text = path.parent.name == room, path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT / "tests").as_posix()
        related = own or any(_imports_of(room, each).search(text) for each in (stem, *wholes))
        if related and name not in _OF_EVERYTHING:
            found.append((name, own and mirror.fullmatch(path.name) is not None, text))
    return found


@cache
def _imports_of(room: str, stem: str) -> re.Pattern[str]:
    return re.compile(rf"snellen\.{room}(\.{stem}\b| import .*\b{stem}\b)")


def changes(text: str) -> Iterator[Change]:
    """Every change of this source that there is; sentences, annotations and our own asserts are left alone."""
    places = _Places(text)
    for node in _numbers(ast.parse(text)):
        yield from _changes_of(node, places)


def _numbers(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that make sentences, types, defaults and asserts."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Raise | ast.Assert | ast.JoinedStr | ast.arguments | ast.Import | ast.ImportFrom):
            continue
        if isinstance(tree, ast.AnnAssign) and child is tree.annotation:
            continue
        if isinstance(tree, ast.FunctionDef | ast.ClassDef) and child in tree.decorator_list:
            continue
        if isinstance(tree, ast.FunctionDef) and child is tree.returns:
            continue
        yield child
        yield from _numbers(child)


class _Places:
    """Where a node stands, in bytes."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self._lines = [0]
        for line in self.text.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def of(self, node: ast.expr | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._lines[node.lineno - 1] + node.col_offset, self._lines[node.end_lineno - 1] + node.end_col_offset

    def source(self, node: ast.expr | ast.keyword) -> str:
        start, end = self.of(node)
        return self.text[start:end].decode()

    def between(self, kind: str, left: ast.expr, right: ast.expr, pair: tuple[str, str]) -> Iterator[Change]:
        """The operator between two operands, replaced."""
        begin, end = self.of(left)[1], self.of(right)[0]
        at = self.text[begin:end].find(pair[0].encode())
        if at >= 0:
            yield Change(kind, begin + at, begin + at + len(pair[0]), pair[1])

    def replaced(self, kind: str, node: ast.expr | ast.keyword, new: str) -> Change:
        return Change(kind, *self.of(node), new)


def _changes_of(node: ast.AST, places: _Places) -> Iterator[Change]:
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _OPERATORS:
            yield from places.between("comparison", left, right, _OPERATORS[type(operator)])
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            if not any(isinstance(side, ast.JoinedStr) or _is_text(side) for side in (left, right)):
                yield from places.between("arithmetic", left, right, _OPERATORS[type(operator)])
        case ast.BoolOp(op=operator, values=[left, right]):
            pair = ("and", "or") if isinstance(operator, ast.And) else ("or", "and")
            yield from places.between("and-or", left, right, pair)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield places.replaced("not", node, f"({places.source(operand)})")
        case ast.IfExp(body=body, orelse=other):
            yield places.replaced("stored-given", node, f"({places.source(body)})")
            yield places.replaced("stored-given", node, f"({places.source(other)})")
        case ast.Name(id=name, ctx=ast.Load()) if name in _TWINS:
            yield places.replaced("twin", node, _TWINS[name])
        case ast.Attribute(attr=name) if name in _TWINS:
            end = places.of(node)[1]
            yield Change("twin", end - len(name), end, _TWINS[name])
        case ast.Subscript(value=value, slice=index, ctx=ast.Load()):
            if not places.source(value).endswith("digest()"):  # how much of a digest names a thing
                yield from _of_index(index, places)
        case ast.Call():
            yield from _of_call(node, places)


def _of_index(index: ast.expr, places: _Places) -> Iterator[Change]:
    number = _whole(index)
    if number is not None:
        yield places.replaced("first-last", index, str({0: -1, -1: 0}.get(number, number + 1)))
    if isinstance(index, ast.Slice) and index.step is None:
        if index.lower is not None and index.upper is None and _whole(index.lower) is not None:
            yield places.replaced("slice", index.lower, str((_whole(index.lower) or 0) + 1))
        quoted = (_whole(index.upper) or 0) >= _LETTERS if index.upper is not None else False
        if index.upper is not None and index.lower is None and not quoted:
            yield places.replaced("slice", index.upper, f"({places.source(index.upper)}) - 1")


def _of_call(call: ast.Call, places: _Places) -> Iterator[Change]:
    for keyword in call.keywords:
        if keyword.arg in ("axis", "dim") and (number := _whole(keyword.value)) is not None:
            yield places.replaced("axis", keyword.value, "1" if number == 0 else "0")
        elif keyword.arg and len(call.keywords) + len(call.args) > 1 and keyword.arg not in _NO_NUMBER:
            start, end = places.of(keyword)
            rest = places.text[end:]
            comma = re.match(rb"\s*,\s*", rest)
            yield Change("argument-left-out", start, end + (len(comma[0]) if comma else 0), "")
    plain = [each for each in call.args if isinstance(each, ast.Name | ast.Attribute)]
    symmetric = places.source(call.func).rpartition(".")[2] in _SYMMETRIC
    if len(plain) == len(call.args) == 2 and not symmetric and places.source(plain[0]) != places.source(plain[1]):
        start, end = places.of(plain[0])[0], places.of(plain[1])[1]
        yield Change("arguments-swapped", start, end, f"{places.source(plain[1])}, {places.source(plain[0])}")


def _whole(node: ast.expr) -> int | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
    return value if type(value) is int else None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@cache
def _text(file: str) -> str:
    return (SOURCE / file).read_text(encoding="utf-8")
