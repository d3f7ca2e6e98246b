"""What a running cluster is, and what a changed servers.json comes to, as it was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatcore.admin.outcomes import FAILED
from chatcore.cluster.view import Member, View
from chatcore.config.names import is_own_name
from chatcore.errors import AdminError, ViewError


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is, as the process knows it that was asked.

    Args:
        asked: the id of that process.
        app: the application's folder, on its machine.
        env: the environment.
        version: of chatcore.
        view: the view; None where no node could tell it.
        supervised: whether there is a ``chatcore start``.
        programs: what that says of its servers, by id; None where it says nothing.
        trouble: why it says nothing.
    """

    asked: str
    app: str
    env: str
    version: str
    view: View | None
    supervised: bool
    programs: Mapping[str, Mapping[str, Any]] | None
    trouble: str | None = None

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Survey:
        """Read what was answered; AdminError when that can't be."""
        try:
            view = value["view"]
            programs = value["programs"]
            return cls(
                asked=str(value["id"]),
                app=str(value["app"]),
                env=str(value["env"]),
                version=str(value["version"]),
                view=None if view is None else View.from_value(view),
                supervised=bool(value["supervised"]),
                programs=None if programs is None else {each["id"]: each for each in programs},
                trouble=value.get("trouble"),
            )
        except (KeyError, TypeError, ViewError) as problem:
            raise AdminError(f"a survey that can't be read: {problem!r}", code=FAILED) from None

    @property
    def ids(self) -> list[str]:
        """All servers there are, sorted; the one that was asked may not be in the view."""
        members = [] if self.view is None else [member.id for member in self.view.members]
        asked = [] if self.supervised or is_own_name(self.asked) else [self.asked]
        return sorted({*members, *(self.programs or ()), *asked})

    def member(self, id: str) -> Member | None:
        """A server of the view."""
        return None if self.view is None else self.view.get(id)

    def type_of(self, id: str) -> str:
        """The type of a server; empty where nobody knows it."""
        member = self.member(id)
        if member is not None:
            return member.server.type
        return str((self.programs or {}).get(id, {}).get("type", ""))

    def is_frontend(self, id: str) -> bool:
        """Whether a server is a frontend, as far as is known."""
        member = self.member(id)
        if member is not None:
            return member.server.frontend
        return bool((self.programs or {}).get(id, {}).get("frontend"))

    def is_down(self, id: str) -> bool:
        """Whether ``chatcore start`` has a server that stays down."""
        return (self.programs or {}).get(id, {}).get("state") in ("stopped", "refused")


@dataclass(frozen=True, slots=True)
class Changes:
    """What a changed servers.json comes to.

    Args:
        new: servers to be started.
        gone: servers to be drained.
        changed: servers to be restarted, with what has changed in words.
        blocked: those of them that need an address which another server has yet to leave.
    """

    new: Sequence[str]
    gone: Sequence[str]
    changed: Mapping[str, str]
    blocked: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed)

    def lines(self) -> list[tuple[str, str, str]]:
        """Each server, what kind of change it is, and that in words."""
        return [
            *((id, "new", "new, and to be started") for id in self.new),
            *((id, "gone", "gone, and to be drained") for id in self.gone),
            *((id, "changed", f"to be restarted ({what})") for id, what in self.changed.items()),
        ]

    def to_value(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {"new": list(self.new), "gone": list(self.gone), "changed": dict(self.changed)}
