// chatcore.js against the bytes of the Pomelo protocol.
import assert from "node:assert/strict";
import test from "node:test";

import { Client, decodeMessage, decodePackages, encodeMessage } from "./chatcore.js";
import { FakeClock, FakeSocket, bytesOf, hex, packed, push, response, settle } from "./fakes.mjs";

const HANDSHAKE = 1;
const OK = { code: 200, sys: {} };
const REFUSED = "0100000c 7b22636f6465223a3530307d";
const KICK = "05000013 7b22726561736f6e223a2261747461636b227d";
const ENTRY = `0400002d 0401 ${Buffer.from('{"code":200,"host":"127.0.0.1","port":3051}').toString("hex")}`;
const BEAT = "03000000";

/** A client that has shaken hands, with its socket and everything that it emits. */
async function connected(t, reply = OK, options = {}) {
  const clock = new FakeClock().install(t);
  const client = new Client();
  const events = [];
  for (const event of ["onKick", "disconnect", "error", "io-error", "heartbeat timeout"]) {
    client.on(event, (value) => events.push([event, value]));
  }
  const opened = client.init({ host: "h", port: 3014, WebSocket: FakeSocket, ...options });
  const socket = FakeSocket.last;
  socket.open();
  socket.receiveJson(HANDSHAKE, reply);
  await opened;
  return { client, socket, clock, events };
}

const names = (events) => events.map(([event]) => event);

test("shakes hands and acknowledges", async (t) => {
  new FakeClock().install(t);
  const client = new Client();
  let user = null;
  const options = { host: "h", port: 3014, user: { a: 1 }, handshakeCallback: (u) => (user = u) };
  const opened = client.init({ ...options, WebSocket: FakeSocket });
  const socket = FakeSocket.last;
  assert.equal(socket.url, "ws://h:3014/");
  assert.equal(socket.binaryType, "arraybuffer");
  socket.open();
  const [{ type, body }] = decodePackages(bytesOf(socket.sent[0]));
  assert.equal(type, HANDSHAKE);
  const greeting = { sys: { type: "js-websocket", version: "0.0.1", rsa: {} }, user: { a: 1 } };
  assert.deepEqual(JSON.parse(Buffer.from(body)), greeting);
  assert.equal(client.connected, false);
  socket.receiveJson(HANDSHAKE, { code: 200, sys: {}, user: { b: 2 } });
  assert.deepEqual(await opened, { code: 200, sys: {}, user: { b: 2 } });
  assert.deepEqual(user, { b: 2 });
  assert.equal(socket.sent[1], "02000000");
  assert.equal(client.connected, true);
});

test("addresses: secure, path, IPv6, no port", (t) => {
  new FakeClock().install(t);
  const urlOf = (options) => {
    const client = new Client();
    client.init({ WebSocket: FakeSocket, ...options }).catch(() => {});
    client.disconnect();
    return FakeSocket.last.url;
  };
  assert.equal(urlOf({ host: "h", port: 1, secure: true, path: "/ws" }), "wss://h:1/ws");
  assert.equal(urlOf({ host: "::1", port: 1 }), "ws://[::1]:1/");
  assert.equal(urlOf({ host: "[::1]", port: 1 }), "ws://[::1]:1/");
  assert.equal(urlOf({ host: "chat.example" }), "ws://chat.example/");
});

test("the ids of requests are varints", () => {
  const headOf = (id) => hex(encodeMessage({ type: 0, id, route: "a.b.c", body: bytesOf("") }));
  const route = "05612e622e63";
  assert.equal(headOf(1), `0001${route}`);
  assert.equal(headOf(127), `007f${route}`);
  assert.equal(headOf(128), `008001${route}`);
  assert.equal(headOf(300), `00ac02${route}`);
  assert.equal(headOf(0x7fffffff), `00ffffffff07${route}`);
  for (const [bytes, id] of [["0401", 1], ["047f", 127], ["048001", 128], ["04ac02", 300]]) {
    assert.equal(decodeMessage(bytesOf(bytes)).id, id);
  }
  assert.equal(decodeMessage(bytesOf("04ffffffff0f")).id, 0xffffffff);
});

