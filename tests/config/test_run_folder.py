"""The run folder: privacy, the secret, sockets and claims, with real files and processes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatcore.config import run_folder as module
from chatcore.config.run_folder import RunFolder
from chatcore.errors import ConfigError

NOBODY = 65534


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHATCORE_RUN_DIR", raising=False)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.open(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def not_writable(folder: Path) -> Iterator[None]:
    """Take the right to write in ``folder`` away; from root, by being somebody else."""
    folder.chmod(0o500)
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def be_somebody_else(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """After a call, this process takes itself for another user's."""
    another = os.geteuid() + 1
    return lambda: monkeypatch.setattr(os, "geteuid", lambda: another)


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


class TestTheFolder:
    def test_stands_in_the_application_folder(self, tmp_path: Path) -> None:
        run = RunFolder.open(tmp_path)
        assert run.path == tmp_path / ".chatcore"
        assert mode(run.path) == 0o700
        assert (run.path / ".gitignore").read_text() == "*\n"

    def test_the_variable_moves_it_and_the_option_wins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CHATCORE_RUN_DIR", str(tmp_path / "variable"))
        assert RunFolder.open(tmp_path).path == tmp_path / "variable"
        assert RunFolder.open(tmp_path, str(tmp_path / "x" / "y")).path == tmp_path / "x" / "y"

    def test_an_empty_variable_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CHATCORE_RUN_DIR", "")
        assert RunFolder.open(tmp_path).path == tmp_path / ".chatcore"

    def test_a_relative_path_is_from_the_current_folder_and_stays_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        run = RunFolder.open(tmp_path / "app", "here")
        monkeypatch.chdir("/")
        assert run.path == tmp_path / "here"

    def test_opening_again_changes_nothing(self, run: RunFolder, tmp_path: Path) -> None:
        (run.path / ".gitignore").write_text("mine\n")
        RunFolder.open(tmp_path)
        assert (run.path / ".gitignore").read_text() == "mine\n"

    def test_a_strange_umask(self, tmp_path: Path) -> None:
        before = os.umask(0o777)
        try:
            run = RunFolder.open(tmp_path)
            assert mode(run.path) == 0o700
        finally:
            os.umask(before)

    @pytest.mark.parametrize("loose", [0o755, 0o777, 0o710])
    def test_an_empty_loose_folder_is_closed(self, tmp_path: Path, loose: int) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run").chmod(loose)
        assert mode(RunFolder.open(tmp_path, str(tmp_path / "run")).path) == 0o700

    def test_a_loose_run_folder_is_closed(self, run: RunFolder, tmp_path: Path) -> None:
        run.secret()
        run.path.chmod(0o755)
        RunFolder.open(tmp_path)
        assert mode(run.path) == 0o700

    def test_a_loose_folder_of_other_things_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "home").mkdir(0o755)
        (tmp_path / "home" / "letter").write_text("")
        with pytest.raises(ConfigError, match="holds other things"):
            RunFolder.open(tmp_path, str(tmp_path / "home"))
        assert mode(tmp_path / "home") == 0o755

    def test_finding_it_creates_nothing(self, run: RunFolder, tmp_path: Path) -> None:
        assert RunFolder.find(tmp_path / "elsewhere") is None
        assert not (tmp_path / "elsewhere").exists()
        found = RunFolder.find(tmp_path)
        assert found is not None and found.path == run.path
        assert not found.has_secret
        found.secret()
        assert found.has_secret

    def test_a_file_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / ".chatcore").write_text("")
        with pytest.raises(ConfigError, match="is not a folder") as caught:
            RunFolder.open(tmp_path)
        assert "--run-dir or CHATCORE_RUN_DIR" in str(caught.value)

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="--run-dir or CHATCORE_RUN_DIR"):
            RunFolder.open(tmp_path, str(tmp_path / "file" / "run"))

    def test_a_place_that_can_not_be_written(self, tmp_path: Path) -> None:
        with not_writable(tmp_path), pytest.raises(ConfigError) as caught:
            RunFolder.open(tmp_path)
        assert "Permission denied" in str(caught.value)
        assert "--run-dir or CHATCORE_RUN_DIR" in str(caught.value)

    def test_somebody_elses_folder(
        self, run: RunFolder, tmp_path: Path, be_somebody_else: Callable[[], None]
    ) -> None:
        be_somebody_else()
        with pytest.raises(ConfigError, match="belongs to somebody else"):
            RunFolder.open(tmp_path)

    def test_the_names_of_files(self, run: RunFolder) -> None:
        assert run.pid_file("chat-1") == run.path / "chat-1.pid"
        assert run.log_file("chat-1") == run.path / "chat-1.log"

    @pytest.mark.parametrize("id", ["", "../x", "a/b", ".x", "a\0"])
    def test_ids_that_are_no_names(self, run: RunFolder, id: str) -> None:
        for ask in (run.pid_file, run.log_file, run.socket, run.claim, run.holder, run.tidy):
            with pytest.raises(ConfigError, match="can't be a server id"):
                ask(id)


