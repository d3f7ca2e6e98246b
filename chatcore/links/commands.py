"""The commands that cross a link, declared for `twisted.protocols.amp`.

They document the wire, and a stock AMP peer uses them as they stand. `chatcore.links.link` speaks
the same wire without them, because it has to be fast.

A link begins with `Hello`, `Prove` and `Remotes`; before they are through, any other command ends
it.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.amp import AMP, Argument, Boolean, Command, Float, Integer, String, Unicode

from chatcore.wire import box
from chatcore.wire.values import pack, unpack

VERSION = 1


class Large(Argument):
    """Bytes of any length: over 65,535 they go in further keys, ``name.1``, ``name.2``, …"""

    def toBox(self, name: bytes, strings: Any, objects: dict[str, Any], proto: AMP) -> None:
        value = self.retrieve(objects, name.decode(), proto)
        if value is not None:
            strings.update(box.split(name, self.toString(value)))

    def fromBox(self, name: bytes, strings: Any, objects: dict[str, Any], proto: AMP) -> None:
        if self.optional and name not in strings:
            objects[name.decode()] = None
            return
        objects[name.decode()] = self.fromString(box.join(strings, name))

    def toString(self, inObject: bytes) -> bytes:
        return inObject

    def fromString(self, inString: bytes) -> bytes:
        return inString


class Value(Large):
    """A value of any length, as msgpack: JSON's types, bytes and datetimes."""

    def toString(self, inObject: Any) -> bytes:
        return pack(inObject)

    def fromString(self, inString: bytes) -> Any:
        return unpack(inString)


class Rejected(Exception):
    """The hello does not hold; the link is closed."""


class Raised(Exception):
    """The remote raised. The text begins with the id under which its node logged why."""


class Refused(Exception):
    """There is no such method there, the arguments do not fit, or it takes no more: nothing ran."""


class Failed(Exception):
    """It may have run, but the box was bad, or the answer too long for one."""


_ERRORS = {Raised: b"RAISED", Refused: b"REFUSED", Failed: b"FAILED"}


class Hello(Command):
    """The dialling side says who it is; the other proves that it knows the cluster's secret."""

    arguments = [
        (b"version", Integer()),
        (b"id", Unicode()),
        (b"to", Unicode()),
        (b"incarnation", Unicode()),
        (b"nonce", String()),
    ]
    response = [
        (b"id", Unicode()),
        (b"incarnation", Unicode()),
        (b"nonce", String()),
        (b"proof", String()),
    ]
    errors = {Rejected: b"REJECTED"}


class Prove(Command):
    """The dialling side proves it too, and is told the fingerprints of the other's remotes."""

    arguments = [(b"proof", String())]
    response = [(b"remotes", Value())]
    errors = {Rejected: b"REJECTED"}


class Remotes(Command):
    """The dialling side tells those of its own; only who has proven itself may say so much."""

    arguments = [(b"remotes", Value())]
    requiresAnswer = False


class Ping(Command):
    """Is anybody there?"""


STAMP = [
    (b"epoch", Integer(optional=True)),
    (b"key", Unicode(optional=True)),
    (b"origin", Unicode(optional=True)),
    (b"hops", Integer(optional=True)),
    (b"since", Integer(optional=True)),
    (b"number", Integer(optional=True)),
]
"""What a request carries where views change: by which view and key its receiver was chosen, and,
if other nodes have passed it on, from which frontend or caller it comes, over how many nodes, by
which view the first of them was chosen, and how many that one had passed on by then.
"""


TRACE = [(b"trace", String(optional=True))]
"""What a message is called that is followed, and of which of its hops this is a part: W3C's
``traceparent``. Who does not know it passes it over."""


class Forward(Command):
    """A client's request, for a handler here. The reply is what the client gets.

    ``body`` is the JSON that the client sent, as it came; or, where ``coding`` is ``msgpack``, a
    value that the frontend has decoded already, because the client sent protobuf, or because a
    filter there has looked at it and may have changed it.
    """

    arguments = [
        (b"route", Unicode()),
        (b"coding", String(optional=True)),
        (b"body", Large()),
        (b"session", Large()),
        *STAMP,
        *TRACE,
    ]
    response = [(b"reply", Value())]
    errors = _ERRORS


class ForwardNotify(Command):
    """A client's notify, for a handler here."""

    arguments = Forward.arguments
    requiresAnswer = False