test("a request and its answer, to the byte", async (t) => {
  const { client, socket } = await connected(t);
  const answered = client.request("gate.gateHandler.queryEntry", { uid: "alice" });
  const body = Buffer.from('\x00\x01\x1bgate.gateHandler.queryEntry{"uid":"alice"}');
  assert.equal(socket.sent.at(-1), packed(4, body.toString("hex")));
  socket.receive(ENTRY);
  assert.deepEqual(await answered, { code: 200, host: "127.0.0.1", port: 3051 });
});

test("many requests at once, answered in another order", async (t) => {
  const { client, socket } = await connected(t);
  const answers = Array.from({ length: 300 }, (_, n) => client.request("a.b.c", { n: n + 1 }));
  assert.match(socket.sent.at(-1), /^040000[0-9a-f]{2}00ac02/);
  socket.receive(response("ac02", { is: 300 }));
  socket.receive(response("8001", { is: 128 }));
  socket.receive("04000004 0402 7b7d");
  assert.deepEqual(await answers[299], { is: 300 });
  assert.deepEqual(await answers[127], { is: 128 });
  assert.deepEqual(await answers[1], {});
});

test("callbacks, with and without a message", async (t) => {
  const { client, socket } = await connected(t);
  const replies = [];
  client.request("a.b.c", { x: 1 }, (reply) => replies.push(reply));
  client.request("a.b.c", (reply) => replies.push(reply));
  assert.ok(socket.lastBody.endsWith(Buffer.from("c{}").toString("hex")));
  socket.receive(response("01", { n: 1 }) + response("02", { n: 2 }));
  await settle();
  assert.deepEqual(replies, [{ n: 1 }, { n: 2 }]);
});

test("a notify has no id", async (t) => {
  const { client, socket } = await connected(t);
  client.notify("a.b.c", { x: 1 });
  assert.equal(socket.lastBody, Buffer.from('\x02\x05a.b.c{"x":1}').toString("hex"));
});

test("text is UTF-8 in both directions", async (t) => {
  const { client, socket } = await connected(t);
  const text = "中文 é 👩‍🚀 <b>";
  let heard = null;
  client.on("消息", (body) => (heard = body));
  client.notify("a.b.c", { text });
  assert.ok(socket.lastBody.endsWith(Buffer.from(JSON.stringify({ text })).toString("hex")));
  socket.receive(push("消息", { text }));
  assert.deepEqual(heard, { text });
});

test("several packages in one frame, in order", async (t) => {
  const { client, socket } = await connected(t);
  const heard = [];
  client.on("onAdd", ({ user }) => heard.push(user));
  client.on("onChat", ({ msg }) => heard.push(msg));
  const answered = client.request("a.b.c", {});
  socket.receive(
    push("onAdd", { user: "bob" }) + BEAT + response("01", { n: 1 }) + push("onChat", { msg: "hi" }),
  );
  assert.deepEqual(heard, ["bob", "hi"]);
  assert.deepEqual(await answered, { n: 1 });
});

test("a frame that ends inside a package ends the connection", async (t) => {
  const { client, socket, events } = await connected(t);
  socket.receive(`${push("onAdd", { user: "bob" })}0400`);
  assert.deepEqual(names(events), ["error", "disconnect"]);
  assert.equal(events[0][1].code, "protocol");
  assert.equal(socket.closed, true);
  assert.equal(client.connected, false);
});

test("a package of no known type ends the connection", async (t) => {
  const { socket, events } = await connected(t);
  socket.receive("09000000");
  assert.deepEqual(names(events), ["error", "disconnect"]);
});

test("a broken message is an error, and the next one is heard", async (t) => {
  const { client, socket, events } = await connected(t);
  const heard = [];
  client.on("onAdd", ({ user }) => heard.push(user));
  for (const bad of ["0606", "0605", "07", "06056f6e4164647b", "00", ""]) {
    socket.receive(packed(4, bad));
  }
  socket.receive(push("onAdd", { user: "bob" }));
  assert.deepEqual(names(events), Array(6).fill("error"));
  assert.ok(events.every(([, error]) => error.code === "protocol"));
  assert.deepEqual(heard, ["bob"]);
});