class TestTheSecret:
    def test_is_made_once(self, run: RunFolder, tmp_path: Path) -> None:
        secret = run.secret()
        assert len(bytes.fromhex(secret.decode())) == 32
        assert mode(run.path / "secret") == 0o600
        assert run.made_secret and not RunFolder.open(tmp_path).made_secret
        assert run.secret() == secret == RunFolder.open(tmp_path).secret()

    def test_differs_between_run_folders(self, tmp_path: Path) -> None:
        one, other = (RunFolder.open(tmp_path, str(tmp_path / name)) for name in ("a", "b"))
        assert one.secret() != other.secret()

    def test_nothing_else_is_left(self, run: RunFolder) -> None:
        run.secret()
        assert sorted(os.listdir(run.path)) == [".gitignore", "secret"]

    def test_one_that_people_chose(self, run: RunFolder) -> None:
        (run.path / "secret").write_text("x" * 32 + "\n")
        (run.path / "secret").chmod(0o600)
        assert run.secret() == b"x" * 32

    def test_many_processes_at_once_agree(self, tmp_path: Path) -> None:
        code = (
            "import sys; from pathlib import Path;"
            "from chatcore.config.run_folder import RunFolder;"
            "print('ready', flush=True); sys.stdin.read();"
            "print(RunFolder.open(Path(sys.argv[1])).secret().decode())"
        )
        for round in range(3):
            app = tmp_path / str(round)
            app.mkdir()
            processes = [python(code, app) for _ in range(8)]
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.close()
            found = set()
            for process in processes:
                assert process.stdout is not None
                found.add(process.stdout.read())
                process.stdout.close()
                assert process.wait() == 0
            assert found == {f"{RunFolder.open(app).secret().decode()}\n"}

    @pytest.mark.parametrize("content", ["", "\n", "short", " " * 100, "x" * 31, "x" * 5000])
    def test_of_the_wrong_length(self, run: RunFolder, content: str) -> None:
        (run.path / "secret").write_text(content)
        (run.path / "secret").chmod(0o600)
        with pytest.raises(ConfigError, match="32 to 4096 were expected") as caught:
            run.secret()
        assert caught.value.file == run.path / "secret"
        assert "remove the file" in str(caught.value)

    @pytest.mark.parametrize("loose", [0o644, 0o640, 0o602, 0o660])
    def test_open_to_others(self, run: RunFolder, loose: int) -> None:
        run.secret()
        (run.path / "secret").chmod(loose)
        with pytest.raises(ConfigError, match="read or written by others") as caught:
            run.secret()
        assert "chmod 600" in str(caught.value)

    def test_somebody_elses(self, run: RunFolder, be_somebody_else: Callable[[], None]) -> None:
        run.secret()
        be_somebody_else()
        with pytest.raises(ConfigError, match="belongs to somebody else"):
            run.secret()

    def test_a_folder(self, run: RunFolder) -> None:
        (run.path / "secret").mkdir()
        with pytest.raises(ConfigError, match="can't be used: Is a directory"):
            run.secret()


