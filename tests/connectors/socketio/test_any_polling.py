"""Whatever clients of socket.io say, by whatever: nothing raises, and nobody else notices.

Requests that belong there, requests that don't, and bytes; cut anywhere, on connections that are
used for several clients; upgrades at any time; some stop reading, vanish, are kicked or moved.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chatcore.channels.groups import GroupTable
from chatcore.connectors.settings import Policy

from ..clients import PING, Client, Connector, close_frame, frame, is_served
from ..others import Others
from .clients import Http, Poller, request, upgrade

POLICIES: list[Policy] = ["disconnect", "drop-oldest", "newest-per-route"]
OPENINGS = [
    "/socket.io/?EIO=3&transport=polling",
    "/socket.io/?EIO=4&transport=polling",
    "/socket.io/?EIO=3&transport=polling&j=1",
    "/socket.io/?EIO=4&transport=websocket",
    "/socket.io/?EIO=3&transport=websocket",
    "/socket.io/1/",
    "/socket.io/1/?jsonp=1",
    "/socket.io/socket.io.js",
    "/socket.io/?EIO=9",
    "/",
    "/socket.io/1/websocket",
]
PACKETS = [
    "40", "41", "1", "2", "3", "2probe", "5", "6", '42["a.b.c",{"x":"你好 😀"}]', '420["a.b.c"]',
    '42["message","\\u0000\\u0000\\u0000\\u0002\\u0005a.b.c{}"]',
    '451-["a",{"_placeholder":true,"num":0}]',
    "bAQID", "b4AQID", "40/other", "4", "abc", "",
]  # fmt: skip
OLD_PACKETS = [
    "0::", "1::", "1::/other", "2::", '5:1+::{"name":"a.b.c","args":[1]}', '5:::{"name":"a.b.c"}',
    "3:::\0\0\0\2\5a.b.c{}", "6:::1", "8::", "x",
]  # fmt: skip

GOOD = [["40"], ['420["a.b.c"]'], ["2"], ["40", '42["a.b.c"]', '421["a.b.c",1]']]

packets = st.lists(st.sampled_from(PACKETS), min_size=1, max_size=4)
bodies = st.one_of(
    packets.map(lambda each: "\x1e".join(each).encode()),
    packets.map(lambda each: "".join(f"{len(one)}:{one}" for one in each).encode()),
    packets.map(lambda each: b"d=" + "".join(f"{len(one)}:{one}" for one in each).encode()),
    st.sampled_from(OLD_PACKETS).map(str.encode),
    st.lists(st.sampled_from(OLD_PACKETS), max_size=3).map(
        lambda each: "".join(f"\ufffd{len(one)}\ufffd{one}" for one in each).encode()
    ),
    st.sampled_from([b"\0\2\xff40", b"\1\3\xff\4ab", b""]),
    st.binary(max_size=30),
)
fields = st.sampled_from(
    [
        {},
        {},
        {},
        {"Connection": "close"},
        {"Origin": "http://x.example"},
        {"Expect": "100-continue"},
        {"Content_Length": "5"},
        {"Content_Length": "x"},
        {"Transfer_Encoding": "chunked", "Content_Length": ""},
        {"Content_Type": "application/octet-stream"},
    ]
)
frames = st.one_of(
    st.sampled_from(PACKETS + OLD_PACKETS).map(lambda text: frame(text.encode(), 1)),
    st.binary(max_size=20).map(frame),
    st.sampled_from([frame(b"", PING), close_frame(), frame(b"\xff", 1)]),
    st.binary(max_size=20),
)


class Scene(Others):
    """A frontend with neighbours whom nothing may happen to, and anybody else."""

    def __init__(self, policy: Policy, interval: float) -> None:
        self.connector = Connector(
            socketio={"ping_seconds": 3, "patience_seconds": 2, "upgrade_seconds": 4},
            limits={"idle_seconds": 30, "message_burst": 100},
            outbox={"policy": policy, "bytes": 65536, "seconds": 5, "interval": interval},
        )
        if interval:
            reactor: Any = self.connector.reactor
            settle = reactor.settle
            reactor.settle = lambda: (settle(), reactor.advance(interval), settle())
        self.groups = GroupTable(
            sessions=self.connector.sessions, gone=print, counters=self.connector.counters
        )
        self.neighbour = self.connector.enter("neighbour")
        self.poller = Poller(self.connector, 3)
        self.connector.sessions.bind(self.poller.session.id, "poller")
        self.places: list[Client] = []
        self.sids = [("x", 3)]

    def come(self, opening: str) -> None:
        """Somebody comes, and is known by its id from then on."""
        client = self.connector.connect()
        self.places.append(client)
        if opening == OPENINGS[-1]:
            self.come("/socket.io/1/")
            client.send(upgrade(f"{opening}/{self.sids[-1][0]}"))
            return
        if "websocket" in opening:
            client.send(upgrade(opening))
            return
        client.send(request("GET", opening))
        self.connector.reactor.settle()
        text = client.take().partition(b"\r\n\r\n")[2].decode("latin-1").replace('\\"', '"')
        if '"sid":"' in text:
            sid = text.partition('"sid":"')[2].partition('"')[0]
            self.sids.append((sid, 4 if "EIO=4" in opening else 3))
        elif ":websocket," in text:
            self.sids.append((text.partition(":")[0].rpartition('"')[2], 0))

    def _target(self, who: int, what: int) -> str:
        sid, revision = self.sids[who % len(self.sids)]
        if not revision:
            kinds = ["xhr-polling", "xhr-polling", "jsonp-polling", "websocket", ""]
            more = ["", "?i=1", "", "?disconnect=1"][what % 4]
            return f"/socket.io/1/{kinds[what % 5]}/{sid}{more}"
        kind = ["polling", "polling", "polling&j=2", "websocket"][what % 4]
        return (
            f"/socket.io/?EIO={7 - revision if what == 7 else revision}&transport={kind}&sid={sid}"
        )

    def speak(self, where: int, who: int, packets: list[str], cuts: list[int]) -> None:
        """Post something as it is meant to be."""
        revision = self.sids[who % len(self.sids)][1]
        if revision == 4:
            body = "\x1e".join(packets)
        elif revision == 3:
            body = "".join(f"{len(each.encode('utf-16-le')) // 2}:{each}" for each in packets)
        else:
            body = '5:1+::{"name":"a.b.c","args":[1]}'
        self._send(where, request("POST", self._target(who, 0), body.encode()), cuts)

    def _send(self, where: int, data: bytes, cuts: list[int]) -> None:
        client = self.places[where % len(self.places)]
        if client.closed:
            client = self.places[where % len(self.places)] = self.connector.connect()
        places = sorted({each % (len(data) + 1) for each in cuts} | {0, len(data)})
        for start, stop in pairwise(places):
            client.send(data[start:stop])

    def poll(self, where: int, who: int, what: int, more: dict[str, str], cuts: list[int]) -> None:
        self._send(where, request("GET", self._target(who, what), **more), cuts)

    def post(
        self, where: int, who: int, what: int, body: bytes, more: dict[str, str], cuts: list[int]
    ) -> None:
        self._send(where, request("POST", self._target(who, what), body, **more), cuts)

    def try_websocket(self, where: int, who: int, what: int, cuts: list[int]) -> None:
        self._send(where, upgrade(self._target(who, what | 3)), cuts)

    def say(self, where: int, data: bytes, cuts: list[int]) -> None:
        self._send(where, data, cuts)

    def read(self, where: int, most: int) -> None:
        self.places[where % len(self.places)].socket.room = most

    def vanish(self, where: int) -> None:
        self.places[where % len(self.places)].hang_up()

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            self.connector.reactor.advance(0.5)
            self.connector.reactor.settle()
        self.neighbour.notify()
        self.poller.polls, self.poller.posts = Http(self.connector), Http(self.connector)
        self.poller.say("2", '42["a.b.c"]')
        assert "3" in self.poller.packets()
        self.poller.polls.hang_up()
        self.poller.posts.hang_up()
        self.connector.clients = [each for each in self.connector.clients if not each.closed]

    def end(self) -> None:
        """The neighbours are served as ever, and when all have gone nothing is left of them."""
        connector = self.connector
        connector.reactor.settle()
        self.wait(0)
        connector.asked.clear()
        assert is_served(connector, self.neighbour)
        connector.finish()


some = st.integers(0, 7)
cuts = st.lists(st.integers(0, 400), max_size=3)
values = st.sampled_from(["x", "y" * 30_000, "z" * 70_000, b"\1\2", {"é": [1, b"x" * 20_000]}])
steps = st.one_of(
    st.tuples(st.just(Scene.come), st.sampled_from(OPENINGS)),
    st.tuples(st.just(Scene.poll), some, some, some, fields, cuts),
    st.tuples(st.just(Scene.post), some, some, some, bodies, fields, cuts),
    st.tuples(st.just(Scene.post), some, some, some, bodies, fields, cuts),
    st.tuples(st.just(Scene.speak), some, some, packets, cuts),
    st.tuples(st.just(Scene.speak), some, some, st.sampled_from(GOOD), cuts),
    st.tuples(st.just(Scene.try_websocket), some, some, some, cuts),
    st.tuples(st.just(Scene.say), some, frames, cuts),
    st.tuples(st.just(Scene.say), some, frames, cuts),
    st.tuples(st.just(Scene.read), some, st.sampled_from([0, 10, 40_000, 1 << 60])),
    st.tuples(st.just(Scene.vanish), some),
    st.tuples(st.just(Scene.wait), st.sampled_from([0.0, 1.0, 2.5, 4.5])),
    st.tuples(st.just(Scene.answer), st.sampled_from([0, 100, 30_000, 70_000])),
    st.tuples(st.just(Scene.push), values),
    st.tuples(st.just(Scene.kick)),
)


@settings(max_examples=100)
@given(
    st.sampled_from(POLICIES),
    st.sampled_from([0.0, 1e-5]),
    st.lists(steps, min_size=20, max_size=60),
)
def test_any_conversation(policy: Policy, interval: float, play: list[tuple[Any, ...]]) -> None:
    scene = Scene(policy, interval)
    for opening in OPENINGS[:6] + OPENINGS[-1:]:
        scene.come(opening)
    for step, *arguments in play:
        step(scene, *arguments)
    scene.end()


def spoken(pieces: list[bytes]) -> tuple[list[str], bytes]:
    """Which events arrive by a WebSocket, and what comes back."""
    connector = Connector(socketio={})
    client = connector.connect()
    for piece in pieces:
        client.send(piece)
    heard = [asked.message.route for asked in connector.asked]
    _, _, rest = client.take().partition(b"\r\n\r\n")
    (sid,) = connector.lobby.clients if connector.lobby else ("",)
    connector.asked.clear()
    client.hang_up()
    connector.finish()
    return heard, rest.replace(sid.encode(), b"")


@given(st.lists(st.integers(0, 600), max_size=20))
def test_a_websocket_however_it_is_cut(cuts: list[int]) -> None:
    said = upgrade("/socket.io/?EIO=3&transport=websocket") + b"".join(
        frame(f'42["a.b.c","{text}"]'.encode(), 1) for text in ("x", "你好 😀", "y" * 200)
    )
    places = sorted({min(each, len(said)) for each in cuts} | {0, len(said)})
    heard, rest = spoken([said[start:stop] for start, stop in pairwise(places)])
    assert heard == ["a.b.c"] * 3
    assert rest.endswith(b"\x81\x0240")