test("an answer that is not JSON rejects its request only", async (t) => {
  const { client, socket, events } = await connected(t);
  const answered = client.request("a.b.c");
  socket.receive(packed(4, "04017b"));
  await assert.rejects(answered, { code: "protocol" });
  assert.equal(client.connected, true);
  assert.deepEqual(events, []);
});

test("routes that the server's dictionary knows go as codes, both ways", async (t) => {
  const sys = { routeToCode: { "a.b.c": 1, onChat: 300 }, codeToRoute: { 1: "a.b.c", 300: "onChat" } };
  const { client, socket, events } = await connected(t, { code: 200, sys });
  let heard = null;
  client.on("onChat", (body) => (heard = body));
  client.notify("a.b.c", {});
  assert.equal(socket.lastBody, "0300017b7d");
  client.request("a.b.c", {});
  assert.equal(socket.lastBody, "010100017b7d");
  client.notify("a.b.d", {});
  assert.equal(socket.lastBody, "0205612e622e647b7d");
  socket.receive(packed(4, "07012c7b7d"));
  assert.deepEqual(heard, {});
  socket.receive(packed(4, "0700637b7d"));
  assert.match(events[0][1].message, /99/);
});

test("a compressed body is refused, not misread", async (t) => {
  const { client, socket } = await connected(t);
  const answered = client.request("a.b.c");
  socket.receive(packed(4, "14017b7d"));
  await assert.rejects(answered, { code: "unsupported" });
});

test("a route of more than 255 bytes is refused", async (t) => {
  const { client } = await connected(t);
  await assert.rejects(client.request("中".repeat(86)), { code: "usage" });
});

for (const [code, word] of [[500, /refused/], [501, /version/]]) {
  test(`handshake code ${code}`, async (t) => {
    const clock = new FakeClock().install(t);
    const client = new Client();
    const errors = [];
    client.on("error", (error) => errors.push(error));
    const opened = client.init({ host: "h", WebSocket: FakeSocket });
    FakeSocket.last.open();
    if (code === 500) FakeSocket.last.receive(REFUSED);
    else FakeSocket.last.receiveJson(HANDSHAKE, { code });
    await assert.rejects(opened, { code: "handshake", status: code, message: word });
    assert.equal(errors.length, 1);
    assert.equal(FakeSocket.last.sent.length, 1);
    assert.equal(FakeSocket.last.closed, true);
    assert.equal(clock.waiting, 0);
  });
}

test("a server that never answers the handshake", async (t) => {
  const clock = new FakeClock().install(t);
  const client = new Client();
  const opened = client.init({ host: "h", timeout: 3000, WebSocket: FakeSocket });
  const refused = assert.rejects(opened, { code: "timeout" });
  FakeSocket.last.open();
  await clock.advance(2999);
  assert.equal(FakeSocket.last.closed, false);
  await clock.advance(1);
  await refused;
  assert.equal(FakeSocket.last.closed, true);
});

test("no connection at all", async (t) => {
  new FakeClock().install(t);
  const client = new Client();
  const events = [];
  client.on("io-error", () => events.push("io-error"));
  client.on("close", () => events.push("close"));
  const opened = client.init({ host: "h", WebSocket: FakeSocket });
  FakeSocket.last.onerror({});
  FakeSocket.last.drop();
  await assert.rejects(opened, { code: "connect" });
  assert.deepEqual(events, ["io-error", "close"]);
});

test("an address that no WebSocket takes", async (t) => {
  const clock = new FakeClock().install(t);
  class Refusing {
    constructor() {
      throw new SyntaxError("bad address");
    }
  }
  const opened = new Client().init({ host: "no host", WebSocket: Refusing });
  await assert.rejects(opened, { code: "connect", message: /bad address/ });
  assert.equal(clock.waiting, 0);
});

