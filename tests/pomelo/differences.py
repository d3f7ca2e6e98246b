"""What chatcore does otherwise than Pomelo 2.2.7, and why.

This is the table of docs/pomelo.md. `test_same_script.py` plays every script to both and holds the
list to what it sees, line by line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pomelo.scripts import SCRIPTS

Lines = tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """The lines of a transcript that only one of them has."""

    pomelo: Lines = ()
    chatcore: Lines = ()


@dataclass(frozen=True)
class Difference:
    """One row.

    Args:
        what: is sent, or done.
        pomelo: what Pomelo does then.
        chatcore: what chatcore does.
        why: it does.
        seen: in which scripts, by their names, and what exactly; a name may have the carrier
            before it, as in ``tcp/…``, where only that one differs, or differs otherwise.
    """

    what: str
    pomelo: str
    chatcore: str
    why: str
    seen: Mapping[str, Seen]

    def all(self) -> Iterator[tuple[str, str, Seen]]:
        """Every script, with its carrier and what is seen."""
        for name, seen in self.seen.items():
            carrier, slash, rest = name.partition("/")
            if slash and carrier in ("websocket", "tcp"):
                yield rest, carrier, seen
            else:
                for each in SCRIPTS[name].carriers:
                    if f"{each}/{name}" not in self.seen:
                        yield name, each, seen

    def row(self) -> str:
        """The row of the table."""
        return f"| {self.what} | {self.pomelo} | {self.chatcore} | {self.why} |"


def _same(names: str | list[str], pomelo: str | Lines, chatcore: str | Lines) -> dict[str, Seen]:
    """The same lines in several scripts."""
    seen = Seen(*(each if isinstance(each, tuple) else (each,) for each in (pomelo, chatcore)))
    return dict.fromkeys([names] if isinstance(names, str) else names, seen)


def _body(case: str, pomelo: str, chatcore: str) -> dict[str, Seen]:
    """A body that a handler of the same server got, and one elsewhere."""
    names = [f"body here: {case}", f"body elsewhere: {case}"]
    return _same(names, f"response 1 {pomelo}", f"response 1 {chatcore}")


def _answer(case: str, pomelo: str, chatcore: str) -> dict[str, Seen]:
    """A handler's answer: one of the same server, and one elsewhere."""
    lines = [tuple(f"response {n} {each}" for n in (1, 2)) for each in (pomelo, chatcore)]
    return _same(f"answer: {case}", *lines)


_DROPPED = 'kick {"reason":"the connection is disconnected."}'

_TEXT = "7b2274657874223a22"
"""The JSON `{"text":"` in hexadecimal."""

_CACHED = '"code":200,"sys":{"heartbeat":10,"useDict":true,"useProto":true}'
_NEW = 'handshake {"code":200,"sys":{"heartbeat"…'

FAILED = '{"code":500}'
ANSWERED = f"response 1 {FAILED}"
WEDGED = ("silence", "silence")
"""Pomelo's connection is open, and nothing that comes over it is answered any more."""

