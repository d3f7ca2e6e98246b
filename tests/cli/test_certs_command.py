"""``chatcore certs``: a set of certificates that works, completed and renewed."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from identities import NOW, make_identities
from twisted.internet.task import Clock

from chatcore.cli.main import main
from chatcore.links.tls import LinkTls

SERVERS: dict[str, list[dict[str, Any]]] = {
    "gate": [{"id": "gate-1", "host": "192.0.2.1", "clientPort": 3010, "port": 4010}],
    "chat": [
        {"id": "chat-1", "host": "192.0.2.1", "port": 4020},
        {"id": "chat-2", "host": "192.0.2.2", "port": 4020},
    ],
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    write(folder, SERVERS)
    return folder


def write(app: Path, servers: dict[str, list[dict[str, Any]]]) -> None:
    (app / "servers.json").write_text(json.dumps({"development": servers}))


def certs(tls: Path, app: Path, *more: str) -> int:
    return main(["certs", str(tls), "--app", str(app), *more])


def serial(tls: Path, id: str) -> int:
    return x509.load_pem_x509_certificate((tls / f"{id}.pem").read_bytes()).serial_number


def use(tls: Path, id: str) -> LinkTls:
    clock: Any = Clock()
    return LinkTls(tls, id, clock=clock)


def test_every_server_gets_a_certificate_that_it_can_use(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tls = tmp_path / "new" / "tls"
    assert certs(tls, app) == 0
    for id in ("gate-1", "chat-1", "chat-2", "master", "admin", "admin-alice", "viewer"):
        use(tls, id)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tls.iterdir()}
    assert stat.S_IMODE(tls.stat().st_mode) == 0o700
    assert {mode for name, mode in modes.items() if name.endswith(".key")} == {0o600}
    assert len(modes) == 2 * 7
    records = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [record[0] for record in records] == [
        "ca", "master", "admin", "viewer", "gate-1", "chat-1", "chat-2",
    ]  # fmt: skip
    assert {record[1] for record in records} == {"made"}
    assert records[-1][3:] == ["192.0.2.2", "chat-2.pem,chat-2.key"]


def test_people_are_told_what_to_copy_where(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert certs(tmp_path / "tls", app) == 0
    lines = terminal.getvalue().splitlines()
    assert "192.0.2.1: ca.pem gate-1.pem gate-1.key chat-1.pem chat-1.key" in lines
    assert "192.0.2.2: ca.pem chat-2.pem chat-2.key" in lines
    assert "where the master runs: ca.pem master.pem master.key" in lines
    assert "Copy ca.key nowhere: whoever has it can be any node." in lines


class Terminal(io.StringIO):
    """A terminal, as far as that can be told."""

    def isatty(self) -> bool:
        return True


def test_what_is_missing_is_added_and_the_rest_stays(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tls = tmp_path / "tls"
    certs(tls, app)
    (tls / "chat-2.key").unlink()  # copied to where it belongs, and removed here
    before = {file.name: file.read_bytes() for file in tls.iterdir()}
    write(app, {**SERVERS, "chat": [*SERVERS["chat"], {"id": "Chat_3"}]})
    capsys.readouterr()
    assert certs(tls, app, "elsewhere-1", "--json") == 0
    told = {one["id"]: one for one in json.loads(capsys.readouterr().out)["certificates"]}
    assert {id for id, one in told.items() if one["state"] == "made"} == {"Chat_3", "elsewhere-1"}
    assert told["Chat_3"]["host"] == "127.0.0.1"
    for name, data in before.items():
        assert (tls / name).read_bytes() == data
    use(tls, "Chat_3")
    use(tls, "elsewhere-1")


def test_certificates_are_renewed_before_they_end(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tls = make_identities(tmp_path / "tls", "chat-1", "chat-2", days=20)
    old = {id: serial(tls, id) for id in ("chat-1", "chat-2", "ca")}
    assert certs(tls, app) == 0
    assert "make it anew with: chatcore certs" in capsys.readouterr().err
    assert {id: serial(tls, id) for id in old} == old
    assert certs(tls, app, "chat-1", "--renew") == 0
    assert serial(tls, "chat-1") != old["chat-1"]
    assert serial(tls, "chat-2") == old["chat-2"]
    fresh = serial(tls, "chat-1")
    assert certs(tls, app, "--renew", "--days", "90") == 0
    assert serial(tls, "chat-1") == fresh
    assert serial(tls, "chat-2") != old["chat-2"]
    assert serial(tls, "ca") == old["ca"]
    renewed = x509.load_pem_x509_certificate((tls / "chat-2.pem").read_bytes())
    assert (renewed.not_valid_after_utc - NOW).days in (89, 90)
    use(tls, "chat-2")


def test_a_name_that_nobody_has_is_not_renewed(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tls = make_identities(tmp_path / "tls", "chat-1", "chat-2", "far-1")
    before = {file.name for file in tls.iterdir()}
    assert certs(tls, app, "--renew", "chat-22") == 2
    said = capsys.readouterr().err
    assert "no certificate of 'chat-22' to be renewed. Did you mean 'chat-2'?" in said
    assert {file.name for file in tls.iterdir()} == before
    far = serial(tls, "far-1")
    assert certs(tls, app, "--renew", "far-1") == 0
    assert serial(tls, "far-1") != far


def test_ids_alone_need_no_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["certs", "tls", "chat-9"]) == 0
    use(tmp_path / "tls", "chat-9")
    assert main(["certs", "tls"]) == 2


@pytest.mark.parametrize(
    ("spoil", "arguments", "why"),
    [
        (lambda tls: (tls / "ca.key").unlink(), ["new-1"], "the authority's key is not here"),
        (lambda tls: (tls / "ca.pem").unlink(), [], "is of another authority than ca.pem"),
        (lambda tls: (tls / "ca.key").chmod(0o644), [], "can be read or written by others"),
        (lambda tls: None, ["--days", "0"], "--days 0 is not from 1"),
        (lambda tls: None, ["*.example.org"], "can't be a server id"),
        (lambda tls: None, ["CA"], "ca.pem is the authority's"),
    ],
)
def test_what_can_not_be_is_refused(
    app: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Any,
    arguments: list[str],
    why: str,
) -> None:
    tls = tmp_path / "tls"
    certs(tls, app)
    (tls / "ca.key").chmod(0o600)
    spoil(tls)
    if why.startswith("is of another"):
        (tls / "ca.key").unlink()
    assert certs(tls, app, *arguments) == 2
    assert why in capsys.readouterr().err


def test_a_folder_for_everybody_is_not_used(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(0o755)
    (shared / "things").touch()
    assert certs(shared, app) == 2
    assert "open to others" in capsys.readouterr().err
    assert [file.name for file in shared.iterdir()] == ["things"]
