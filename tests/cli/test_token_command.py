"""``chatcore token``, and what a token's file does in place of the secret's."""

from __future__ import annotations

import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from identities import make_identities
from running import free_ports

from chatcore.cli.main import main
from chatcore.config.run_folder import RunFolder, read_key, read_secret
from chatcore.config.tokens import Token
from chatcore.errors import ConfigError

from .clusters import AdministeredCluster, Ran, chat_files, chatcore

SECRET = "0123456789abcdef0123456789abcdef"
IDS = ("front-1", "chat-1")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return private(tmp_path / "secret", SECRET)


def private(file: Path, text: str) -> Path:
    file.write_text(text)
    file.chmod(0o600)
    return file


def made(secret: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["token", *words, "--secret-file", str(secret)]) == 0
    return capsys.readouterr().out


def test_it_prints_one_that_says_who_may_what(
    secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = made(secret, capsys, "viewer", "--name", "ann@example.org", "--days", "2")
    token = Token.read(text)
    assert (token.id.role, token.id.name) == ("viewer", "ann@example.org")
    assert abs(token.id.end - time.time() - 2 * 24 * 3600) < 100
    assert SECRET not in text
    assert read_key(private(tmp_path / "token", text)) == token
    assert token.id.key(SECRET.encode()) == token.key


def test_into_a_file_of_ones_own(
    secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    assert made(secret, capsys, "admin", "--out", str(file)) == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert isinstance(read_key(file), Token)
    before = secret.read_bytes()
    assert main(["token", "viewer", "--secret-file", str(secret), "--out", str(secret)]) == 2
    assert "stays as it is" in capsys.readouterr().err
    assert secret.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["boss"], "invalid choice: 'boss'"),
        ([], "viewer|admin"),
        (["viewer", "--name", "a:b"], "can't be the name in a token"),
        (["viewer", "--name", ""], None),
        (["viewer", "--days", "0"], "--days 0 is not more than 0"),
        (["viewer", "--days", "99999999"], "up to 3650"),
        (["viewer", "--days", "nan"], "--days nan"),
    ],
)
def test_what_makes_none(
    secret: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str | None
) -> None:
    code = main(["token", *words, "--secret-file", str(secret)])
    said = capsys.readouterr()
    assert (code, said.out == "") == ((0, False) if says is None else (2, True))
    assert says is None or says in said.err