class Call(Command):
    """A call to a remote here. ``service`` begins with ``sys.`` for chatcore's own."""

    arguments = [
        (b"service", Unicode()),
        (b"method", Unicode()),
        (b"args", Value()),
        *STAMP,
        *TRACE,
    ]
    response = [(b"result", Value())]
    errors = _ERRORS


class CallNotify(Command):
    """A call that nobody waits for."""

    arguments = Call.arguments
    requiresAnswer = False


_MESSAGE = [
    (b"route", Unicode()),
    (b"body", Value()),
    (b"droppable", Boolean(optional=True)),
    *TRACE,
]
"""``droppable``: whether a client that does not keep up may miss it."""


class Push(Command):
    """A message for all members of a channel that are connected here."""

    arguments = [(b"channel", Unicode()), *_MESSAGE]
    requiresAnswer = False


class PushToUids(Command):
    """A message for all sessions of some uids."""

    arguments = [(b"uids", Value()), *_MESSAGE]
    requiresAnswer = False


class Broadcast(Command):
    """A message for every session, or for those that are bound, or that the filter picks."""

    arguments = [
        *_MESSAGE,
        (b"bound", Boolean(optional=True)),
        (b"where", Value(optional=True)),
    ]
    requiresAnswer = False


class GroupJoin(Command):
    """Backend to frontend: these uids are members of a channel of mine now."""

    arguments = [(b"channel", Unicode()), (b"uids", Value())]
    requiresAnswer = False


class GroupLeave(Command):
    """Backend to frontend: these are members no more."""

    arguments = GroupJoin.arguments
    requiresAnswer = False


class GroupGone(Command):
    """Frontend to backend: these members of a channel of yours are not connected here any more.

    ``again``: that was so before any request that I have sent you and you have not served yet.
    Answered once the others have been told."""

    arguments = [*GroupJoin.arguments, (b"again", Boolean(optional=True)), *STAMP]


class GroupRenew(Command):
    """Backend to frontend: forget all groups of mine; those that still hold follow."""

    requiresAnswer = False


class GroupForget(Command):
    """Backend to frontend: I gave these uids up while I could not reach you.

    Answered when their sessions have been told; what is said of them before may not know it.
    """

    arguments = [(b"uids", Value())]


class GroupOffer(Command):
    """Frontend to backend: whom I hold as members of a channel of yours.

    ``moved`` is not 0 where the channel was another's, and you have not told me its members yet:
    the number of that move, of all moves that I have seen.
    """

    arguments = [
        *GroupJoin.arguments,
        (b"epoch", Integer()),
        (b"moved", Integer(optional=True)),
    ]
    requiresAnswer = False


class OffersDone(Command):
    """Frontend to backend: that was all I hold by that view, after so many moves."""

    arguments = [(b"epoch", Integer()), (b"moves", Integer(optional=True))]
    requiresAnswer = False


class Seen(Command):
    """I have that view, and send nothing any more by an older one."""

    arguments = [(b"epoch", Integer())]
    requiresAnswer = False


class GroupMoved(Command):
    """Backend to frontend: these channels of mine are another's now; their groups stay."""

    arguments = [(b"owner", Unicode()), (b"channels", Value())]
    requiresAnswer = False


class PushesDone(Command):
    """Backend to frontend: I have pushed all that I shall for what is not mine in that view."""

    arguments = [(b"epoch", Integer())]
    requiresAnswer = False


class HandOver(Command):
    """Backend to backend: a channel that is yours, with its members and its state."""

    arguments = [
        (b"epoch", Integer()),
        (b"channel", Unicode()),
        (b"members", Value()),
        (b"state", Value()),
    ]


class GivenUp(Command):
    """Backend to backend: these uids at a frontend, who are members no more, may not know it."""

    arguments = [(b"epoch", Integer()), (b"frontend", Unicode()), (b"uids", Value())]
    requiresAnswer = False


class HandedOver(Command):
    """Backend to backend: I have handed over all that is yours in that view."""

    arguments = [(b"epoch", Integer())]
    requiresAnswer = False


class Announce(Command):
    """Node to master: this is how I am now.

    Behind a hello, ``view`` is the last view that the node has heard of; from these, a master that
    has started anew learns the cluster. ``outcome`` is one of

    ``welcome``
        it is in the view from now on
    ``taken``
        another life of the node is in the view, and may be alive; ask again later
    ``removed``
        this life of it was in the view and was taken out; only another life can come in

    ``why`` says more where it is not welcome, and ``lease`` after how many seconds of silence a
    node is taken out.
    """

    arguments = [(b"member", Value()), (b"view", Value(optional=True))]
    response = [(b"outcome", Unicode()), (b"why", Unicode()), (b"lease", Unicode(optional=True))]
    errors = _ERRORS


