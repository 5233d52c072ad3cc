"""What the site has beyond the Markdown in `docs`: pages made from the source, and links that lead out of `docs`.

The same pages are read on a Git host, so their links go to files of the repository. Here README, CHANGELOG and the like
become pages, and every other file that is linked is copied beside them; a link to nothing fails the strict build.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from urllib.parse import unquote

import reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from snellen.cli.main import VERBS

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "results/README.md": "results.md",
    "results/LOG.md": "diary.md",
}
"""Of the repository, outside `docs`, and where they stand in the site."""
COPIED = "repository"
SHOWN_AS_TEXT = (".py", ".toml", ".ipynb", ".jsonl", ".csv")
"""Which a browser would save instead of showing."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s]+)(?=\))")
NOT_RUN = re.compile(r"<!-- not run(?: \(([^)]*)\))?: ([^>]*?) -->")
NAMED = re.compile(
    r"(?<!\[)`(?:(?P<part>augment|schedule|finetune|data_pruning|average)\.\w+|snellen (?P<verb>\w+)(?: [^`]*)?)`"
)
RARELY_SOUGHT = ("CHANGELOG.md", "results/LOG.md")
"""They hold every word once and would stand first in the results of a search."""
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
log = logging.getLogger("mkdocs.hooks.site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, those outside `docs`, and the files that any page links to."""
    for source, content in reference.pages().items():
        files.append(File.generated(config, source, content="---\nsearch:\n  boost: 2\n---\n" + content))
    for source, there in PAGES.items():
        aside = "---\nsearch:\n  exclude: true\n---\n" if source in RARELY_SOUGHT else ""
        files.append(File.generated(config, there, content=aside + (ROOT / source).read_text(encoding="utf-8")))
    for page in list(files.documentation_pages()):
        for target in _targets(_origin(page.src_uri), page.content_string):
            if target.is_dir() and _listing(target) not in files.src_uris:
                files.append(File.generated(config, _listing(target), content=_list_of(target)))
            for path in sorted(target.iterdir()) if target.is_dir() else [target]:
                if path.is_file() and _in_site(path).startswith(COPIED) and _in_site(path) not in files.src_uris:
                    files.append(File.generated(config, _in_site(path), content=path.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as they are in the site, and what no test runs said in words."""
    origin, here = _origin(page.file.src_uri), Path(page.file.src_uri).parent

    def moved(link: re.Match[str]) -> str:
        path, hash_mark, anchor = link[1].partition("#")
        target = _target(origin, path)
        if target is None:
            log.warning("%s links to %s, which is not there", origin, link[1])
            return link[1]
        return os.path.relpath(_in_site(target), here) + hash_mark + anchor

    def named(code: re.Match[str]) -> str:
        """A field or a verb in a sentence, linked to the reference, which the pages themselves cannot link to."""
        place = f"{reference.FIELDS}#{code['part']}" if code["part"] else f"{reference.COMMANDS}#{code['verb']}"
        known = code["part"] or code["verb"] in VERBS
        return f"[{code[0]}]({os.path.relpath(place, here)})" if known else code[0]

    def prose(text: str) -> str:
        text = LINK.sub(moved, text)
        if page.file.src_uri in reference.NAMES:
            return text
        return re.sub(r"^(?!#| {4}).*$", lambda line: NAMED.sub(named, line[0]), text, flags=re.MULTILINE)

    markdown = NOT_RUN.sub(_not_run, markdown)
    pieces, last = [], 0
    for fence in FENCE.finditer(markdown):  # what stands in a block of code is no link
        pieces += [prose(markdown[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join(pieces) + prose(markdown[last:])


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """The theme writes this one address as if every page lay at the top."""
    return output.replace('src="site/iframe', f'src="{get_relative_url("site/iframe", page.url)}')


def _not_run(mark: re.Match[str]) -> str:
    """What a mark says to tests, as a sentence to readers; its line ends, or the code below it would be part of it."""
    lines = f" are lines with {mark[1].replace('|', ', ')}" if mark[1] else ""
    return f"*Not run by the tests{lines}: {mark[2]}.*{{ .not-run }}\n"


def _origin(page: str) -> str:
    """Where a page of the site lies in the repository."""
    outside = {there: source for source, there in PAGES.items()}
    return outside.get(page, f"docs/{page}")


def _targets(origin: str, markdown: str) -> list[Path]:
    links = (_target(origin, link.partition("#")[0]) for link in LINK.findall(FENCE.sub("", markdown)))
    return [target for target in links if target is not None]


def _target(origin: str, link: str) -> Path | None:
    """The file or folder of the repository that a link leads to, or where a generated page would lie."""
    path = Path(os.path.normpath(ROOT / Path(origin).parent / unquote(link)))
    generated = path.is_relative_to(ROOT / "docs") and str(path.relative_to(ROOT / "docs")) in reference.NAMES
    return path if path.exists() or generated or f"{COPIED}/" in link else None


def _in_site(path: Path) -> str:
    """Where a file or folder of the repository stands in the site."""
    name = path.relative_to(ROOT).as_posix()
    if name in PAGES:
        return PAGES[name]
    if path.is_dir():
        return _listing(path)
    if path.is_relative_to(ROOT / "docs"):
        return name.removeprefix("docs/")
    return f"{COPIED}/{name}" + (".txt" if path.suffix in SHOWN_AS_TEXT else "")


def _listing(folder: Path) -> str:
    return f"{COPIED}/{folder.relative_to(ROOT).as_posix()}/index.md"


def _list_of(folder: Path) -> str:
    """A page that names the files of a folder, each linked."""
    shown = [path for path in sorted(folder.iterdir()) if path.is_file()]
    away = "../" * (len(folder.relative_to(ROOT).parts) + 1)
    links = [f"- [{path.name}]({away}../{path.relative_to(ROOT).as_posix()})" for path in shown]
    return f"# {folder.relative_to(ROOT).as_posix()}\n\n" + "\n".join(links) + "\n"