def test_it_takes_the_secret_itself(
    secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = private(tmp_path / "token", made(secret, capsys, "admin"))
    assert main(["token", "viewer", "--secret-file", str(file)]) == 2
    said = capsys.readouterr()
    assert (said.out, "this is a token, and here the cluster's secret is needed" in said.err) == (
        "", True,
    )  # fmt: skip


def test_servers_take_none(
    secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = private(tmp_path / "token", made(secret, capsys, "admin"))
    app = tmp_path / "app"
    app.mkdir()
    for ask in (RunFolder.open(app, None, str(file)).secret, lambda: read_secret(file)):
        with pytest.raises(ConfigError, match="this is a token") as caught:
            ask()
        assert Token.read(file.read_text()).key.hex() not in str(caught.value)


def test_mangled_ones(secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = made(secret, capsys, "viewer", "--name", "ann").strip()
    mangled = [
        text[:-1], text[:-40], text[:18], text.upper(), text.replace("ann", "bob"), text + "0",
        text.replace("viewer", "admin"), text[:60] + "\n" + text[60:], text.partition(":")[2],
    ]  # fmt: skip
    last = "0" if text[-12] != "0" else "1"
    for each in [*mangled, text[:-12] + last + text[-11:]]:
        with pytest.raises(ConfigError, match="this token is mangled") as caught:
            read_key(private(tmp_path / "token", each))
        assert text[-70:-20] not in str(caught.value)


@pytest_twisted.async_yield_fixture
async def cluster(folder: Path) -> AsyncIterator[AdministeredCluster]:
    cluster = AdministeredCluster(
        folder, servers={"front": ["front-1"], "chat": ["chat-1"]}, files=chat_files()
    )
    await cluster.start()
    yield cluster
    await cluster.close()


def token_of(cluster: AdministeredCluster, role: str, seconds: float = 1000) -> str:
    end = int(time.time() + seconds)
    token = Token.make(cluster.run_folder.secret(), role, "ann", end)  # type: ignore[arg-type]
    return str(private(cluster.folder / f"{role}.token", token.text()))


async def ask(cluster: AdministeredCluster, role: str, *words: str, seconds: float = 1000) -> Ran:
    file = token_of(cluster, role, seconds)
    return await chatcore(*words, "--app", str(cluster.folder), "--secret-file", file)


async def test_a_viewer_lists_and_stops_nothing(cluster: AdministeredCluster) -> None:
    listed = await ask(cluster, "viewer", "list")
    assert (listed.code, sorted(listed.records)) == (0, sorted(IDS))
    for verb in ("stop", "drain", "kill", "restart"):
        ran = await ask(cluster, "viewer", verb, "chat-1")
        assert ran.code == 5
        assert f"ann may not {verb} chat-1" in ran.out
    ran = await ask(cluster, "viewer", "add", "chat")
    assert (ran.code, "ann may not add chat" in ran.err) == (5, True)
    assert set(cluster.nodes) == set(IDS)
    assert cluster.killed == []


async def test_an_administrator_with_a_token_stops_servers(cluster: AdministeredCluster) -> None:
    ran = await ask(cluster, "admin", "stop", "chat-1")
    assert (ran.code, list(cluster.nodes)) == (0, ["front-1"])
    assert (await ask(cluster, "admin", "kill", "front-1")).code == 0
    assert cluster.killed == ["front-1"]


async def test_the_variable_names_a_token_too(
    cluster: AdministeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATCORE_SECRET_FILE", token_of(cluster, "viewer"))
    assert (await chatcore("list", "--app", str(cluster.folder))).code == 0
    assert (await chatcore("stop", "--all", "--app", str(cluster.folder))).code == 5


async def test_an_expired_token(cluster: AdministeredCluster) -> None:
    ran = await ask(cluster, "viewer", "list", seconds=-5)
    assert (ran.code, ran.out) == (3, "")
    assert "the viewer token of 'ann' is good no more since " in ran.err
    assert "Have a new one made" in ran.err


async def test_a_token_of_another_cluster(cluster: AdministeredCluster) -> None:
    token = Token.make(SECRET.encode(), "admin", "ann", int(time.time()) + 100)
    file = private(cluster.folder / "strange", token.text())
    ran = await chatcore("list", "--app", str(cluster.folder), "--secret-file", str(file))
    assert (ran.code, ran.out) == (3, "")
    assert "The token is that of another cluster" in ran.err


async def test_a_mangled_one_is_told_as_that(cluster: AdministeredCluster) -> None:
    file = Path(token_of(cluster, "viewer"))
    file.write_text(file.read_text().replace("ann", "eve"))
    ran = await chatcore("list", "--app", str(cluster.folder), "--secret-file", str(file))
    assert (ran.code, "this token is mangled" in ran.err) == (2, True)


class TestOverTls:
    """Certificates say who may come as whom, beside what is proven."""

    @pytest_twisted.async_yield_fixture
    async def encrypted(self, folder: Path) -> AsyncIterator[AdministeredCluster]:
        with free_ports(1) as (port,):
            keys = {"chat-1": {"port": port}}
        cluster = AdministeredCluster(
            folder,
            servers={"front": ["front-1"], "chat": ["chat-1"]},
            keys=keys,
            files=chat_files(),
            settings={"links.tls": "certificates"},
        )
        make_identities(folder / "certificates", "admin", "viewer", *IDS)
        await cluster.start()
        yield cluster
        await cluster.close()

    def only(self, cluster: AdministeredCluster, *names: str) -> list[str]:
        """The option for a folder with the certificates of these alone."""
        folder = cluster.folder / "of-somebody"
        folder.mkdir(mode=0o700)
        for name in ("ca.pem", *(f"{each}.{end}" for each in names for end in ("pem", "key"))):
            file = folder / name
            file.write_bytes((cluster.folder / "certificates" / name).read_bytes())
            file.chmod(0o600)
        return ["--tls", str(folder)]

    @pytest.mark.parametrize("role", ["viewer", "admin"])
    async def test_it_is_found_by_itself(self, encrypted: AdministeredCluster, role: str) -> None:
        assert (await ask(encrypted, role, "list")).code == 0

    @pytest.mark.parametrize("role", ["viewer", "admin"])
    async def test_that_of_the_process_serves_as_well(
        self, encrypted: AdministeredCluster, role: str
    ) -> None:
        for name in ("viewer", "admin"):
            for file in (encrypted.folder / "certificates").glob(f"{name}.*"):
                file.unlink()
        assert (await ask(encrypted, role, "list")).code == 0

    async def test_a_viewer_shows_its_own(self, encrypted: AdministeredCluster) -> None:
        tls = self.only(encrypted, "viewer")
        assert (await ask(encrypted, "viewer", "list", *tls)).code == 0
        assert (await ask(encrypted, "viewer", "stop", "chat-1", *tls)).code == 5

    async def test_a_viewer_on_another_machine(self, encrypted: AdministeredCluster) -> None:
        """It has an address, the token, and the certificate for viewers."""
        tls, file = self.only(encrypted, "viewer"), token_of(encrypted, "viewer")
        port = encrypted.servers.by_id("chat-1").port
        where = ["--at", f"127.0.0.1:{port}", "--secret-file", file, *tls]
        listed = await chatcore("list", *where)
        assert (listed.code, sorted(listed.records)) == (0, sorted(IDS))
        assert (await chatcore("stop", "chat-1", *where)).code == 5
        assert (await chatcore("list", *where[:-2])).code == 3

    async def test_a_viewer_may_show_that_of_administrators(
        self, encrypted: AdministeredCluster
    ) -> None:
        tls = self.only(encrypted, "admin")
        assert (await ask(encrypted, "viewer", "list", *tls)).code == 0
        assert (await ask(encrypted, "viewer", "stop", "chat-1", *tls)).code == 5

    async def test_nobody_administers_with_that_of_viewers(
        self, encrypted: AdministeredCluster
    ) -> None:
        """Not with a token, nor with the secret."""
        tls = self.only(encrypted, "viewer")
        folder = Path(tls[1])
        ran = await ask(encrypted, "admin", "list", *tls)
        assert (ran.code, "there is no such file" in ran.err) == (2, True)
        for end in ("pem", "key"):
            (folder / f"viewer.{end}").rename(folder / f"admin.{end}")
        ran = await ask(encrypted, "admin", "list", *tls)
        assert (ran.code, "not that of admin: it is for viewer" in ran.err) == (2, True)

    @pytest.mark.parametrize("role", ["admin", "secret"])
    async def test_even_if_it_tries(self, encrypted: AdministeredCluster, role: str) -> None:
        from twisted.internet import reactor
        from twisted.internet.endpoints import UNIXClientEndpoint

        from chatcore.admin.visit import visit
        from chatcore.errors import AdminError
        from chatcore.links.tls import LinkTls

        secret = encrypted.run_folder.secret()
        token = Token.make(secret, "admin", "eve", int(time.time()) + 100)
        id, key = (str(token.id), token.key) if role == "admin" else ("admin", secret)
        path = encrypted.run_folder.admin_socket("chat-1")
        with pytest.raises(AdminError, match="its certificate is not that of"):
            await visit(
                UNIXClientEndpoint(reactor, str(path)),
                id=id,
                secret=key,
                clock=reactor,  # type: ignore[arg-type]
                seconds=10,
                to="chat-1",
                tls=LinkTls(encrypted.folder / "certificates", "viewer", clock=reactor),  # type: ignore[arg-type]
            )
