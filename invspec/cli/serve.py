"""A web server for the pages of a store, for this machine alone."""

from __future__ import annotations

import html
import mimetypes
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from invspec.cli.studies import Study
from invspec.errors import InvspecError, SpecError
from invspec.report.pages import render

HOST = "127.0.0.1"
# a browser asks for a name; others than these come from another site
NAMES = (HOST, "localhost")
PAGES = Path(render.__file__).parent


def server(studies: Sequence[Study], port: int) -> ThreadingHTTPServer:
    """A server of some studies on a port of this machine; port 0 takes a free one.

    Raises: SpecError if the port is taken.
    """
    named = {study.plan.spec.name: study for study in studies}
    try:
        return ThreadingHTTPServer((HOST, port), partial(Handler, named))
    except OSError as problem:
        hint = "--port 0 takes a free one"
        message = f"cannot listen on port {port}: {problem.strerror}"
        raise SpecError(message, where="--port", hint=hint) from None


def until_interrupted(listening: ThreadingHTTPServer) -> None:
    """Serve until Ctrl-C."""
    try:
        listening.serve_forever()
    except KeyboardInterrupt:
        return


class Handler(BaseHTTPRequestHandler):
    """Answers for the index, and for each study its page, its figures and its state."""

    def __init__(self, studies: dict[str, Study], *arguments: object) -> None:
        self.studies = studies
        super().__init__(*arguments)  # pyright: ignore[reportArgumentType]

    def do_GET(self) -> None:
        """Answer one request; http.server calls it by this name."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in NAMES:
            return self._say(HTTPStatus.FORBIDDEN, "this server answers to 127.0.0.1 only")
        path = unquote(urlsplit(self.path).path)
        name, _, file = path.removeprefix("/").partition("/")
        if not name:
            return self._send(_index(self.studies).encode(), "text/html; charset=utf-8")
        study = self.studies.get(name)
        if study is None:
            return self._say(HTTPStatus.NOT_FOUND, f"no page {name}")
        if path == f"/{name}":
            return self._redirect(f"/{quote(name)}/")
        try:
            return self._answer(study, file)
        except InvspecError as problem:
            return self._say(HTTPStatus.INTERNAL_SERVER_ERROR, str(problem))

    def _answer(self, study: Study, name: str) -> None:
        if name == "state":
            return self._send(study.state.encode(), "text/plain; charset=utf-8")
        page = study.page()
        if name == "":
            text = page.read_text(encoding="utf-8")
            script = (PAGES / "follow.js").read_text(encoding="utf-8")
            followed = text.replace("</body>", f"<script>\n{script}</script>\n</body>")
            return self._send(followed.encode(), "text/html; charset=utf-8")
        file = (page.parent / name).resolve()
        if not file.is_relative_to(page.parent.resolve()) or not file.is_file():
            return self._say(HTTPStatus.NOT_FOUND, f"no file {name}")
        return self._send(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain")

    def _send(self, content: bytes, type: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def _say(self, status: HTTPStatus, words: str) -> None:
        self._send(f"{words}\n".encode(), "text/plain; charset=utf-8", status)

    def _redirect(self, place: str) -> None:
        self.send_response(HTTPStatus.MOVED_PERMANENTLY)
        self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: a page asks every few seconds."""


def _index(studies: dict[str, Study]) -> str:
    """The page that lists all studies with what the store has of them."""
    style = (PAGES / "page.css").read_text(encoding="utf-8")
    items = "".join(_item(name, study) for name, study in studies.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>invspec</title><style>{style}</style></head><body><main>"
        f'<h1>Studies of this store</h1><ul class="claims">{items}</ul></main></body></html>'
    )


def _item(name: str, study: Study) -> str:
    try:
        plan = study.plan
        title, about = plan.spec.title, study.state
        settings = " ".join(["", *plan.spec.options])
    except InvspecError as problem:
        title, about, settings = name, str(problem), ""
    return (
        f'<li><span class="faint">{html.escape(about)}</span>'
        f'<a href="{quote(name)}/">{html.escape(title)}</a>'
        f'<span class="faint">{html.escape(name + settings)}</span></li>'
    )
