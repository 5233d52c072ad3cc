"""The house rules that a machine can check: layers, sizes, names, and what must never be written."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "snellen"
FILES = sorted(SOURCE.rglob("*.py"))
SCRIPTS = sorted((ROOT / "benchmarks").rglob("*.py"))  # make the project's records, and are not shipped
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# From left to right: a room imports only from those right of it. Rooms in one place do not know each other.
LAYERS = (
    ("cli", "api"),
    ("viewer",),  # shows the report's page
    ("report",),
    ("tune",),  # many runs, as a ladder trains them
    ("explain", "ladder", "bench"),
    ("export",),  # bench times the files it makes
    ("train",),
    ("show",),  # how numbers look; nothing that computes them is above it but training, which draws its curves
    ("evaluate",),
    ("guards", "inspect"),
    ("metrics",),
    ("predict",),
    ("models", "augment", "data", "trackers"),
    ("runs",),  # a run folder holds its recipe, so of the last two rooms one knows the other
    ("recipes",),
    ("parts",),
    ("paths",),
    ("errors", "serialize", "version"),
)
PLACE = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
LONGEST_FILE, LONGEST_FUNCTION = 400, 50
MOST_FILES, MOST_LINES = 221, 31_740
"""Of the package. What comes in takes the place of something; for a new feature both are raised by a decision that says
so in docs/decisions, and never in passing."""
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base", "manager"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    """Absolute names of all modules imported anywhere in the file, also inside functions and for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            assert node.module is not None
            # `from snellen.show import figures` imports the module snellen.show.figures.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_known_to(path: Path) -> set[str]:
    names = [name.split(".") for name in imports(tree_of(path))]
    return {parts[1] for parts in names if parts[0] == "snellen" and len(parts) > 1 and not parts[1].startswith("__")}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


# Layers


def test_every_room_has_its_place() -> None:
    rooms = {room_of(path) for path in FILES} - {"__init__", "__main__"}
    assert rooms == set(PLACE)


def test_a_file_knows_only_its_own_room_and_those_to_the_right() -> None:
    found = {}
    for path in FILES:
        here = room_of(path)
        if here in ("__init__", "__main__"):
            strangers = rooms_known_to(path) - {
                "cli",
                "api",
                "data",
                "errors",
                "parts",
                "recipes",
                "version",
            }  # the shop window, loaded late
        else:
            strangers = {room for room in rooms_known_to(path) if room != here and PLACE[room] <= PLACE[here]}
        if strangers:
            found[name_of(path)] = strangers
    assert not found


def test_what_is_shipped_does_not_know_what_is_not() -> None:
    for path in FILES:
        known = {name.split(".")[0] for name in imports(tree_of(path))}
        assert not known & {"benchmarks", "tests"}, name_of(path)


def test_the_layer_test_can_fail() -> None:
    upward = ast.parse("def late():\n    from snellen.train.training import train\n    import snellen.cli.main")
    assert list(imports(upward)) == ["snellen.train.training.train", "snellen.cli.main"]


def test_the_door_of_a_room_holds_one_docstring() -> None:
    for path in FILES:
        if path.name == "__init__.py" and path.parent != SOURCE:
            assert ast.get_docstring(tree_of(path)), name_of(path)
            assert len(tree_of(path).body) == 1, name_of(path)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import snellen", ("torch", "numpy", "PIL", "rich", "tyro", "matplotlib")),
        ("import snellen.cli.main", ("torch", "numpy", "PIL", "matplotlib")),
        ("from snellen.cli.main import main; main(['--help'])", ("torch", "numpy", "PIL", "matplotlib")),
        ("import snellen.recipes.catalog", ("torch", "numpy")),
        ("import snellen.runs.run", ("torch", "numpy")),
        ("import snellen.metrics.scorecard, snellen.metrics.confusion", ("torch",)),
        ("import snellen.data.catalog", ("torch", "matplotlib")),
    ],
)
def test_what_is_light_does_not_import_what_is_heavy(statement: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(heavy) & set(done.stderr.split())


@pytest.mark.processes
@pytest.mark.parametrize("verb", ["train", "evaluate", "predict", "export", "ledger", "data", "recipes", "view"])
def test_a_verbs_help_does_not_import_torch(verb: str) -> None:
    code = (
        "import sys\nfrom snellen.cli.main import main\n"
        f"try: main(['{verb}', '--help'])\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False"


# One door to a run's data

PREPARES = {
    "data/run_images.py", "data/catalog.py",  # the door itself, and what reads behind it
    "cli/doctor.py",  # of a data set, before there is a run
    "train/setup.py", "ladder/run.py", "ladder/engines.py",  # of runs that are to be trained
}  # fmt: skip


def test_nothing_but_the_door_reads_or_splits_the_data_of_a_run() -> None:
    guarded = {"snellen.data.splits.split", "snellen.data.splits.split_final"}
    guarded |= {"snellen.data.run_images.load_as_before", "snellen.data.folder_dataset.load_folder"}
    found = {}
    for path in FILES:
        used = guarded & set(imports(tree_of(path)))
        if used and str(path.relative_to(SOURCE)) not in PREPARES and room_of(path) != "bench":
            found[name_of(path)] = used
    assert not found


# Sizes and names


def test_the_house_stays_small() -> None:
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES)
    assert len(FILES) <= MOST_FILES, f"{len(FILES)} files"
    assert lines <= MOST_LINES, f"{lines:,} lines"


def test_a_file_has_at_most_400_lines() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*FILES, *SCRIPTS, *TESTS]}
    assert not {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE}