class TestASecretElsewhere:
    """``--secret-file``, for clusters of several machines."""

    SECRET = "0123456789abcdef" * 4

    def given(self, folder: Path, mode: int = 0o600) -> Path:
        file = folder / "cluster"
        file.write_text(f"{self.SECRET}\n")
        file.chmod(mode)
        return file

    def test_is_read_and_none_is_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = self.given(tmp_path)
        run = RunFolder.open(tmp_path, secret_file=str(file))
        assert run.secret() == self.SECRET.encode()
        monkeypatch.setenv("CHATCORE_SECRET_FILE", str(file))
        assert RunFolder.open(tmp_path).secret() == self.SECRET.encode()
        other = tmp_path / "other"
        other.write_text("x" * 40)
        other.chmod(0o600)
        assert RunFolder.open(tmp_path, secret_file=str(other)).secret() == b"x" * 40
        assert not (run.path / "secret").exists()

    def test_one_that_is_missing_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"there is no such file.*umask 077") as caught:
            RunFolder.open(tmp_path, secret_file=str(tmp_path / "cluster")).secret()
        assert caught.value.file == tmp_path / "cluster"
        assert not (tmp_path / "cluster").exists()

    def test_the_secret_itself_is_refused_and_not_repeated(self, tmp_path: Path) -> None:
        for text in (self.SECRET, "ab/" + self.SECRET, "/nowhere/" + self.SECRET[:20]):
            with pytest.raises(ConfigError) as caught:
                RunFolder.open(tmp_path, secret_file=text).secret()
            assert self.SECRET[:20] not in str(caught.value)

    @pytest.mark.parametrize("loose", [0o644, 0o640, 0o602])
    def test_open_to_others(self, tmp_path: Path, loose: int) -> None:
        file = self.given(tmp_path, loose)
        with pytest.raises(ConfigError, match=r"cluster: .*read or written by others"):
            RunFolder.open(tmp_path, secret_file=str(file)).secret()

    def test_too_short(self, tmp_path: Path) -> None:
        file = self.given(tmp_path)
        file.write_text("short")
        with pytest.raises(ConfigError, match=r"has 5 bytes.*Make a longer one for all"):
            RunFolder.open(tmp_path, secret_file=str(file)).secret()