test("heartbeats: answered after the interval, once, and watched", async (t) => {
  const { socket, clock, events, client } = await connected(t, { code: 200, sys: { heartbeat: 3 } });
  const beats = () => socket.sent.filter((frame) => frame === BEAT).length;
  socket.receive(BEAT);
  await clock.advance(2999);
  assert.equal(beats(), 0);
  await clock.advance(1);
  assert.equal(beats(), 1);
  socket.receive(BEAT);
  await clock.advance(3000);
  assert.equal(beats(), 2);
  await clock.advance(6099);
  assert.equal(client.connected, true);
  await clock.advance(1);
  assert.deepEqual(names(events), ["heartbeat timeout", "disconnect"]);
  assert.equal(socket.closed, true);
  assert.equal(clock.waiting, 0);
});

test("heartbeats: any package shows that the server lives", async (t) => {
  const { socket, clock, client } = await connected(t, { code: 200, sys: { heartbeat: 3 } });
  await clock.advance(3000);
  await clock.advance(5000);
  socket.receive(push("onAdd", { user: "bob" }));
  await clock.advance(6099);
  assert.equal(client.connected, true);
  await clock.advance(1);
  assert.equal(client.connected, false);
});

test("heartbeats: none are sent where the server has none", async (t) => {
  const { socket, clock, client } = await connected(t);
  socket.receive(BEAT);
  await clock.advance(60_000);
  assert.deepEqual(socket.sent.slice(2), []);
  assert.equal(client.connected, true);
});

test("a kick is told with its reason, and ends everything", async (t) => {
  const { client, socket, events } = await connected(t);
  const answered = client.request("a.b.c");
  socket.receive(KICK);
  await assert.rejects(answered, { code: "kicked", message: /attack/ });
  assert.deepEqual(names(events), ["onKick", "disconnect"]);
  assert.deepEqual(events[0][1], { reason: "attack" });
  assert.equal(events[1][1].error.code, "kicked");
});

test("a request that nobody answers", async (t) => {
  const { client, socket, clock } = await connected(t);
  const answered = client.request("a.b.c");
  let over = false;
  answered.catch(() => (over = true));
  const refused = assert.rejects(answered, { code: "timeout", message: /a\.b\.c/ });
  await clock.advance(14_999);
  assert.equal(over, false);
  await clock.advance(1);
  await refused;
  socket.receive(response("01", { late: true }));
  assert.equal(client.connected, true);
  assert.equal(clock.waiting, 0);
});

test("requests under way are rejected when the connection ends", async (t) => {
  const { client, socket, clock, events } = await connected(t);
  const answers = [client.request("a.b.c"), client.request("a.b.d")];
  socket.drop(1001);
  for (const answered of answers) await assert.rejects(answered, { code: "closed" });
  assert.equal(events[0][1].code, 1001);
  assert.equal(clock.waiting, 0);
  await assert.rejects(client.request("a.b.c"), { code: "closed" });
  assert.throws(() => client.notify("a.b.c"), { code: "closed" });
});

test("a failed request with a callback is an error event", async (t) => {
  const { client, socket, events } = await connected(t);
  let called = false;
  client.request("a.b.c", {}, () => (called = true));
  socket.drop();
  await settle();
  assert.equal(called, false);
  assert.ok(names(events).includes("error"));
});

test("disconnect: events come at once, and nothing of the old connection after", async (t) => {
  const { client, socket, events, clock } = await connected(t, { code: 200, sys: { heartbeat: 3 } });
  client.disconnect();
  assert.deepEqual(names(events), ["disconnect"]);
  assert.equal(socket.closed, true);
  assert.equal(socket.onmessage, null);
  assert.equal(clock.waiting, 0);
  client.disconnect();
  assert.equal(events.length, 1);
});

