"""A client of yaml-language-server, which speaks the Language Server Protocol on its streams."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imports import ROOT

# seconds; the server reads a large schema before its first answer, on a machine that may be busy
PATIENCE = 120


def command() -> str | None:
    """The path of the server: of the environment, or where .ci/run installs it."""
    installed = ROOT / "node_modules" / ".bin" / "yaml-language-server"
    named = os.environ.get("YAML_LANGUAGE_SERVER", str(installed))
    return shutil.which(named) or shutil.which("yaml-language-server")


class LanguageServer:
    """A running server; lines and columns count from 0."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._count = 0
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, method: str, **params: Any) -> Any:
        """The answer to a request."""
        self._count += 1
        self._send({"id": self._count, "method": method, "params": params})
        for message in self._incoming():
            if message.get("id") == self._count and "method" not in message:
                assert "error" not in message, message
                return message["result"]
        raise AssertionError("no answer")

    def tell(self, method: str, **params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def open(self, path: Path, text: str) -> list[dict[str, Any]]:
        """Open a file in the editor. Returns its diagnostics, in the order of their lines."""
        uri = path.as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", textDocument=document)
        for message in self._incoming():
            about = message.get("params", {})
            if message.get("method", "").endswith("publishDiagnostics") and about["uri"] == uri:
                return sorted(about["diagnostics"], key=lambda item: item["range"]["start"]["line"])
        raise AssertionError("no diagnostics")

    def at(self, request: str, path: Path, line: int, column: int) -> Any:
        """The answer to a request about a place: hover, completion."""
        place = {"line": line, "character": column}
        uri = {"uri": path.as_uri()}
        return self.ask(f"textDocument/{request}", textDocument=uri, position=place)

    def _incoming(self) -> Iterator[dict[str, Any]]:
        """Messages as they come; questions of the server are answered by nothing."""
        while True:
            message = self._messages.get(timeout=PATIENCE)
            if "id" in message and "method" in message:
                items = message["params"].get("items", []) if message.get("params") else []
                self._send({"id": message["id"], "result": [None for _ in items] or None})
            else:
                yield message

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream
        while header := stream.readline():
            length = int(header.removeprefix(b"Content-Length: "))
            while stream.readline().strip():
                pass
            self._messages.put(json.loads(stream.read(length)))


@contextmanager
def running(program: str, folder: Path) -> Generator[LanguageServer]:
    """A server for the files of a folder."""
    process = subprocess.Popen(
        [program, "--stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    server = LanguageServer(process)
    try:
        hover = {"contentFormat": ["markdown", "plaintext"]}
        completion = {"completionItem": {"snippetSupport": True}}
        capabilities = {"textDocument": {"hover": hover, "completion": completion}}
        server.ask(
            "initialize", processId=os.getpid(), rootUri=folder.as_uri(), capabilities=capabilities
        )
        server.tell("initialized")
        yield server
    finally:
        process.kill()
        process.communicate()
