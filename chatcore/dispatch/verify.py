"""Holding a component to the interfaces it says it implements.

`zope.interface.verify` checks names and the number of arguments. This also checks what that does
not see (whether a method is async, and its annotations), and says where and what is near.
"""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from zope.interface import implementedBy

from chatcore.dispatch.blame import mistake_in, source_of
from chatcore.dispatch.components import Component, Method, lasting
from chatcore.errors import ConfigError
from chatcore.interfaces import ICron, IHandler, IRemote
from chatcore.interfaces.access import Access, said_of
from chatcore.interfaces.components import IDEMPOTENT
from chatcore.interfaces.redaction import NOTHING, hidden_of

_ARGUMENTS: dict[Any, tuple[int, str]] = {
    IHandler: (2, "A handler's methods take two: the message and the session"),
    ICron: (0, "A cron's methods take none"),
}
"""How many arguments the methods take, and the words for it; those of remotes take any number."""


def component_of(cls: type, base: Any, server_type: str) -> Component:
    """Describe a class that implements an interface derived from ``base``.

    Raises:
        ConfigError: it does not do what the interface declares.
    """
    interfaces = tuple(i for i in implementedBy(cls) if i.extends(base))
    methods: dict[str, Method] = {}
    for interface in interfaces:
        for name, function in _declared(interface, base).items():
            _verify_declaration(interface, name, function, base)
            _verify_method(cls, interface, name, function)
            other = methods.get(name)
            methods[name] = Method(
                name=name,
                signature=inspect.signature(function),
                interface=interface.__name__,
                idempotent=hasattr(function, IDEMPOTENT),
                access=_access(cls, interface, name, base, other),
                redacted=hidden_of(interface, name) | (other.redacted if other else NOTHING),
                doc=inspect.getdoc(function) or "",
                file=function.__code__.co_filename,
                line=function.__code__.co_firstlineno,
            )
    file, line = source_of(cls)
    return Component(
        base=base,
        server_type=server_type,
        service=cls.__name__[0].lower() + cls.__name__[1:],
        cls=cls,
        interfaces=interfaces,
        methods=methods,
        file=file,
        line=line,
    )


def _declared(interface: Any, base: Any) -> dict[str, Any]:
    """The functions that an interface declares, its own bases' included."""
    functions: dict[str, Any] = {}
    for each in reversed(interface.__iro__):
        if each.extends(base):
            functions.update(each.functions)
    return functions


def _access(cls: type, interface: Any, name: str, base: Any, other: Method | None) -> Access | None:
    """Which clients may call a method, as its interface says, or another one that has it too."""
    said = said_of(interface, name)
    if said is not None and base is not IHandler:
        raise ConfigError(
            f"{interface.__name__} says which clients may call {name}",
            file=said.file,
            line=said.line,
            advice="Clients can't call remotes; remove it",
        )
    if other is not None and said != other.access:
        raise mistake_in(
            cls,
            f"{interface.__name__} and {other.interface} say different things about"
            f" who may call {name}",
            "Say the same in both",
        )
    return said


def _verify_declaration(interface: Any, name: str, function: Any, base: Any) -> None:
    signature = inspect.signature(function)

    def wrong(problem: str, advice: str) -> ConfigError:
        return mistake_in(function, f"{interface.__name__}.{name} {problem}", advice)

    if name.startswith("__"):
        raise wrong("is a name of Python's own", "Give it another name, so that it can be called")
    if base is not IRemote and hasattr(function, IDEMPOTENT):
        raise wrong("is marked idempotent", "Only methods of remotes are called again")
    if not inspect.iscoroutinefunction(function):
        raise wrong("is not declared async", f"Write `async def {name}{lasting(signature)}: …`")
    if "self" in signature.parameters:
        raise wrong("names self", "Interfaces declare methods without it")
    for parameter in signature.parameters.values():
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise wrong(
                f"has the argument {lasting(parameter)}",
                "Only plain arguments cross from node to node",
            )
    wanted, advice = _ARGUMENTS.get(base, (None, ""))
    count = len(signature.parameters)
    if wanted not in (None, count):
        raise wrong(f"takes {count} argument{'' if count == 1 else 's'}", advice)


def _verify_method(cls: type, interface: Any, name: str, declared: Any) -> None:
    method = inspect.getattr_static(cls, name, None)
    if method is None:
        near = difflib.get_close_matches(name, [n for n in dir(cls) if not n.startswith("__")], 1)
        raise mistake_in(
            cls,
            f"{cls.__name__} has no method {name}, which {interface.__name__} declares",
            f"Is it the method {near[0]}?" if near else f"Write `async def {name}`",
        )
    function = getattr(cls, name)
    if not callable(function):
        raise mistake_in(
            cls,
            f"{cls.__name__}.{name} is {function!r}, not a method",
            f"{interface.__name__} declares it as one",
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise mistake_in(
            function,
            f"{cls.__name__}.{name} yields, and nobody takes what it gives",
            "Write await where it waits, and return what it answers",
        )
    expected = inspect.signature(declared)
    found = inspect.signature(function)
    if not isinstance(method, (staticmethod, classmethod)):
        parameters = list(found.parameters.values())[1:]
        found = found.replace(parameters=parameters)
    problem = _difference(expected, found)
    if problem:
        raise mistake_in(
            function,
            f"{cls.__name__}.{name}{lasting(found)} {problem}",
            f"{interface.__name__} declares {name}{lasting(expected)}",
        )


def _difference(expected: inspect.Signature, found: inspect.Signature) -> str | None:
    every = list(expected.parameters.values())
    needed = [p for p in every if p.default is inspect.Parameter.empty]
    try:
        found.bind(*every)
        found.bind(*needed)
    except TypeError as problem:
        return f"can't be called as declared: {problem}"
    pairs = list(zip(every, found.parameters.values(), strict=False))
    for mine, theirs in pairs:
        if not _compatible(mine.annotation, theirs.annotation):
            return f"takes {lasting(theirs)} where {lasting(mine)} is declared"
    if not _compatible(expected.return_annotation, found.return_annotation):
        return f"returns {_text(found.return_annotation)}"
    return None


def _compatible(declared: Any, found: Any) -> bool:
    loose = ("Any", "object", "_empty")
    a, b = _text(declared), _text(found)
    return a == b or a in loose or b in loose


def _text(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = lasting(text)
    if annotation is inspect.Parameter.empty:
        return "_empty"
    return text.rpartition(".")[2] if "[" not in text else text
