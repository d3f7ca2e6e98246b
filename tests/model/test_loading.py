"""Finding an application's components, and telling people what is wrong with them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatcore.application import Configurator
from chatcore.dispatch.blame import guarded
from chatcore.dispatch.components import Catalogue, Component
from chatcore.dispatch.loading import instantiate, load_application
from chatcore.errors import ConfigError

HEAD = """\
from zope.interface import implementer

from chatcore.interfaces import IHandler, IRemote

"""
HEAD_LINES = HEAD.count("\n")

ENTRY = HEAD + textwrap.dedent(
    """
    class IEntryHandler(IHandler):
        async def enter(msg, session): ...

    @implementer(IEntryHandler)
    class EntryHandler:
        def __init__(self, app):
            self.app = app

        async def enter(self, msg, session):
            return self.helper(msg)

        def helper(self, msg):
            return [self.app, msg]
    """
)

Write = Callable[..., Path]


@pytest.fixture
def app(tmp_path: Path) -> Any:
    """Writes an application; each argument is a file: `__` stands for `/`, `INIT` for that name."""
    modules = set(sys.modules)

    def write(folder: str = "app", /, **files: str) -> Path:
        for name, text in files.items():
            place = name.replace("__", "/").replace("INIT", "__init__")
            path = tmp_path / folder / f"{place}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / folder

    yield write
    for name in set(sys.modules) - modules:
        if name.startswith("chatcore_application_"):
            del sys.modules[name]


def mistake(folder: Path) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        load_application(folder)
    return raised.value


def handlers(catalogue: Catalogue) -> dict[str, Component]:
    return {f"{each.server_type}.{each.service}": each for each in catalogue.handlers()}


class TestFinding:
    def test_handlers_and_remotes(self, app: Write) -> None:
        folder = app(
            servers__connector__handlers=ENTRY,
            servers__chat__remotes=HEAD
            + "class IChatRemote(IRemote):\n"
            + "    async def add(uid: str, create: bool = False) -> list[str]: ...\n\n"
            + "@implementer(IChatRemote)\n"
            + "class ChatRemote:\n"
            + "    async def add(self, uid: str, create: bool = False) -> list[str]: ...\n",
        )
        catalogue = load_application(folder)
        assert sorted(catalogue.server_types) == ["chat", "connector"]
        (handler,) = catalogue.handlers()
        (remote,) = catalogue.remotes()
        assert (handler.server_type, handler.service) == ("connector", "entryHandler")
        assert (remote.server_type, remote.service) == ("chat", "chatRemote")
        assert list(catalogue.handlers("chat")) == []
        assert list(catalogue.remotes("chat")) == [remote]
        assert str(remote.methods["add"].signature) == (
            "(uid: str, create: bool = False) -> list[str]"
        )
        assert handler.file == str(folder / "servers/connector/handlers.py")

    def test_only_what_the_interface_declares_is_public(self, app: Write) -> None:
        text = HEAD + textwrap.dedent(
            """
            class Base:
                async def inherited(self, msg, session): ...

            class IEntryHandler(IHandler):
                async def enter(msg, session): ...

            @implementer(IEntryHandler)
            class EntryHandler(Base):
                async def enter(self, msg, session): ...
                async def helper(self, msg, session): ...
                async def constructor(self, msg, session): ...
                async def __call__(self, msg, session): ...
                def _private(self): ...
            """
        )
        (component,) = load_application(app(servers__connector__handlers=text)).handlers()
        assert list(component.methods) == ["enter"]

    def test_methods_of_base_interfaces_are_public(self, app: Write) -> None:
        text = HEAD + textwrap.dedent(
            """
            from zope.interface import Interface

            class ICommon(IHandler):
                async def ping(msg, session): ...

            class IOther(Interface):
                async def hidden(msg, session): ...

            class IEntryHandler(ICommon):
                async def enter(msg, session): ...

            class _Base:
                async def ping(self, msg, session): ...

            @implementer(IEntryHandler, IOther)
            class EntryHandler(_Base):
                async def enter(self, msg, session): ...
                async def hidden(self, msg, session): ...
            """
        )
        (component,) = load_application(app(servers__connector__handlers=text)).handlers()
        assert sorted(component.methods) == ["enter", "ping"]

    def test_methods_that_may_be_called_again(self, app: Write) -> None:
        catalogue = load_application(
            app(
                servers__chat__remotes=HEAD
                + textwrap.dedent(
                    """
                    from chatcore.interfaces import idempotent

                    class IChatRemote(IRemote):
                        @idempotent
                        async def names(room): ...

                        async def size(room): ...
                        idempotent(size)

                        async def add(uid): ...

                    @implementer(IChatRemote)
                    class ChatRemote:
                        def names(self, room): ...
                        def size(self, room): ...
                        def add(self, uid): ...
                    """
                )
            )
        )
        (remote,) = catalogue.remotes()
        again = {method.name: method.idempotent for method in remote.methods.values()}
        assert again == {"names": True, "size": True, "add": False}

    def test_a_method_that_never_waits_may_return_at_once(self, app: Write) -> None:
        text = ENTRY.replace("    async def enter(self", "    def enter(self")
        folder = app(servers__gate__handlers=text)
        assert "gate.entryHandler" in handlers(load_application(folder))

    def test_static_and_class_methods_do(self, app: Write) -> None:
        text = HEAD + textwrap.dedent(
            """
            class IEntryHandler(IHandler):
                async def one(msg, session): ...
                async def two(msg, session): ...

            @implementer(IEntryHandler)
            class EntryHandler:
                @staticmethod
                async def one(msg, session): ...

                @classmethod
                async def two(cls, msg, session): ...
            """
        )
        (component,) = load_application(app(servers__connector__handlers=text)).handlers()
        assert sorted(component.methods) == ["one", "two"]

    def test_names_and_annotations_of_arguments_may_be_looser(self, app: Write) -> None:
        text = HEAD + textwrap.dedent(
            """
            import typing
            from typing import Any

            class IChatRemote(IRemote):
                async def add(uid: str, what: Any) -> list[str]: ...

            @implementer(IChatRemote)
            class ChatRemote:
                async def add(self, user, what: int, more: int = 3, *rest: object): ...
            """
        )
        (component,) = load_application(app(servers__chat__remotes=text)).remotes()
        assert list(component.methods) == ["add"]

    def test_classes_from_elsewhere_are_not_components(self, app: Write) -> None:
        folder = app(
            servers__connector__handlers=ENTRY,
            servers__gate__handlers="from ..connector.handlers import EntryHandler\n",
        )
        assert list(handlers(load_application(folder))) == ["connector.entryHandler"]

    def test_helpers_with_an_underscore_are_not_components(self, app: Write) -> None:
        folder = app(servers__connector__handlers=ENTRY + "\nclass _SlowHandler: ...\n")
        assert list(handlers(load_application(folder))) == ["connector.entryHandler"]

    def test_a_second_name_for_a_class(self, app: Write) -> None:
        folder = app(servers__connector__handlers=ENTRY + "\nFormerHandler = EntryHandler\n")
        assert list(handlers(load_application(folder))) == ["connector.entryHandler"]

    @pytest.mark.parametrize("init", [True, False])
    def test_handlers_in_a_package(self, app: Write, init: bool) -> None:
        files = {
            "servers__connector__handlers__entry": ENTRY,
            "servers__connector__handlers__other": ENTRY.replace("Entry", "Other"),
            "servers__connector__handlers___private": ENTRY.replace("Entry", "Private"),
        }
        if init:
            files["servers__connector__handlers__INIT"] = ENTRY.replace("Entry", "Top")
        found = sorted(handlers(load_application(app(**files))))
        assert found == ["connector.entryHandler", "connector.otherHandler"] + (
            ["connector.topHandler"] if init else []
        )

    def test_an_application_without_anything(self, app: Write) -> None:
        catalogue = load_application(app(README=""))
        assert (catalogue.server_types, catalogue.configure) == ([], None)

    def test_folders_that_are_no_server_types(self, app: Write) -> None:
        folder = app(
            servers__chat__handlers="",
            servers___common__handlers="raise ValueError",
            servers__notes="raise ValueError",
        )
        (folder / "servers/.hidden").mkdir()
        assert load_application(folder).server_types == ["chat"]


class TestPackages:
    def test_nothing_is_put_on_the_path(self, app: Write) -> None:
        before = list(sys.path)
        load_application(app(servers__connector__handlers=ENTRY))
        assert sys.path == before

    def test_modules_import_each_other_relatively(self, app: Write) -> None:
        folder = app(
            words="GREETING = 'hello'\n",
            servers__chat__remotes="from ...words import GREETING\nNAME = GREETING\n",
            servers__connector__handlers="from ..chat.remotes import NAME\n" + ENTRY,
            app="from .words import GREETING\ndef configure(app): app(GREETING)\n",
        )
        catalogue = load_application(folder)
        (component,) = catalogue.handlers()
        said: list[str] = []
        assert catalogue.configure is not None
        catalogue.configure(said.append)
        assert said == ["hello"]
        assert sys.modules[component.cls.__module__].NAME == "hello"

    def test_several_applications_do_not_notice_each_other(self, app: Write) -> None:
        other = ENTRY.replace("return self.helper(msg)", "return 'other'")
        one = load_application(app("one/chat", servers__connector__handlers=ENTRY))
        two = load_application(app("two/chat", servers__connector__handlers=other))
        (first,), (second,) = one.handlers(), two.handlers()
        assert first.cls is not second.cls
        assert first.cls.__module__ != second.cls.__module__
        again = load_application(one.folder)
        assert next(again.handlers()).cls is not first.cls

    def test_an_application_with_an_init(self, app: Write) -> None:
        folder = app(INIT="VALUE = 5\n", app="from . import VALUE\ndef configure(app): ...\n")
        assert load_application(folder).configure is not None

    def test_a_folder_with_a_name_that_is_no_name(self, app: Write) -> None:
        folder = app("my app-1.0", servers__connector__handlers=ENTRY)
        assert list(handlers(load_application(folder))) == ["connector.entryHandler"]


class TestMaking:
    def test_a_component_is_given_the_application(self, app: Write) -> None:
        folder = app(servers__connector__handlers=ENTRY)
        (component,) = load_application(folder).handlers()
        made: Any = instantiate(component, "the app", folder)
        assert made.app == "the app"

    def test_a_constructor_that_raises(self, app: Write) -> None:
        text = ENTRY.replace("self.app = app", "self.app = app.colour")
        folder = app(servers__connector__handlers=text)
        (component,) = load_application(folder).handlers()
        with pytest.raises(ConfigError) as raised:
            instantiate(component, object(), folder)
        line = text.splitlines().index("        self.app = app.colour") + 1
        assert (raised.value.file, raised.value.line) == (component.file, line)
        assert "EntryHandler(app): AttributeError: 'object' object has no" in str(raised.value)

    def test_a_constructor_that_does_not_take_the_application(self, app: Write) -> None:
        text = ENTRY.replace("def __init__(self, app):", "def __init__(self, app, more):")
        folder = app(servers__connector__handlers=text)
        (component,) = load_application(folder).handlers()
        with pytest.raises(ConfigError) as raised:
            instantiate(component, object(), folder)
        assert (raised.value.file, raised.value.line) == (component.file, component.line)
        assert "missing 1 required positional argument: 'more'" in str(raised.value)

    def test_a_component_without_a_constructor(self, app: Write) -> None:
        text = ENTRY.replace("    def __init__(self, app):\n        self.app = app\n", "")
        folder = app(servers__connector__handlers=text)
        (component,) = load_application(folder).handlers()
        with pytest.raises(ConfigError) as raised:
            instantiate(component, object(), folder)
        assert (raised.value.file, raised.value.line) == (component.file, component.line)
        assert raised.value.advice == "Give it def __init__(self, app)"

    def test_a_type_error_of_a_right_constructor_gets_no_advice(self, app: Write) -> None:
        text = ENTRY.replace("self.app = app", "self.app = app + 1")
        folder = app(servers__connector__handlers=text)
        (component,) = load_application(folder).handlers()
        with pytest.raises(ConfigError, match="TypeError") as raised:
            instantiate(component, object(), folder)
        assert raised.value.advice is None


class TestMistakes:
    """Each is one message that names the place."""

    def check(self, folder: Path, file: str, line: int | None, *said: str) -> None:
        problem = mistake(folder)
        where = f"{folder / file}:{line}:" if line else f"{folder / file}:"
        assert str(problem).startswith(where), str(problem)
        for each in said:
            assert each in str(problem)

    @pytest.mark.parametrize(
        "file", ["app", "servers/chat/handlers", "servers/chat/remotes", "servers/chat/handlers/a"]
    )
    def test_a_syntax_error(self, app: Write, file: str) -> None:
        folder = app(**{file.replace("/", "__"): "x = 1\ndef f(:\n"})
        self.check(folder, f"{file}.py", 2, "invalid syntax")
        assert mistake(folder).column == 7

    @pytest.mark.parametrize(
        "file", ["app", "__init__", "servers/chat/handlers", "servers/chat/handlers/a"]
    )
    def test_an_import_that_fails(self, app: Write, file: str) -> None:
        name = file.replace("__init__", "INIT").replace("/", "__")
        folder = app(**{name: "\n\nimport no_such_module_at_all\n"})
        self.check(folder, f"{file}.py", 3, "No module named 'no_such_module_at_all'", "importing ")

    def test_an_exception_while_importing_names_the_innermost_line(self, app: Write) -> None:
        folder = app(
            words="def parse(text):\n    return int(text)\n",
            servers__chat__handlers="from ...words import parse\nparse('x')\n",
        )
        self.check(folder, "words.py", 2, "importing servers.chat.handlers: ValueError: invalid")

    def test_configure_is_no_function(self, app: Write) -> None:
        self.check(app(app="configure = 5\n"), "app.py", None, "configure is not a function")

    @pytest.mark.parametrize("name", ["confgure", "Configure", "configure_app", "config"])
    def test_configure_has_another_name(self, app: Write, name: str) -> None:
        folder = app(app=f"def unlike(): ...\n\ndef {name}(app): ...\n")
        said = f"app.py defines no configure(app). Did you mean {name}?"
        self.check(folder, "app.py", 3, said)

    @pytest.mark.parametrize(
        "text",
        [
            "def unlike(app): ...\n",
            "def confirm(): ...\n",
            "def _configured(): ...\n",
            "confgure = 5\n",
            "from .words import confgure\n",
        ],
    )
    def test_no_configure_is_no_mistake(self, app: Write, text: str) -> None:
        folder = app(app=text, words="def confgure(): ...\n")
        assert load_application(folder).configure is None

    def test_configure_takes_nothing(self, app: Write) -> None:
        folder = app(app="\ndef configure(): ...\n")
        self.check(folder, "app.py", 2, "configure can't be called with (app)")

    def test_configure_is_async(self, app: Write) -> None:
        folder = app(app="\nasync def configure(app): ...\n")
        self.check(folder, "app.py", 2, "configure must not be async")

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            (["unlike"], "Is it unlike.py?"),
            (["unlike/INIT", "words"], "Is it unlike?"),
        ],
    )
    def test_a_folder_without_components(self, app: Write, files: list[str], said: str) -> None:
        folder = app(**{f"servers__door__{file}": "raise ValueError" for file in files})
        problem = f"servers/door has no handlers.py, remotes.py, crons.py or lifecycle.py. {said}"
        self.check(folder, "servers/door", None, problem)

    @pytest.mark.parametrize(
        ("file", "advice"),
        [
            ("handler.py", "Is it handlers.py? If it helps others, call it _handler.py"),
            ("Handlers.py", "Is it handlers.py? If it helps others, call it _Handlers.py"),
            ("handler/entryHandler.js", "Is it handlers? If it helps others, call it _handler"),
            ("remote/a.py", "Is it remotes? If it helps others, call it _remote"),
            ("lifecyle.py", "Is it lifecycle.py? If it helps others, call it _lifecyle.py"),
        ],
    )
    def test_a_name_that_is_nearly_one_that_is_read(
        self, app: Write, file: str, advice: str
    ) -> None:
        folder = app(servers__door__crons="")
        path = folder / "servers/door" / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        name = file.partition("/")[0]
        self.check(folder, f"servers/door/{name}", None, f"nobody reads {name}. {advice}")

    def test_helpers_beside_components(self, app: Write) -> None:
        folder = app(
            servers__door__handlers=ENTRY,
            servers__door__words="raise ValueError",
            servers__door___handler="raise ValueError",
            servers__door__rules__INIT="raise ValueError",
        )
        assert list(handlers(load_application(folder))) == ["door.entryHandler"]

    def test_a_folder_without_python_is_no_mistake(self, app: Write) -> None:
        folder = app(servers__door__INIT="")
        (folder / "servers/window").mkdir()
        assert load_application(folder).server_types == ["door", "window"]

    @pytest.mark.parametrize("module", ["servers", "servers.chat.remotes"])
    def test_an_import_as_if_it_were_on_the_path(self, app: Write, module: str) -> None:
        folder = app(servers__door__handlers=f"import {module}\n", servers__chat__remotes="")
        advice = "Import from other server types as from ..chat.remotes import …"
        self.check(folder, "servers/door/handlers.py", 1, advice)

    def test_other_imports_get_no_advice(self, app: Write) -> None:
        folder = app(servers__door__handlers="import servers_of_mine\n")
        assert mistake(folder).advice is None

    def test_configure_raises(self, app: Write) -> None:
        folder = app(app="def configure(app):\n    app.rout('chat', None)\n")
        catalogue = load_application(folder)
        with pytest.raises(ConfigError) as raised:
            configurator = Configurator(env="e", server_type="chat", server_types=["chat"])
            guarded(catalogue.configure, configurator, folder=folder, doing="configure(app)")
        assert str(raised.value).startswith(
            f"{folder / 'app.py'}:2: configure(app): AttributeError"
        )

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("app.route('chatt', choose)", "no server type 'chatt'"),
            ("app.configure(type='gate|chatt')", "no server type 'chatt'"),
            ("app.route('chat', 'choose')", "the route for chat is 'choose', not a function"),
            ("app.route('chat', later)", "route got an async function; it has to answer at once"),
            ("app.configure(type='chat')(later)", "configure got an async function"),
            ("app.configure(type='chat')(lambda app: None)", "can't be called without arguments"),
            ("app.configure(lambda: None)", 'not a text. Write @app.configure(env="…", type="…")'),
            ("app.configure(type=5)", "configure got 5, not a text"),
            ("app.set(5, 5)", "the key of a setting is a text, not 5"),
            ("raise SystemExit('bye')", "configure(app): SystemExit: bye"),
            ("app.load(later)", "later can't be loaded: it is async"),
        ],
    )
    def test_configure_names_what_there_is_not(self, app: Write, line: str, said: str) -> None:
        functions = "def choose(*a): ...\nasync def later(*a): ..."
        folder = app(app=f"{functions}\ndef configure(app):\n    {line}\n")
        catalogue = load_application(folder)
        configurator = Configurator(env="e", server_type="chat", server_types=["gate", "chat"])
        with pytest.raises(ConfigError) as raised:
            guarded(catalogue.configure, configurator, folder=folder, doing="configure(app)")
        assert str(raised.value).startswith(f"{folder / 'app.py'}:4: ")
        assert said in str(raised.value)
        if "chatt" in line:
            assert "Did you mean 'chat'?" in str(raised.value)
            assert "gate and chat" in str(raised.value)

    def component(self, app: Write, text: str, kind: str = "handlers") -> Path:
        return app(**{f"servers__chat__{kind}": HEAD + textwrap.dedent(text).lstrip("\n")})

    def test_a_name_of_pythons_own_can_not_be_called(self, app: Write) -> None:
        folder = self.component(
            app,
            """
            class IChatHandler(IHandler):
                async def __init__(msg, session): ...

            @implementer(IChatHandler)
            class ChatHandler:
                async def __init__(self, app, session): ...
            """,
        )
        self.check(
            folder,
            "servers/chat/handlers.py",
            HEAD_LINES + 2,
            "IChatHandler.__init__ is a name of Python's own",
        )

    def test_handlers_are_not_called_again(self, app: Write) -> None:
        folder = self.component(
            app,
            """
            from chatcore.interfaces import idempotent

            class IChatHandler(IHandler):
                @idempotent
                async def send(msg, session): ...

            @implementer(IChatHandler)
            class ChatHandler:
                async def send(self, msg, session): ...
            """,
        )
        self.check(
            folder,
            "servers/chat/handlers.py",
            HEAD_LINES + 4,
            "IChatHandler.send is marked idempotent",
        )

    @pytest.mark.parametrize("way", ["async def", "def"])
    def test_a_method_that_yields(self, app: Write, way: str) -> None:
        folder = self.component(
            app,
            f"""
            class IChatHandler(IHandler):
                async def send(msg, session): ...

            @implementer(IChatHandler)
            class ChatHandler:
                {way} send(self, msg, session):
                    yield msg
            """,
        )
        self.check(
            folder,
            "servers/chat/handlers.py",
            HEAD_LINES + 6,
            "ChatHandler.send yields, and nobody takes what it gives",
        )

    def test_a_method_is_missing(self, app: Write) -> None:
        folder = self.component(
            app,
            """
            class IChatHandler(IHandler):
                async def send(msg, session): ...

            @implementer(IChatHandler)
            class ChatHandler:
                async def sned(self, msg, session): ...
            """,
        )
        self.check(
            folder,
            "servers/chat/handlers.py",
            HEAD_LINES + 4,
            "ChatHandler has no method send, which IChatHandler declares. Is it the method sned?",
        )

    def test_a_method_is_missing_and_nothing_is_near(self, app: Write) -> None:
        folder = self.component(
            app,
            """
            class IChatHandler(IHandler):
                async def send(msg, session): ...

            @implementer(IChatHandler)
            class ChatHandler:
                pass
            """,
        )
        self.check(folder, "servers/chat/handlers.py", HEAD_LINES + 4, "Write `async def send`")

    def test_what_is_declared_is_no_method(self, app: Write) -> None:
        folder = self.component(
            app,
            """
            class IChatHandler(IHandler):
                async def send(msg, session): ...

            @implementer(IChatHandler)
            class ChatHandler:
                send = 5
            """,
        )
        self.check(folder, "servers/chat/handlers.py", HEAD_LINES + 4, "is 5, not a method")

    @pytest.mark.parametrize(
        ("declared", "kind", "said"),
        [
            ("def send(msg, session): ...", "IHandler", "is not declared async"),
            ("async def send(self, msg, session): ...", "IHandler", "names self"),
            ("async def send(self, uid): ...", "IRemote", "names self"),
            ("async def send(msg): ...", "IHandler", "takes 1 argument."),
            ("async def send(msg, session, next): ...", "IHandler", "takes 3 arguments"),
            ("async def send(*args): ...", "IRemote", "has the argument *args"),
            ("async def send(*, uid): ...", "IRemote", "has the argument uid"),
            ("async def send(**more): ...", "IRemote", "has the argument **more"),
        ],
    )
    def test_an_interface_that_declares_it_wrongly(
        self, app: Write, declared: str, kind: str, said: str
    ) -> None:
        folder = self.component(
            app,
            f"""
            class IChat{kind[1:]}({kind}):
                {declared}

            @implementer(IChat{kind[1:]})
            class Chat{kind[1:]}:
                async def send(self, msg, session): ...
            """,
            f"{kind[1:].lower()}s",
        )
        file = f"servers/chat/{kind[1:].lower()}s.py"
        self.check(folder, file, HEAD_LINES + 2, f"IChat{kind[1:]}.send {said}")

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("async def add(self, uid: str) -> int: ...", "can't be called as declared"),
            ("async def add(self, uid: str, sid: str, x: int) -> int: ...", "can't be called"),
            ("async def add(self, uid: str, *, sid: str) -> int: ...", "can't be called"),
            ("async def add(self, uid: str, sid: str) -> int: ...", "required argument: 'sid'"),
            (
                "async def add(self, uid: int, sid: str = '') -> int: ...",
                "takes uid: int where uid: str is declared",
            ),
            ("async def add(self, uid: str, sid: str = '') -> str: ...", "returns str"),
        ],
    )
    def test_a_method_that_differs(self, app: Write, written: str, said: str) -> None:
        folder = self.component(
            app,
            f"""
            class IChatRemote(IRemote):
                async def add(uid: str, sid: str = "") -> int: ...

            @implementer(IChatRemote)
            class ChatRemote:
                {written}
            """,
            "remotes",
        )
        self.check(
            folder,
            "servers/chat/remotes.py",
            HEAD_LINES + 6,
            f"ChatRemote.add(uid: {'int' if 'int,' in written else 'str'}",
            said,
            "IChatRemote declares add(uid: str, sid: str = '') -> int",
        )

    def test_interfaces_are_called_by_their_names(self, app: Write) -> None:
        folder = self.component(
            app,
            """
            from chatcore.interfaces import ISession

            class IChatHandler(IHandler):
                async def send(msg: dict[str, int], session: ISession) -> int: ...

            @implementer(IChatHandler)
            class ChatHandler:
                async def send(self, msg: dict[str, int], session: ISession) -> str: ...
            """,
        )
        self.check(
            folder,
            "servers/chat/handlers.py",
            None,
            "ChatHandler.send(msg: dict[str, int], session: ISession) -> str returns str.",
            "IChatHandler declares send(msg: dict[str, int], session: ISession) -> int",
        )
        assert "InterfaceClass" not in str(mistake(folder))

    def test_an_interface_is_the_same_as_its_name(self, app: Write) -> None:
        folder = self.component(
            app,
            """
            from chatcore.interfaces import ISession

            class IChatHandler(IHandler):
                async def send(msg, session: "ISession"): ...

            @implementer(IChatHandler)
            class ChatHandler:
                async def send(self, msg, session: ISession): ...
            """,
        )
        assert list(handlers(load_application(folder))) == ["chat.chatHandler"]

    def test_two_services_of_one_name(self, app: Write) -> None:
        folder = app(
            servers__chat__handlers__a=ENTRY,
            servers__chat__handlers__b=ENTRY,
        )
        self.check(
            folder,
            "servers/chat/handlers/b.py",
            HEAD_LINES + 5,
            f"chat.entryHandler is EntryHandler in {folder}/servers/chat/handlers/a.py:",
            "another name",
        )

    def test_one_name_in_two_server_types_is_no_mistake(self, app: Write) -> None:
        folder = app(servers__a__handlers=ENTRY, servers__b__handlers=ENTRY)
        assert sorted(handlers(load_application(folder))) == ["a.entryHandler", "b.entryHandler"]

    @pytest.mark.parametrize(
        ("kind", "name", "line"),
        [
            ("handlers", "ChatHandler", ""),
            ("handlers", "ChatHandler", "@implementer(IHandler)"),
            ("handlers", "ChatHandler", "@implementer(IRemote)"),
            ("remotes", "ChatRemote", ""),
        ],
    )
    def test_a_component_without_an_interface(
        self, app: Write, kind: str, name: str, line: str
    ) -> None:
        folder = self.component(app, f"{line}\nclass {name}:\n    pass\n", kind)
        problem = str(mistake(folder))
        assert problem.startswith(f"{folder}/servers/chat/{kind}.py:")
        base = f"I{kind.removesuffix('s').capitalize()}"
        assert f"class {name} implements no interface derived from {base}" in problem
        assert "@implementer" in problem
        assert "underscore" in problem

    @pytest.mark.parametrize(("kind", "other"), [("handlers", "Remote"), ("remotes", "Handler")])
    def test_a_component_in_the_wrong_module(self, app: Write, kind: str, other: str) -> None:
        folder = self.component(
            app,
            f"""
            class IChat{other}(I{other}):
                async def send(msg, session): ...

            @implementer(IChat{other})
            class Chat{other}:
                async def send(self, msg, session): ...
            """,
            kind,
        )
        self.check(
            folder,
            f"servers/chat/{kind}.py",
            HEAD_LINES + 4,
            f"Chat{other}",
            f"{other.lower()}s.py",
        )