test("init again: the next server with the same client", async (t) => {
  const { client, socket } = await connected(t);
  const opened = client.init({ host: "next", port: 3050, WebSocket: FakeSocket });
  assert.equal(socket.closed, true);
  FakeSocket.last.open();
  FakeSocket.last.receiveJson(HANDSHAKE, OK);
  await opened;
  const answered = client.request("a.b.c");
  FakeSocket.last.receive(response("01", { n: 1 }));
  assert.deepEqual(await answered, { n: 1 });
});

test("init with a callback, as in Pomelo", async (t) => {
  new FakeClock().install(t);
  const client = new Client();
  let given = null;
  client.init({ host: "h", WebSocket: FakeSocket }, (socket) => (given = socket));
  FakeSocket.last.open();
  FakeSocket.last.receiveJson(HANDSHAKE, OK);
  await settle();
  assert.equal(given, FakeSocket.last);
});

test("on, once, off; a listener's mistake stays its own", async (t) => {
  const { client, socket } = await connected(t);
  const heard = [];
  const always = ({ user }) => heard.push(`always ${user}`);
  const caught = [];
  const { queueMicrotask } = globalThis;
  globalThis.queueMicrotask = (fn) => {
    try {
      fn();
    } catch (error) {
      caught.push(error.message);
    }
  };
  t.after(() => (globalThis.queueMicrotask = queueMicrotask));
  client.on("onAdd", () => {
    throw new Error("mine");
  });
  client.on("onAdd", always);
  client.once("onAdd", ({ user }) => heard.push(`once ${user}`));
  socket.receive(push("onAdd", { user: "a" }) + push("onAdd", { user: "b" }));
  client.off("onAdd", always);
  socket.receive(push("onAdd", { user: "c" }));
  client.off("onAdd");
  socket.receive(push("onAdd", { user: "d" }));
  assert.deepEqual(heard, ["always a", "once a", "always b"]);
  assert.deepEqual(caught, ["mine", "mine", "mine"]);
});

const MOVED = { reason: "moved", host: "other", port: 3015 };

/** Servers that accept or refuse whoever comes, and what comes of it. */
async function follower(t, options = {}) {
  t.mock.method(Math, "random", () => 0);
  t.mock.method(Date, "now", () => all.clock.now());
  const all = await connected(t, OK, options);
  const { client, clock, events, socket } = all;
  const seen = FakeSocket.made.length;
  for (const event of ["moved", "reconnect", "close"]) {
    client.on(event, (value) => events.push([event, value]));
  }
  return {
    ...all,
    kick: (value = MOVED, from = socket) => from.receiveJson(5, value),
    tried: () => FakeSocket.made.slice(seen).map(({ url }) => url),
    async accept() {
      FakeSocket.last.open();
      FakeSocket.last.receiveJson(HANDSHAKE, { code: 200, sys: {}, user: { n: 1 } });
      await settle();
    },
    async refuse() {
      FakeSocket.last.onerror({});
      FakeSocket.last.drop();
      await clock.advance(10_000);
    },
  };
}

test("a kick that names another server is an event of its own", async (t) => {
  const { client, kick, events } = await follower(t);
  const answered = client.request("a.b.c");
  kick();
  await assert.rejects(answered, { code: "moved", place: { host: "other", port: 3015 } });
  assert.deepEqual(names(events), ["onKick", "moved", "close", "disconnect"]);
  assert.deepEqual(events[0][1], MOVED);
  assert.deepEqual(events[1][1], { host: "other", port: 3015 });
  assert.equal(events[3][1].error.code, "moved");
});

test("what is no place is none", async (t) => {
  for (const odd of [{}, { host: "", port: 1 }, { host: 1, port: 1 }, { host: "h", port: 65536 }]) {
    const { kick, events } = await follower(t);
    kick({ reason: "moved", ...odd });
    assert.deepEqual(events[1], ["moved", { host: null, port: null }]);
  }
});

test("follows by itself, and tells when it is there", async (t) => {
  const { client, kick, events, clock, accept, tried } = await follower(t, { follow: true });
  kick();
  assert.equal(client.connected, false);
  await clock.advance(0);
  assert.deepEqual(tried(), ["ws://other:3015/"]);
  await accept();
  assert.equal(client.connected, true);
  assert.deepEqual(names(events), ["onKick", "moved", "reconnect"]);
  assert.deepEqual(events[2][1], { host: "other", port: 3015, user: { n: 1 } });
  FakeSocket.last.drop();
  assert.deepEqual(names(events).slice(3), ["close", "disconnect"]);
  assert.equal(clock.waiting, 0);
});

