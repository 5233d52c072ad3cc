"""A proxy that hears what wants to leave this machine."""

from __future__ import annotations

import socketserver


class Ear(socketserver.ThreadingTCPServer):
    """A proxy on loopback that refuses everything and remembers who was to be reached."""

    daemon_threads = True

    def __init__(self) -> None:
        self.heard: list[str] = []
        super().__init__(("127.0.0.1", 0), _Refuse)

    @property
    def environment(self) -> dict[str, str]:
        """What sends every HTTP client of a process here, those written in Go too."""
        url = f"http://127.0.0.1:{self.server_address[1]}"
        return {name: url for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")} | {"NO_PROXY": ""}


class _Refuse(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline(1_000).decode("latin-1").strip()
        assert isinstance(self.server, Ear)
        self.server.heard.append(line)
        self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