DIFFERENCES = [
    Difference(
        "a handler raises",
        "on a frontend the client is never answered, and its connection hangs",
        '`{"code":500}`',
        "every request is answered; one client's mistake is no other's",
        _same("handler: explode", WEDGED, (f"response 2 {FAILED}", "served")),
    ),
    Difference(
        "a route without a dot, or with an empty server type",
        "no answer",
        '`{"code":500}`',
        "every request is answered",
        _same(["route: no dot", "route: nothing", "route: empty parts"], "silence", ANSWERED),
    ),
    Difference(
        "a route code that the dictionary does not have, or without a dictionary",
        "no answer",
        '`{"code":500}`',
        "every request is answered",
        _same(
            [
                "route code: 0",
                "route code: that is in no dictionary",
                "route code: of a push",
                "route code to a server without a dictionary",
            ],
            "silence",
            ANSWERED,
        ),
    ),
    Difference(
        "a route whose method every JavaScript object has, as in `hasOwnProperty`",
        "the method is called; no answer",
        '`{"code":500}`',
        "only what a handler's interface declares can be called",
        _same(["route: hasOwnProperty", "route: hasOwnProperty, elsewhere"], "silence", ANSWERED),
    ),
    Difference(
        "a route whose method is `constructor`",
        'the client is kicked: `{"reason":"attack"}`',
        '`{"code":500}`',
        "it is a route like any other that does not exist",
        _same(
            "route: constructor",
            ('kick {"reason":"attack"}', "closed"),
            (ANSWERED, "served"),
        ),
    ),
    Difference(
        "a body that is not JSON",
        "the handler is called with `{}`",
        '`{"code":500}`',
        "a handler must not act on what the client did not say",
        _body("no JSON", '{"got":{}}', FAILED) | _body("cut short", '{"got":{}}', FAILED),
    ),
    Difference(
        "a body that is an array",
        "its elements become the handler's arguments, with which a client can forge its session; "
        "a handler on a frontend fails over it, and the connection hangs",
        '`{"code":500}`',
        "a client says what is in the message, never who sent it",
        _same(
            ["body here: an array", "body here: an empty array"],
            WEDGED,
            (ANSWERED, "served"),
        ),
    ),
    Difference(
        'a body that is `false`, `0` or `""`',
        "the handler is given `{}`",
        "the handler is given that value",
        "only `null`, and nothing at all, mean an empty object",
        _body("false", '{"got":{}}', '{"got":false}')
        | _body("zero", '{"got":{}}', '{"got":0}')
        | _body("empty text", '{"got":{}}', '{"got":""}'),
    ),
    Difference(
        'an answer that is `false`, `0` or `""`',
        "`{}`",
        "that value",
        "only `None` is an empty answer",
        _same(
            "answer: false",
            ("response 1 {}", "response 2 {}"),
            ("response 1 false", "response 2 false"),
        )
        | _same(
            "answer: zero", ("response 1 {}", "response 2 {}"), ("response 1 0", "response 2 0")
        )
        | _same(
            "answer: empty text",
            ("response 1 {}", "response 2 {}"),
            ('response 1 ""', 'response 2 ""'),
        ),
    ),
    Difference(
        "what a handler is given",
        "the body, and in it `__route__`",
        "the body",
        "a client's message is not mixed with anything else",
        _same(
            "what a handler is given",
            (
                'response 1 {"got":{"a":1,"__route__":"probe.probeHandler.whole"}}',
                'response 2 {"got":{"__route__":"lab.labHandler.whole","a":1}}',
            ),
            ('response 1 {"got":{"a":1}}', 'response 2 {"got":{"__route__":"x","a":1}}'),
        ),
    ),
    Difference(
        "a body that is not UTF-8",
        "what can't be read becomes `\ufffd`",
        '`{"code":500}`',
        "a handler must not act on what the client did not say",
        _body("not UTF-8", '{"got":{"a":"\ufffd"}}', FAILED),
    ),
    Difference(
        "emoji from the JavaScript client: each half of a surrogate pair in three bytes",
        "six times `\ufffd`",
        "read as the character that it is",
        "the same client then shows it to others",
        _body(
            "emoji, each half in three bytes",
            '{"got":{"a":"' + "\ufffd" * 6 + '"}}',
            r'{"got":{"a":"\ud83d\ude00"}}',
        )
        | _same(
            "protobuf: emoji, each half in three bytes",
            f"response 1 hex 0a1d{_TEXT}{'efbfbd' * 6}227d",
            f"response 1 hex 0a0f{_TEXT}f09f9880227d",
        ),
    ),
    Difference(
        "emoji to the JavaScript client, in protobuf",
        "four bytes of UTF-8, which it shows as something else",
        "each half of the surrogate pair in three bytes",
        "that is how this client reads them; all others get UTF-8",
        _same(
            "emoji by a schema to a JavaScript client",
            "push onChat hex 0a04f09f98801201611a012a",
            "push onChat hex 0a06eda0bdedb8801201611a012a",
        ),
    ),
    Difference(
        "a body in protobuf that is cut short, or anything else than protobuf",
        "the connection hangs; where only a text is cut short, the handler gets the rest of it",
        '`{"code":500}`, by the schema of the answer if there is one',
        "every request is answered; a handler must not act on what the client did not say",
        _same(
            [
                "protobuf: cut short in a head",
                "protobuf: cut short in a number",
                "protobuf: cut short in a double",
                "protobuf: endless number",
                "protobuf: JSON instead",
            ],
            WEDGED,
            ("response 1 hex 10f403", "served"),
        )
        | _same(
            "protobuf: cut short in a text",
            f"response 1 hex 0a0e{_TEXT}616263227d",
            "response 1 hex 10f403",
        ),
    ),
    Difference(
        "a field in protobuf that the schema does not have",
        "the connection hangs",
        "it is skipped, as far as its type says how long it is",
        "a client with a newer schema can be understood",
        _same("protobuf: unknown tag", WEDGED, (f"response 1 hex 0a0c{_TEXT}61227d", "served"))
        | _same("protobuf here: unknown tag", WEDGED, ('response 1 {"text":"{}"}', "served")),
    ),
    Difference(
        "a push without what its schema requires",
        "sent with an empty body",
        "not sent; the log says why",
        "a client can't do anything with it",
        _same("push: by a schema, less than it asks", "push onChat", "silence"),
    ),
    Difference(
        "emoji to clients, in JSON",
        "four bytes of UTF-8, which the JavaScript client shows as something else",
        r"`\ud83d\ude00`",
        "the escape is read rightly by every client",
        _body("Chinese and emoji", '{"got":{"a":"中文 😀"}}', r'{"got":{"a":"中文 \ud83d\ude00"}}')
        | _body("emoji, escaped", '{"got":{"a":"😀"}}', r'{"got":{"a":"\ud83d\ude00"}}')
        | _same(
            "answer: emoji",
            ('response 1 "😀"', 'response 2 "😀"'),
            (r'response 1 "\ud83d\ude00"', r'response 2 "\ud83d\ude00"'),
        )
        | _same(
            "push: emoji in JSON",
            'push onOther {"text":"😀"}',
            r'push onOther {"text":"\ud83d\ude00"}',
        )
        | _same(
            "handshake: user is told emoji",
            f'handshake {{{_CACHED},"user":"😀"}}',
            f'handshake {{{_CACHED},"user":"\\ud83d\\ude00"}}',
        ),
    ),
    Difference(
        r"half an emoji, escaped: `\ud83d`",
        "passed on as it is",
        '`{"code":500}`',
        "it is not a character, and most languages can't hold it in a text",
        _body("half an emoji, escaped", r'{"got":{"a":"\ud83d"}}', FAILED),
    ),
    Difference(
        "numbers with a point or an exponent",
        "written as JavaScript does: `1`, `1e+21`",
        "written as they are: `1.0`, `1e21`",
        "they mean the same",
        _body(
            "whole numbers with a point",
            '{"got":{"a":[1,0,1000]}}',
            '{"got":{"a":[1.0,-0.0,1000.0]}}',
        )
        | _body(
            "numbers with an exponent",
            '{"got":{"a":[1e+21,1e-7,1.5e+300]}}',
            '{"got":{"a":[1e21,1e-7,1.5e300]}}',
        ),
    ),
    Difference(
        "whole numbers beyond 2<sup>53</sup>",
        "rounded",
        "exact",
        "Python's numbers are",
        _body(
            "numbers beyond 53 bits",
            '{"got":{"a":9007199254740992}}',
            '{"got":{"a":9007199254740993}}',
        ),
    ),
    Difference(
        "a number too large for a double",
        "`null`",
        '`{"code":500}`',
        "a handler must not act on what the client did not say",
        _body("a number beyond all", '{"got":{"a":null}}', FAILED),
    ),
    Difference(
        "keys that look like whole numbers",
        "come first, and sorted",
        "keep their place",
        "JavaScript's objects do that; no client relies on it",
        _body(
            "order of keys that are numbers",
            '{"got":{"1":3,"2":2,"b":1}}',
            '{"got":{"b":1,"2":2,"1":3}}',
        ),
    ),
    Difference(
        "a message that is empty or cut short",
        "the connection hangs until its heartbeat is missed; unless the application catches "
        "`uncaughtException`, the whole process dies",
        "the connection is closed",
        "what breaks the protocol ends that connection, at once, and no other",
        _same(
            [
                "message without: anything",
                "message without: an id",
                "message without: a route",
                "message cut short: in its id",
                "message cut short: in its route",
                "message cut short: in its route code",
            ],
            "silence",
            "closed",
        ),
    ),
    Difference(
        "a message of a kind that does not exist (4 to 7)",
        "dropped",
        "the connection is closed",
        "what breaks the protocol ends that connection",
        _same([f"message of the kind: {kind}" for kind in (4, 5, 6, 7)], "served", "closed"),
    ),
    Difference(
        "a message with the flag for gzip, or with one that does not exist",
        "read as if it were not set",
        "the connection is closed",
        "no client compresses; what it would mean is not known",
        _same(
            [f"message with the flag: {flag}" for flag in ("0x10", "0x20", "0x40", "0x80")],
            ('response 1 {"got":{}}', "served"),
            "closed",
        ),
    ),
    Difference(
        "a request id of 2<sup>31</sup> or more",
        "the server stops for ever, for all of its clients",
        "answered, up to 2<sup>32</sup> - 1",
        "every request is answered; one client's mistake is no other's",
        _same(
            "request id of 32 bits",
            ("silence", "silence", "silence"),
            (
                'response 2147483648 {"got":{}}',
                'response 4294967295 {"got":{}}',
                "served",
            ),
        ),
    ),
    Difference(
        "a request id of more than five bytes",
        "cut to 32 bits",
        "the connection is closed",
        "the protocol's limit is five",
        _same("request id of six bytes", ('response 1 {"got":{}}', "served"), "closed"),
    ),
    Difference(
        "a route that is not UTF-8",
        '`{"code":500}`',
        "the connection is closed",
        "what breaks the protocol ends that connection",
        _same("route that is not UTF-8", (ANSWERED, "served"), "closed"),
    ),
    Difference(
        "a handshake whose `sys` is not an object",
        'accepted, unless it is `null`, `false`, `0` or `""`',
        '`{"code":500}`',
        "every client sends an object",
        _same(
            [f"handshake refused: sys is {what}" for what in ("text", "a number", "an array")],
            (_NEW, "silence"),
            (f"handshake {FAILED}", "closed"),
        ),
    ),
    Difference(
        "a handshake that is not UTF-8",
        "accepted",
        '`{"code":500}`',
        "it is not JSON",
        _same(
            "handshake refused: not UTF-8",
            (_NEW, "silence"),
            (f"handshake {FAILED}", "closed"),
        ),
    ),
    Difference(
        "a handshake without a usable key, where messages are signed (`useCrypto`)",
        "accepted, unless `rsa` is missing altogether; then nothing is ever answered",
        '`{"code":500}`',
        "who can't be understood is told so at once",
        _same(
            "handshake where messages are signed: with an empty key",
            'handshake {"code":200,"sys":{}}',
            f"handshake {FAILED}",
        ),
    ),
    Difference(
        "a message without the right signature",
        "no answer",
        '`{"code":500}`',
        "every request is answered",
        _same(
            [
                "message where they are signed: without a signature",
                "message where they are signed: with a wrong signature",
                "message where they are signed: with a signature that is none",
                "message where they are signed: that is null",
                "message where they are signed: that is not JSON",
            ],
            "silence",
            ANSWERED,
        ),
    ),
    Difference(
        "data, but no heartbeats",
        "the client is disconnected",
        "data counts as a sign of life",
        "who talks is alive",
        _same("data instead of heartbeats", "closed", "served"),
    ),
    Difference(
        "several packages in one frame",
        "the connection is closed",
        "each is taken",
        "some clients write so, and nothing is unclear about it",
        _same(
            "two packages in one frame",
            "closed",
            ('response 1 {"got":{}}', 'response 2 {"got":{}}', "served"),
        ),
    ),
    Difference(
        "a frame that is shorter than its package says",
        "the rest is taken to be zeros",
        "the connection is closed",
        "what breaks the protocol ends that connection",
        _same("frame shorter than its package", ('response 1 {"got":{}}', "served"), "closed"),
    ),
    Difference(
        "a package of more than 64 KiB (`limits.package_bytes`)",
        "accepted, up to 16 MiB",
        "the connection is closed, before anything is kept of it",
        "nobody may fill a server's memory",
        _same("messages that are too long", ("response 1 {}", "served"), "closed"),
    ),
    Difference(
        "close codes of the WebSocket",
        "always 1000",
        "1000 after a kick; 1002, 1008 or 1009 for who breaks a rule",
        "the code says what was wrong; clients that don't look at it see no difference",
        _same("close code after nonsense", "closed 1000", "closed 1002")
        | _same("close code after a refused handshake", "closed 1000", "closed 1008"),
    ),
    Difference(
        "a kick without a reason",
        "the connection is closed; the client is not told that it was kicked",
        '`{"reason":"kick"}`, then the same',
        "a client that is told comes back only if it should",
        _same("kick without a reason", (), 'kick {"reason":"kick"}'),
    ),
    Difference(
        "plain HTTP on the client port",
        "no answer to `GET`, `POST`, `PUT` and `HEAD`; others are disconnected",
        "status 200 for `GET` and `HEAD`; 426 for others",
        "health checks and people with a browser get an answer",
        _same(["plain HTTP: GET", "plain HTTP: HEAD"], "silence", "HTTP/1.1 200 OK")
        | _same("plain HTTP: OPTIONS", "closed", "HTTP/1.1 426 Upgrade Required"),
    ),
    Difference(
        "by UDP: a datagram that is not made of whole packages",
        "missing bytes are taken to be zeros; otherwise the client is forgotten, with a kick: "
        "`the connection is disconnected.`",
        "dropped",
        "anybody can send a datagram in a client's name",
        _same(
            [f"by UDP: before the handshake: {what}" for what in ("nonsense", "nothing")],
            _DROPPED,
            (),
        )
        | _same(
            [
                "by UDP: a datagram with: bytes left over",
                "by UDP: a datagram with: a package of no type",
                "by UDP: a datagram with: nothing",
            ],
            (_DROPPED, "silence"),
            "served",
        )
        | _same("by UDP: a datagram with: less than its package", 'response 1 {"got":{}}', ()),
    ),
    Difference(
        "by UDP: a datagram of several packages",
        "the client is forgotten, with a kick",
        "each is taken",
        "as in a frame",
        _same(
            "by UDP: a datagram with: two packages",
            (_DROPPED, "silence"),
            ('response 1 {"got":{}}', 'response 2 {"got":{}}', "served"),
        ),
    ),
    Difference(
        "by UDP: a kick from a client",
        "the client is forgotten, with a kick",
        "the client is forgotten",
        "it broke the protocol",
        _same("by UDP: a kick from the client", _DROPPED, ()),
    ),
    Difference(
        "by UDP: a message that is empty or cut short",
        "dropped",
        "the client is forgotten",
        "as over the other transports",
        _same(
            [
                "by UDP: a datagram with: an empty message",
                "by UDP: a datagram with: a message cut short",
            ],
            "served",
            "silence",
        ),
    ),
    Difference(
        "by UDP: the handshake again, before the ack",
        "ignored",
        "answered again",
        "the first answer may have been lost",
        _same(
            "by UDP: the handshake again before the ack",
            (),
            'handshake {"code":200,"sys":{"heartbeat":10}}',
        ),
    ),
    Difference(
        "the chat: a name that is taken on another connector",
        "the name is in the room twice; when one leaves, nobody can write to the other",
        '`{"code":500,"error":true}`, as on the same connector',
        "a name belongs to one person",
        _same(
            "chat: the name is taken on another connector",
            (
                'other: response 1 {"users":["alice","alice"]}',
                'alice: push #code {"route":"onAdd","user":"alice"}',
            ),
            'other: response 1 {"code":500,"error":true}',
        ),
    ),
    Difference(
        "the chat: entering while in a room",
        "a second name stays in the new room for ever",
        '`{"code":500,"error":true}`',
        "who leaves, leaves every room",
        _same(
            "chat: in another room already",
            'response 1 {"users":["alice"]}',
            'response 1 {"code":500,"error":true}',
        ),
    ),
    Difference(
        "the chat: entering without a name or a room",
        "no answer, and the connection hangs",
        '`{"code":500}`',
        "every request is answered",
        _same(
            ["chat: entering: without a room", "chat: entering: without anything"],
            WEDGED,
            (ANSWERED, "served"),
        ),
    ),
    Difference(
        "the chat: a name with `*` in it",
        "accepted, and shown to others without what follows the star",
        '`{"code":500}`',
        "nobody may pass for somebody else",
        _same(
            "chat: entering: with a star in the name", 'response 1 {"users":["alice"]}', ANSWERED
        ),
    ),
]