test("the wait before is partly chance", async (t) => {
  const { kick, clock, tried } = await follower(t, { follow: true });
  t.mock.method(Math, "random", () => 0.5);
  kick();
  await clock.advance(99);
  assert.deepEqual(tried(), []);
  await clock.advance(1);
  assert.equal(tried().length, 1);
});

test("keeps the scheme and the path, and its host where the named one is none", async (t) => {
  const options = { follow: true, secure: true, path: "/ws" };
  const { kick, clock, tried } = await follower(t, options);
  kick({ reason: "moved", host: "0.0.0.0", port: 3015 });
  await clock.advance(0);
  assert.deepEqual(tried(), ["wss://h:3015/ws"]);
});

test("gives up where nobody takes it in", async (t) => {
  const { kick, events, clock, refuse, tried } = await follower(t, { follow: true });
  kick();
  await clock.advance(0);
  for (let n = 0; n < 8; n += 1) await refuse();
  assert.deepEqual(tried(), Array(8).fill("ws://other:3015/"));
  assert.deepEqual(names(events), ["onKick", "moved", "close", "disconnect"]);
  assert.equal(events[3][1].error.code, "moved");
  assert.equal(clock.waiting, 0);
});

test("asks where to go when none is named, or it can't be reached", async (t) => {
  const found = [];
  const follow = async () => {
    found.push("asked");
    return { host: "third", port: 3016 };
  };
  const { kick, events, clock, refuse, accept, tried } = await follower(t, { follow });
  kick();
  await clock.advance(0);
  for (let n = 0; n < 3; n += 1) await refuse();
  assert.deepEqual(tried(), [...Array(3).fill("ws://other:3015/"), "ws://third:3016/"]);
  await accept();
  kick({ reason: "moved" }, FakeSocket.last);
  await clock.advance(10_000);
  assert.deepEqual(tried().slice(4), ["ws://third:3016/"]);
  await accept();
  assert.deepEqual(found, ["asked", "asked"]);
  assert.deepEqual(names(events).slice(-4), ["reconnect", "onKick", "moved", "reconnect"]);
});

test("servers that send it back and forth are not followed for ever", async (t) => {
  const { kick, events, clock, accept, tried } = await follower(t, { follow: true });
  let last = FakeSocket.last;
  for (let n = 0; n < 8; n += 1) {
    kick(MOVED, last);
    while (FakeSocket.last === last) await clock.advance(50);
    last = FakeSocket.last;
    await accept();
  }
  kick(MOVED, last);
  await clock.advance(60_000);
  assert.equal(tried().length, 8);
  assert.equal(events.at(-1)[0], "disconnect");
});

test("a connection that has lasted counts anew", async (t) => {
  const { kick, clock, accept, tried } = await follower(t, { follow: true });
  for (let n = 0; n < 20; n += 1) {
    kick(MOVED, FakeSocket.last);
    await clock.advance(0);
    await accept();
    await clock.advance(10_000);
  }
  assert.equal(tried().length, 20);
});

test("to disconnect, or to init, is to follow no more", async (t) => {
  const { client, kick, events, clock, tried } = await follower(t, { follow: true });
  kick();
  client.disconnect();
  await clock.advance(60_000);
  assert.deepEqual(tried(), []);
  assert.deepEqual(names(events), ["onKick", "moved", "close", "disconnect"]);
  const other = await follower(t, { follow: true });
  other.kick();
  await other.clock.advance(0);
  other.client.init({ host: "mine", port: 1, WebSocket: FakeSocket });
  await other.clock.advance(5_000);
  assert.deepEqual(other.tried(), ["ws://other:3015/", "ws://mine:1/"]);
  other.client.disconnect();
});