def test_a_function_has_at_most_50_lines() -> None:
    found = {}
    for path in [*FILES, *SCRIPTS]:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    found[f"{name_of(path)}: {node.name}"] = lines
    assert not found


def test_nothing_is_called_after_a_drawer() -> None:
    for path in [*FILES, *SCRIPTS, *TESTS]:
        names = {part for name in path.relative_to(ROOT).parts for part in re.split(r"[._]", name)}
        assert not names & DRAWERS, name_of(path)


def test_rooms_are_not_nested() -> None:
    assert {len(path.relative_to(SOURCE).parts) for path in FILES} <= {1, 2}


def test_no_two_test_files_share_a_name() -> None:
    names = [path.name for path in TESTS if path.name not in ("conftest.py", "__main__.py")]
    assert len(names) == len(set(names))


def test_every_file_and_every_public_name_has_a_docstring() -> None:
    for path in [*FILES, *SCRIPTS]:
        assert ast.get_docstring(tree_of(path)), name_of(path)
        for node in tree_of(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{name_of(path)}: {node.name}"


# What must never be written

FORBIDDEN = (
    "pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle", "torch.load", "torch.jit.load",
    "torch.hub.load", "torch.package", "torch.export.load", "numpy.load", "numpy.lib.format.open_memmap", "yaml",
    "pandas.read_pickle", "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.exec", "os.spawn",
    "pty.spawn", "shutil.unpack_archive", "code", "runpy",
)  # fmt: skip
"""Calls by full name, or by the module that all of them belong to."""
SAFE = {"numpy.load": ("allow_pickle", "False"), "torch.load": ("weights_only", "True")}
"""Those that one option makes harmless."""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def full_names(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for, whatever it is called here: {"loads": "pickle.loads", "np": "numpy"}."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.asname: each.name for each in node.names if each.asname}
        elif isinstance(node, ast.ImportFrom):
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return found


def offences(tree: ast.AST) -> list[str]:
    """Calls that could run what a file says, or write where it says."""
    found, stands_for = [], full_names(tree)
    for call in calls(tree):
        first, dot, rest = ast.unparse(call.func).partition(".")
        name = {"np": "numpy", "builtins": ""}.get(first, stands_for.get(first, first)) + dot + rest
        name = name.removeprefix("builtins.").lstrip(".")
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        harmless = name in SAFE and options.get(SAFE[name][0]) == SAFE[name][1]
        if any(name == each or name.startswith(f"{each}.") for each in FORBIDDEN) and not harmless:
            found.append(name)
        if name.startswith(("os.exec", "os.spawn")) or name.endswith((".extractall", ".extract", ".find_class")):
            found.append(name)
        for option, value in (("allow_pickle", "True"), ("weights_only", "False"), ("shell", "True")):
            if options.get(option) == value:
                found.append(f"{option}={value}")
    return found


def test_nothing_that_is_read_can_run_or_write_outside_its_place() -> None:
    assert not {name_of(path): found for path in [*FILES, *SCRIPTS] if (found := offences(tree_of(path)))}


@pytest.mark.parametrize(
    "code",
    [
        "pickle.load(file)", "pickle.loads(content)", "torch.load(path)", "torch.load(path, weights_only=False)",
        "np.load(path)", "np.load(path, allow_pickle=True)", "tar.extractall(folder)", "tar.extract(member)",
        "yaml.load(text)", "eval(text)", "exec(text)", "subprocess.run(text, shell=True)", "os.system(text)",
        "from pickle import loads\nloads(content)", "import pickle as p\np.Unpickler(file).load()",
        "from torch import load as read\nread(path)", "import numpy\nnumpy.load(path)",
        "from numpy import load\nload(path)",
        "np.lib.format.read_array(file, allow_pickle=True)", "joblib.load(path)", "import dill\ndill.loads(content)",
        "shutil.unpack_archive(path)", "builtins.eval(text)", "import builtins as b\nb.exec(text)",
        "marshal.loads(content)",
        "shelve.open(path)", "os.execv(path, [])", "from os import popen\npopen(text)", "__import__(name)",
        "torch.export.load(path)", "yaml.unsafe_load(text)", "cloudpickle.load(file)", "compile(text, '', 'exec')",
    ],
)  # fmt: skip
def test_the_test_before_can_fail(code: str) -> None:
    assert offences(ast.parse(code))


def test_numpy_files_without_objects_may_be_read() -> None:
    assert not offences(ast.parse("np.load(path, allow_pickle=False)"))
    assert not offences(ast.parse("import re, torch\nre.compile(text)\ntorch.compile(model)\nmodel.eval()"))


def test_only_the_reader_of_cifar_knows_pickle_and_imports_nothing_that_a_file_names() -> None:
    for path in FILES:
        known = {name.split(".")[0] for name in imports(tree_of(path))} & {"pickle", "marshal", "shelve", "joblib"}
        if path != SOURCE / "data" / "cifar10.py":
            assert not known, name_of(path)
            continue
        tree = tree_of(path)
        readers = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.bases]
        assert [ast.unparse(base) for reader in readers for base in reader.bases] == ["pickle.Unpickler"]
        assert [method.name for method in readers[0].body if isinstance(method, ast.FunctionDef)] == ["find_class"]
        assert "super" not in ast.unparse(readers[0])
        assert not {"import_module", "__import__", "getattr"} & {ast.unparse(call.func) for call in calls(readers[0])}


NETWORK = {"socket", "ssl", "urllib", "http", "ftplib", "smtplib", "requests", "httpx", "aiohttp", "urllib3"}


def test_only_the_download_and_the_viewer_reach_for_the_network() -> None:
    for path in FILES:
        known = {name.split(".")[0] for name in imports(tree_of(path)) if not name.startswith("urllib.parse")}
        if str(path.relative_to(SOURCE)) != "data/download.py" and room_of(path) != "viewer":
            assert not known & NETWORK, name_of(path)


def tracked() -> list[Path]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("this is not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_names_a_folder_of_somebodys_machine() -> None:
    homes = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w")
    found = {}
    for path in tracked():
        if path == Path(__file__) or path.stat().st_size > 2_000_000:
            continue
        text = path.read_bytes().decode("utf-8", errors="ignore")
        if "\0" not in text and (match := homes.search(text)):
            found[name_of(path)] = text[max(0, match.start() - 20) : match.end() + 20]
    assert not found


def test_no_tracked_file_is_data_a_run_or_weights() -> None:
    unwanted = {".safetensors", ".pt", ".pth", ".pkl", ".npz", ".onnx", ".tar", ".gz", ".bin", ".tmp"}
    assert not [name_of(path) for path in tracked() if path.suffix in unwanted and "results" not in path.parts]


def test_every_write_of_results_goes_through_atomic() -> None:
    """No file opens another for writing but `runs/atomic.py` and the download, which writes its part files."""
    for path in FILES:
        if str(path.relative_to(SOURCE)) in ("runs/atomic.py", "data/download.py"):
            continue
        for call in calls(tree_of(path)):
            name = ast.unparse(call.func)
            assert not name.endswith((".write_text", ".write_bytes")) or "atomic" in name, f"{name_of(path)}: {name}"
            arguments = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
            modes = [text for text in arguments if isinstance(text, str) and re.fullmatch(r"[wax]b?\+?", text)]
            assert not (name in ("open", "os.open") or name.endswith(".open")) or not modes, f"{name_of(path)}: {name}"
