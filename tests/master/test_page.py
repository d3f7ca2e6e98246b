"""The page's server: what it serves, and with which headers."""

from __future__ import annotations

import json
import socket
from importlib import resources
from urllib.parse import unquote_to_bytes

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.web.server import NOT_DONE_YET
from twisted.web.test.requesthelper import DummyRequest

from chatcore.config.servers import load_servers
from chatcore.errors import ConfigError
from chatcore.master import page

GATE = {"id": "gate-1", "host": "127.0.0.1", "clientPort": 3014, "frontend": True}


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "app"
    (folder / "servers").mkdir(parents=True)
    (folder / "web" / "parts").mkdir(parents=True)
    (folder / "web" / "index.html").write_text("<!doctype html><title>here</title>")
    (folder / "web" / "page.js").write_text("export const here = 1;\n")
    (folder / "web" / "parts" / "one.css").write_text("body {}")
    (folder / "web" / ".hidden").write_text("secret")
    (folder / "outside.txt").write_text("secret")
    write(folder, {"gate": [GATE]})
    return folder


def write(app, servers) -> None:
    (app / "servers.json").write_text(json.dumps({"development": servers}))


@pytest.fixture
def get(app):
    """Ask for a path as a browser would; status, headers in lower case, and body come back."""

    def ask(path: str) -> tuple[int, dict[str, str], bytes]:
        site = page.make_site(app, load_servers(app, "development"))
        request = DummyRequest([unquote_to_bytes(part) for part in path[1:].split("/")])
        request.site, request.prepath = site, []
        resource = site.getResourceFor(request)
        body = resource.render(request)
        if body != NOT_DONE_YET:
            request.write(body)
            request.finish()
        headers = {
            name.decode().lower(): b", ".join(values).decode().lower()
            for name, values in request.responseHeaders.getAllRawHeaders()
        }
        return request.responseCode or 200, headers, b"".join(request.written)

    return ask


@pytest.mark.parametrize(
    ("path", "kind", "start"),
    [
        ("/", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/index.html", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/page.js", "text/javascript; charset=utf-8", b"export"),
        ("/parts/one.css", "text/css; charset=utf-8", b"body"),
    ],
)
def test_the_files_of_the_folder_web_are_served(get, path, kind, start):
    status, headers, body = get(path)

    assert (status, headers["content-type"]) == (200, kind)
    assert body.startswith(start)


def test_the_client_comes_from_the_installed_package(get, monkeypatch, tmp_path):
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "chatcore.js").write_text("export function init() {}\n")
    monkeypatch.setattr(page.resources, "files", lambda package: tmp_path)

    status, headers, body = get("/chatcore.js")

    assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert body == b"export function init() {}\n"


def test_the_installed_package_is_where_the_client_is_looked_for():
    assert (resources.files("chatcore") / "py.typed").is_file()


@pytest.mark.parametrize("path", ["/", "/gate.json", "/chatcore.js", "/missing", "/parts/"])
def test_every_answer_has_the_headers(get, path):
    _, headers, _ = get(path)

    assert headers["cache-control"] == "no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == (
        "default-src 'self'; connect-src 'self' ws: wss: http: https:"
    )
    assert headers["server"] == "chatcore"


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/parts/",
        "/.hidden",
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/chatcore.js/more",
        "/gate.json/more",
    ],
)
def test_nothing_else_is_served(get, path):
    status, _, body = get(path)

    assert status == 404
    assert b"secret" not in body
    assert b"one.css" not in body


class TestGate:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::", "::1", None])
    def test_a_host_that_says_nothing_to_a_browser_is_left_out(self, app, get, host):
        write(app, {"gate": [GATE if host is None else {**GATE, "clientHost": host}]})

        status, headers, body = get("/gate.json")

        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(body) == {"host": None, "port": 3014}

    def test_a_host_that_means_one_place_is_told(self, app, get):
        write(app, {"gate": [{**GATE, "clientHost": "chat.example.org"}]})

        assert json.loads(get("/gate.json")[2]) == {"host": "chat.example.org", "port": 3014}

    def test_the_first_gate_counts(self, app, get):
        other = {**GATE, "id": "gate-2", "clientPort": 3015}
        write(app, {"chat": [{"id": "chat-1", "port": 6050}], "gate": [other, GATE]})

        assert json.loads(get("/gate.json")[2])["port"] == 3015

    def test_a_gate_without_client_port_takes_clients_on_its_port(self, app, get):
        write(app, {"gate": [{"id": "gate-1", "port": 3014, "frontend": True}]})

        assert json.loads(get("/gate.json")[2])["port"] == 3014

    def test_without_a_gate_there_is_nothing_to_tell(self, app, get):
        write(app, {"chat": [{"id": "chat-1", "port": 6050}]})

        assert get("/gate.json")[0] == 404


def options_of(*words: str) -> page.Options:
    options = page.Options()
    options.parseOptions(list(words))
    return options


def test_the_options_have_sensible_defaults():
    assert dict(options_of()) == {
        "app": ".",
        "env": "development",
        "listen": "tcp:3001:interface=127.0.0.1",
        "run-dir": None,
        "supervised": 0,
    }


@pytest.fixture
def site(app):
    return page.make_site(app, load_servers(app, "development"))


def test_it_listens_where_it_is_told(site):
    reactor = MemoryReactorClock()

    page.listen(reactor, "tcp:8080:interface=192.0.2.7", site)

    [(port, factory, _, interface)] = reactor.tcpServers
    assert (port, factory, interface) == (8080, site, "192.0.2.7")


@pytest.mark.parametrize("words", ["nonsense:1", "tcp", "tcp:http:what=ever", ""])
def test_what_is_not_an_endpoint_is_told(site, words):
    with pytest.raises(ConfigError, match="is not an endpoint"):
        page.listen(MemoryReactorClock(), words, site)


def test_a_port_in_use_ends_it_with_a_message_and_exit_code_two(app, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        options = options_of("--app", str(app), "--listen", f"tcp:{port}:interface=127.0.0.1")

        with pytest.raises(SystemExit) as caught:
            page.makeService(options)

    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        f"the page can't be served on port {port} of 127.0.0.1: Address already in use. "
        "Stop what listens there, or take another port with --listen\n"
    )


def test_an_application_without_a_page_ends_it_with_a_message_and_exit_code_two(tmp_path, capsys):
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers.json").write_text(json.dumps({"development": {"gate": [GATE]}}))

    with pytest.raises(SystemExit) as caught:
        page.makeService(options_of("--app", str(tmp_path)))

    assert caught.value.code == 2
    assert "has no page" in capsys.readouterr().err
