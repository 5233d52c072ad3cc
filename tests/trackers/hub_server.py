"""As much of the Hugging Face hub as an upload of small files needs, on loopback, with everything it was sent."""

from __future__ import annotations

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HubServer(ThreadingHTTPServer):
    """Remembers requests, repositories and files.

    Attributes:
        requests: method and path of each.
        repositories: whether each one is private.
        files: what was committed, by path.
        tokens: what the client said it was.
    """

    def __init__(self, repositories: dict[str, bool] | None = None) -> None:
        self.requests: list[str] = []
        self.repositories = dict(repositories or {})
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.messages: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: HubServer

    def do_GET(self) -> None:
        self._note()
        name = self.path.removeprefix("/api/models/").partition("?")[0].removesuffix("/revision/main")
        if name not in self.server.repositories:
            self._send({"error": "Repository not found"}, 404, ("X-Error-Code", "RepoNotFound"))
        else:
            private = self.server.repositories[name]
            self._send({"id": name, "private": private, "sha": "0" * 40, "siblings": [], "tags": []})

    def do_POST(self) -> None:
        self._note()
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            asked = json.loads(content)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            private = asked.get("private", asked.get("visibility") == "private")
            self.server.repositories[name] = private
            self._send({"url": f"{self.server.url}/{name}", "name": name})
        elif self.path == "/api/validate-yaml":  # asked before a README.md is sent
            self._send({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for file in json.loads(content)["files"]
            ]
            self._send({"files": files})
        elif "/commit/" in self.path:
            self._commit(content)
        else:
            self._send({"error": f"no {self.path} here"}, 404)

    def _commit(self, content: bytes) -> None:
        for line in content.splitlines():
            entry: dict[str, Any] = json.loads(line)
            if entry["key"] == "header":
                self.server.messages.append(entry["value"]["summary"])
            if entry["key"] == "file":
                self.server.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        self._send({"commitUrl": f"{self.server.url}/ada/eye/commit/1", "commitOid": "1" * 40, "success": True})

    def _note(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.tokens.add(self.headers.get("Authorization", ""))

    def _send(self, content: Any, status: int = 200, *headers: tuple[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