class NewView(Command):
    """Master to node: there is a newer view."""

    arguments = [(b"view", Value())]
    requiresAnswer = False


class Leave(Command):
    """Node to master: take me out of the view. Answered when that is done."""


class Survey(Command):
    """Administrator to any process: what is there, as far as you know?

    The outcome of this and of the commands below is ``{"result": …}``, or ``{"problem": …, "code":
    …}`` where it was not done. ``seconds`` is how long the answer is waited for.

    ``alone``: without asking any other process.

    ``asker`` is for whom somebody asks who passes on what was asked, as in ``viewer:NAME``. It
    gives nobody a right that is not theirs already.
    """

    arguments = [(b"alone", Boolean(optional=True)), (b"seconds", Float(optional=True))]
    response = [(b"outcome", Value())]


class Inspect(Command):
    """A question to a node, as in ``status``. Who is asked for another one asks that one.

    ``given`` says more of what is asked. Nothing changes by it. `chatcore.admin.questions` has all
    questions that there are.
    """

    arguments = [
        (b"what", Unicode()),
        (b"id", Unicode()),
        (b"given", Value(optional=True)),
        (b"seconds", Float()),
        (b"asker", Unicode(optional=True)),
    ]
    response = [(b"outcome", Value())]


class Invoke(Command):
    """Administrator to any process: call a remote of that node. Who is asked for another asks it.

    ``args`` is a list, or a table by the names of the parameters. The result is ``{"result": …,
    "ms": …}``, in JSON's types; with ``whole``, nothing in it is hidden.
    """

    arguments = [
        (b"route", Unicode()),
        (b"id", Unicode()),
        (b"args", Value()),
        (b"whole", Boolean(optional=True)),
        (b"seconds", Float()),
        (b"asker", Unicode(optional=True)),
    ]
    response = [(b"outcome", Value())]


class Order(Command):
    """Do something with a node, as in ``stop``. Answered when it is done."""

    arguments = [
        (b"what", Unicode()),
        (b"id", Unicode()),
        (b"seconds", Float()),
        (b"asker", Unicode(optional=True)),
    ]
    response = [(b"outcome", Value())]


class Add(Command):
    """Administrator to a ``chatcore start``: take in servers that servers.json does not list.

    ``given`` holds keys of an entry with their values as texts. The result is the new ids; the
    servers are still to be started by `Order`.
    """

    arguments = [
        (b"type", Unicode()),
        (b"given", Value()),
        (b"count", Integer()),
        (b"seconds", Float(optional=True)),
        (b"asker", Unicode(optional=True)),
    ]
    response = [(b"outcome", Value())]


class Reload(Command):
    """Administrator to a ``chatcore start``: read servers.json again.

    The result is what is new, gone and changed. With ``apply``, that is what `Order` starts from
    now on.
    """

    arguments = [
        (b"apply", Boolean()),
        (b"seconds", Float(optional=True)),
        (b"asker", Unicode(optional=True)),
    ]
    response = [(b"outcome", Value())]


class Tap(Command):
    """Administrator to a node: show me what passes on your links, over this one.

    ``given`` says what is to be shown: ``peers``, a list of the other ends of the links that are
    meant, all unless given; and ``but``, of those that are not. Asked again, it changes that. It
    ends when the link does. Who may not see bytes is told messages. Links to administrators are
    never shown.
    """

    arguments = [(b"given", Value(optional=True)), (b"seconds", Float(optional=True))]
    response = [(b"outcome", Value())]


class Replay(Command):
    """Administrator to a node: act on what was recorded of another cluster's servers.

    ``what`` is one of

    ``box``
        act on the box ``data``, a message of a client or a call, as if ``sender`` had sent it; the
        result is ``{"reply": …}``, the box of the answer
    ``come``
        have sessions for ``uids`` that no client stands behind, until the link ends; the result is
        ``{"sessions": …}``, their numbers
    ``go``
        have them end
    """

    arguments = [(b"what", Unicode()), (b"given", Value()), (b"seconds", Float())]
    response = [(b"outcome", Value())]


class Tapped(Command):
    """Node to administrator: what has passed. Answered when it is read.

    As long as too much of it is not read, what passes is only counted. The events are those of
    `chatcore.inspector.batches`.
    """

    arguments = [(b"events", Value())]