class TestSockets:
    def test_lies_in_the_run_folder(self, tmp_path: Path) -> None:
        run = RunFolder(Path("/run/chat"))
        assert run.socket("chat-1") == Path("/run/chat/chat-1.sock")

    @pytest.mark.parametrize("extra", [0, 1])
    def test_the_longest_path_that_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: int
    ) -> None:
        monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
        monkeypatch.setattr(module, "MAX_SOCKET_PATH", 400)
        run = RunFolder(Path("/" + "r" * (400 - len("//a.sock") + extra)))
        assert (run.socket("a").parent == run.path) is (extra == 0)

    @pytest.fixture
    def far(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
        """A run folder whose path is too long for sockets."""
        temporary = tmp_path / "t"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
        monkeypatch.setattr(module, "MAX_SOCKET_PATH", len(str(temporary)) + 70)
        return RunFolder.open(tmp_path, str(tmp_path / ("x" * 200)))

    def test_a_long_run_folder_gets_a_private_folder_elsewhere(
        self, far: RunFolder, tmp_path: Path
    ) -> None:
        socket = far.socket("chat-1")
        assert socket.name == "chat-1.sock"
        assert socket.parent.parent == tmp_path / "t"
        assert mode(socket.parent) == 0o700
        assert RunFolder(far.path).socket("chat-1") == socket
        assert far.socket("chat-2").parent == socket.parent
        assert RunFolder(far.path / "b").socket("chat-1").parent != socket.parent

    def test_a_long_id_on_top_gets_another_name(self, far: RunFolder) -> None:
        socket = far.socket("x" * 64)
        assert len(os.fsencode(socket)) <= module.MAX_SOCKET_PATH
        assert socket != far.socket("x" * 63 + "y")

    def test_the_real_limits_hold_for_the_longest_id(self, tmp_path: Path) -> None:
        run = RunFolder(tmp_path / ("x" * 200))
        socket = run.socket("x" * 64)
        try:
            assert len(os.fsencode(socket)) <= 100
        finally:
            socket.parent.rmdir()

    def test_a_link_in_its_place(self, far: RunFolder, tmp_path: Path) -> None:
        folder = far.socket("a").parent
        folder.rmdir()
        (tmp_path / "trap").mkdir()
        folder.symlink_to(tmp_path / "trap")
        with pytest.raises(ConfigError, match="is a symbolic link"):
            far.socket("a")

    def test_somebody_elses_folder_in_its_place(
        self, far: RunFolder, be_somebody_else: Callable[[], None]
    ) -> None:
        be_somebody_else()
        # The name says whose it should be, and this process makes it as who it really is.
        far.socket("a")
        with pytest.raises(ConfigError, match="belongs to somebody else"):
            far.socket("a")

    def test_no_place_is_short_enough(
        self, far: RunFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MAX_SOCKET_PATH", 20)
        with pytest.raises(ConfigError, match="too long for a socket"):
            far.socket("a")


CLAIMER = """
import os, sys
from pathlib import Path
from chatcore.config.run_folder import RunFolder
claim = RunFolder.open(Path(sys.argv[1])).claim("chat-1")
print("claimed" if claim else "taken", os.getpid(), flush=True)
sys.stdin.read()
if claim and "release" in sys.argv:
    claim.release()
"""

DAEMON = """
import os, sys
from pathlib import Path
from chatcore.config.run_folder import RunFolder
claim = RunFolder.open(Path(sys.argv[1])).claim("chat-1")
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
claim.note_pid()
print(os.getpid(), flush=True)
sys.stdin.read()
claim.release()
print("gone", flush=True)
"""


PARENT = """
import os, subprocess, sys
from pathlib import Path
from chatcore.config.run_folder import RunFolder
claim = RunFolder.open(Path(sys.argv[1])).claim("chat-1")
print(subprocess.Popen(["cat"], close_fds=False).pid, flush=True)
os._exit(0)
"""

FORKED = """
import os, sys
from pathlib import Path
from chatcore.config.run_folder import RunFolder
claim = RunFolder.open(Path(sys.argv[1])).claim("chat-1")
if os.fork():
    claim.release()
    print("released", flush=True)
sys.stdin.read()
"""


def said(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate()


class TestClaims:
    def test_one_holder_at_a_time(self, run: RunFolder) -> None:
        claim = run.claim("chat-1")
        assert claim is not None
        assert run.claim("chat-1") is None
        assert run.holder("chat-1") == os.getpid()
        assert run.holder("chat-2") is None
        other = run.claim("chat-2")
        assert other is not None
        other.release()
        claim.release()

    def test_all_holders(self, run: RunFolder) -> None:
        claims = [run.claim(id) for id in ("b", "a", "gone")]
        claims[2].release()
        (run.path / "left.lock").touch()
        (run.path / "not an id.lock").touch()
        assert run.holders() == {"a": os.getpid(), "b": os.getpid()}
        for claim in claims[:2]:
            claim.release()

    def test_a_release_leaves_no_file_and_frees_the_name(self, run: RunFolder) -> None:
        claim = run.claim("chat-1")
        assert claim is not None
        claim.release()
        claim.release()
        assert not (run.path / "chat-1.lock").exists()
        assert run.holder("chat-1") is None
        again = run.claim("chat-1")
        assert again is not None
        claim.release()
        claim.note_pid()
        assert run.holder("chat-1") == os.getpid()
        again.release()

    def test_looking_creates_nothing(self, run: RunFolder) -> None:
        run.holder("chat-1")
        assert not (run.path / "chat-1.lock").exists()

    def test_is_private(self, run: RunFolder) -> None:
        claim = run.claim("chat-1")
        assert claim is not None
        assert mode(run.path / "chat-1.lock") == 0o600
        claim.release()

    def test_between_processes(self, run: RunFolder, tmp_path: Path) -> None:
        process = python(CLAIMER, tmp_path, "release")
        word, pid = said(process)
        assert word == "claimed"
        assert run.claim("chat-1") is None
        assert run.holder("chat-1") == int(pid) == process.pid
        finish(process)
        assert not (run.path / "chat-1.lock").exists()
        claim = run.claim("chat-1")
        assert claim is not None
        claim.release()

    def test_a_killed_process_holds_nothing(self, run: RunFolder, tmp_path: Path) -> None:
        process = python(CLAIMER, tmp_path)
        said(process)
        process.kill()
        finish(process)
        assert (run.path / "chat-1.lock").exists()
        assert run.holder("chat-1") is None
        claim = run.claim("chat-1")
        assert claim is not None
        assert run.holder("chat-1") == os.getpid()
        claim.release()
        assert not (run.path / "chat-1.lock").exists()

    def test_many_processes_at_once_and_one_wins(self, run: RunFolder, tmp_path: Path) -> None:
        processes = [python(CLAIMER, tmp_path) for _ in range(8)]
        words = sorted(said(process)[0] for process in processes)
        assert words == ["claimed"] + ["taken"] * 7
        for process in processes:
            finish(process)

    def test_survives_a_daemonising_fork(self, run: RunFolder, tmp_path: Path) -> None:
        process = python(DAEMON, tmp_path)
        (pid,) = said(process)
        assert process.wait() == 0
        assert int(pid) != process.pid
        assert run.claim("chat-1") is None
        assert run.holder("chat-1") == int(pid)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        assert said(process) == ["gone"]
        assert run.holder("chat-1") is None
        assert not (run.path / "chat-1.lock").exists()
        process.stdout.close()

    def test_is_not_passed_on_to_programs(self, run: RunFolder, tmp_path: Path) -> None:
        process = python(PARENT, tmp_path)
        (pid,) = said(process)
        assert process.wait() == 0
        os.kill(int(pid), 0)
        assert run.holder("chat-1") is None
        finish(process)

    def test_a_release_counts_for_forks_too(self, run: RunFolder, tmp_path: Path) -> None:
        process = python(FORKED, tmp_path)
        assert said(process) == ["released"]
        claim = run.claim("chat-1")
        assert claim is not None
        claim.release()
        finish(process)

    def test_looking_never_takes_a_claim_away(self, run: RunFolder, tmp_path: Path) -> None:
        looker = python(
            "import sys; from pathlib import Path\n"
            "from chatcore.config.run_folder import RunFolder\n"
            "run = RunFolder.open(Path(sys.argv[1])); print('up', flush=True)\n"
            "import select\n"
            "while not select.select([sys.stdin], [], [], 0)[0]: run.holder('chat-1')",
            tmp_path,
        )
        said(looker)
        for _ in range(300):
            claim = run.claim("chat-1")
            assert claim is not None
            claim.release()
        finish(looker)

    def test_processes_that_come_and_go_never_hold_together(
        self, run: RunFolder, tmp_path: Path
    ) -> None:
        """Each winner counts up a number in a file; a second holder would lose a count."""
        code = (
            "import sys; from pathlib import Path\n"
            "from chatcore.config.run_folder import RunFolder\n"
            "run = RunFolder.open(Path(sys.argv[1])); number = Path(sys.argv[2]); mine = 0\n"
            "while mine < 40:\n"
            "    claim = run.claim('chat-1')\n"
            "    if claim is None: continue\n"
            "    number.write_text(str(int(number.read_text()) + 1)); mine += 1\n"
            "    claim.release()\n"
        )
        number = tmp_path / "number"
        number.write_text("0")
        processes = [python(code, tmp_path, number) for _ in range(4)]
        for process in processes:
            finish(process)
            assert process.returncode == 0
        assert number.read_text() == "160"

    @pytest.mark.parametrize("content", [b"", b"0\n", b"-1\n", b"x"])
    def test_a_held_file_without_a_pid(self, run: RunFolder, content: bytes) -> None:
        claim = run.claim("chat-1")
        assert claim is not None
        (run.path / "chat-1.lock").write_bytes(content)
        with pytest.raises(ConfigError, match="does not hold a pid"):
            run.holder("chat-1")
        claim.release()

    def test_a_link_in_the_place_of_a_lock(self, run: RunFolder, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("do not touch")
        (run.path / "chat-1.lock").symlink_to(tmp_path / "precious")
        with pytest.raises(ConfigError, match="can't be used"):
            run.claim("chat-1")
        assert (tmp_path / "precious").read_text() == "do not touch"

    def test_a_folder_that_went_away_meanwhile(self, run: RunFolder) -> None:
        claim = run.claim("chat-1")
        assert claim is not None
        shutil.rmtree(run.path)
        claim.release()

    def test_a_folder_that_went_away(self, run: RunFolder) -> None:
        (run.path / ".gitignore").unlink()
        run.path.rmdir()
        with pytest.raises(ConfigError, match="can't be used: No such file"):
            run.claim("chat-1")


class TestTidying:
    def leave_things(self, run: RunFolder) -> list[Path]:
        things = [run.pid_file("a"), run.socket("a"), run.path / "a.lock"]
        for thing in things:
            if not thing.exists():
                thing.write_text("")
        return things

    def test_what_a_killed_server_left(self, run: RunFolder) -> None:
        things = self.leave_things(run)
        run.log_file("a").write_text("read me")
        run.tidy("a")
        run.tidy("a")
        assert not any(thing.exists() for thing in things)
        assert run.log_file("a").exists()

    def test_nothing_while_it_runs(self, run: RunFolder) -> None:
        claim = run.claim("a")
        assert claim is not None
        things = self.leave_things(run)
        run.tidy("a")
        assert all(thing.exists() for thing in things)
        claim.release()
