"""Files for a browser, from a server of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from threading import Thread

KINDS = {".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript"}


@contextmanager
def serving(files: Mapping[str, str]) -> Iterator[str]:
    """Serve files, by path; the address comes back to which a path is added."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(files))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(files: Mapping[str, str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = files.get(self.path)
            if text is None:
                self.send_error(404)
                return
            data = text.encode()
            self.send_response(200)
            kind = KINDS[PurePosixPath(self.path).suffix]
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
