"""`snellen view RUN…`: the report's page on this machine, with a place to try your own pictures."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec

from snellen.cli.options import OfPage
from snellen.errors import InvalidSetting, MissingExtra

_FIRST_PORT, _LAST_PORT = 1024, 65_535


@dataclass(frozen=True, kw_only=True)
class Args(OfPage):
    """What `snellen view` takes."""

    port: int = 0
    """Where to listen on 127.0.0.1; 0 takes a free port."""
    no_browser: bool = False
    """Only print the address."""


def run(args: Args) -> int:
    """Serve until Ctrl-C or SIGTERM; returns the exit code."""
    if args.port != 0 and not _FIRST_PORT <= args.port <= _LAST_PORT:
        raise InvalidSetting(f"--port {args.port} is not possible: {_FIRST_PORT} to {_LAST_PORT}, or 0 for a free one.")
    if not all(find_spec(name) for name in ("starlette", "uvicorn")):
        raise MissingExtra("The viewer needs Starlette and uvicorn: pip install 'snellen[view]'")
    import webbrowser

    from snellen.runs.run import open_run
    from snellen.viewer.auth import Tokens
    from snellen.viewer.server import address, build_app, listen, port_of, prepare, server

    options = args.page_options("view")
    runs = [open_run(path) for path in args.runs]
    with listen(args.port) as door:  # before a minute of work: a port that is taken should be known now
        port, tokens = port_of(door), Tokens()
        page, loaded = prepare(runs, options)
        url = address(port, tokens)
        print(json.dumps({"url": url, "port": port}) if args.json else f"view     {url}\nstop     Ctrl-C", flush=True)
        if not args.no_browser and _on_a_desktop():
            webbrowser.open(url)
        server(build_app(page, loaded, port=port, tokens=tokens)).run(sockets=[door])
    return 0


def _on_a_desktop() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
