// What chatcore.js and a server agree on: route codes and protobuf, said once and kept.
import assert from "node:assert/strict";
import test from "node:test";

import { decodePackages } from "./chatcore.js";
import { FakeClock, FakeSocket, bytesOf, packed, push, response } from "./fakes.mjs";

const HANDSHAKE = 1;
const string = (tag) => ({ option: "required", type: "string", tag });
const message = (fields) => ({ ...fields, __messages: {}, __tags: {} });

// As captured from Pomelo 2.2.7 with the tutorials' chat.
const CODES = {
  "chat.chatHandler.send": 1,
  "connector.entryHandler.enter": 2,
  "gate.gateHandler.queryEntry": 3,
};
const DICTIONARY = {
  dict: CODES,
  routeToCode: CODES,
  codeToRoute: Object.fromEntries(Object.entries(CODES).map(([route, code]) => [code, route])),
  dictVersion: "s2r1qfKDrbhWCkA6uf+PTA==",
};
const ON_CHAT = message({ msg: string(1), from: string(2), target: string(3) });
const PROTOS = { server: { onChat: ON_CHAT }, client: {}, version: "2zWPnSlRsRxjqgcU215Uxg==" };
const GATE = { protos: PROTOS, useProto: true };
const CONNECTOR = { ...DICTIONARY, useDict: true, protos: PROTOS, useProto: true };
const HI_ALL = "06066f6e436861740a06686920616c6c1205616c6963651a012a";
const SAID = { msg: "hi all", from: "alice", target: "*" };

let pages = 0;

/** A page of its own, which knows nothing yet: `connect` makes a client of it shake hands. */
async function page(t, storage) {
  new FakeClock().install(t);
  Object.defineProperty(globalThis, "localStorage", { configurable: true, ...storage });
  t.after(() => delete globalThis.localStorage);
  const { Client } = await import(`./chatcore.js?page=${(pages += 1)}`);

  return async function connect(sys, port = 3014) {
    const client = new Client();
    const heard = [];
    for (const event of ["onChat", "onAdd", "error", "disconnect"]) {
      client.on(event, (value) => heard.push([event, value]));
    }
    const opened = client.init({ host: "h", port, WebSocket: FakeSocket });
    const socket = FakeSocket.last;
    socket.open();
    const greeting = JSON.parse(Buffer.from(decodePackages(bytesOf(socket.sent[0]))[0].body));
    socket.receiveJson(HANDSHAKE, { code: 200, sys });
    const failed = await opened.then(() => null, (error) => error);
    const { dictVersion, protoVersion } = greeting.sys;
    return { client, socket, heard, failed, offered: [dictVersion, protoVersion] };
  };
}

/** A storage that holds texts, as a browser's does. */
function storage(texts = new Map()) {
  const getItem = (key) => texts.get(key) ?? null;
  return { texts, value: { getItem, setItem: (key, text) => texts.set(key, text) } };
}

const NONE = { value: undefined };
const OFFERED = [DICTIONARY.dictVersion, PROTOS.version];
const KNOWN = { heartbeat: 3, useDict: true, useProto: true };

test("a push in protobuf, to the captured byte; the others stay JSON", async (t) => {
  const connect = await page(t, NONE);
  const { socket, heard } = await connect(GATE);
  socket.receive(packed(4, HI_ALL) + push("onAdd", { user: "bob" }));
  assert.deepEqual(heard, [["onChat", SAID], ["onAdd", { user: "bob" }]]);
});

test("requests and notifies by the client's schemas, answers by the server's", async (t) => {
  const count = { option: "optional", type: "uInt32", tag: 2 };
  const protos = {
    client: { "a.b.c": message({ x: string(1), count }) },
    server: { "a.b.c": message({ y: string(1) }) },
  };
  const connect = await page(t, NONE);
  const { client, socket } = await connect({ protos, useProto: true });
  const answered = client.request("a.b.c", { x: "hé", count: 300, unknown: 1 });
  assert.equal(socket.lastBody, "0001 05612e622e63 0a0368c3a9 10ac02".replaceAll(" ", ""));
  client.notify("a.b.c", { count: null, x: "" });
  assert.equal(socket.lastBody, "02 05612e622e63 0a00".replaceAll(" ", ""));
  const another = client.request("a.b.d");
  assert.ok(socket.lastBody.endsWith(Buffer.from("{}").toString("hex")));
  socket.receive(packed(4, "0401 0a026869") + response("02", { y: 1 }));
  assert.deepEqual(await answered, { y: "hi" });
  assert.deepEqual(await another, { y: 1 });
});

test("what doesn't fit a schema names its route and field, and hurts nothing else", async (t) => {
  const protos = { client: { "a.b.c": message({ x: string(1) }) }, server: { onChat: ON_CHAT } };
  const connect = await page(t, NONE);
  const { client, socket, heard } = await connect({ protos });
  const sent = socket.sent.length;
  const missing = { code: "usage", message: /to a\.b\.c: 'x' is required, and missing/ };
  await assert.rejects(client.request("a.b.c"), missing);
  const wrong = { code: "usage", message: /a\.b\.c: 'x' is 5, where text was expected/ };
  assert.throws(() => client.notify("a.b.c", { x: 5 }), wrong);
  assert.equal(socket.sent.length, sent);
  socket.receive(packed(4, "06066f6e436861740a7f68"));
  socket.receive(packed(4, HI_ALL));
  assert.match(heard[0][1].message, /no onChat: 'msg' goes 126 bytes beyond the end/);
  assert.equal(heard[0][1].code, "protocol");
  assert.deepEqual(heard[1], ["onChat", SAID]);
});

test("emoji are read from UTF-8 and from halves, in text and in JSON", async (t) => {
  const connect = await page(t, NONE);
  const { socket, heard } = await connect(GATE);
  const halves = "eda0bdedb880";
  for (const text of ["f09f9880", halves]) {
    socket.receive(packed(4, `06066f6e43686174 0a0${1 + text.length / 2} 61${text} 1200 1a00`));
    socket.receive(packed(4, `06056f6e416464 22 ${text} efbbbf ed959c ${text} 22`));
  }
  const chat = ["onChat", { msg: "a😀", from: "", target: "" }];
  const add = ["onAdd", "😀\ufeff한😀"];
  assert.deepEqual(heard.splice(0), [chat, add, chat, add]);
  for (const broken of ["eda0bd", "edb880", "edb880eda0bd", `f0${halves}`, "eda0bdedb8"]) {
    socket.receive(packed(4, `06056f6e41646422${broken}22`));
  }
  const refused = heard.map(([event, { code }]) => `${event} ${code}`);
  assert.deepEqual(refused, Array(5).fill("error protocol"));
});

test("a server need not say again what it said before", async (t) => {
  const connect = await page(t, NONE);
  const first = await connect(CONNECTOR);
  assert.deepEqual(first.offered, [undefined, undefined]);
  const { client, socket, heard, offered } = await connect(KNOWN);
  assert.deepEqual(offered, OFFERED);
  socket.receive(packed(4, HI_ALL));
  assert.deepEqual(heard, [["onChat", SAID]]);
  client.notify("chat.chatHandler.send", {});
  assert.equal(socket.lastBody, "0300017b7d");
});

test("what is offered is not used where the server doesn't want it", async (t) => {
  const connect = await page(t, NONE);
  await connect(CONNECTOR);
  const { client, socket, heard, offered } = await connect({});
  assert.deepEqual(offered, OFFERED);
  socket.receive(push("onChat", { text: "in JSON" }));
  assert.deepEqual(heard, [["onChat", { text: "in JSON" }]]);
  client.notify("chat.chatHandler.send", {});
  assert.match(socket.lastBody, /^02156368/);
});

test("each server has versions of its own, and a new one is offered the last", async (t) => {
  const connect = await page(t, NONE);
  await connect({ protos: { ...PROTOS, version: "gate" }, useProto: true }, 3014);
  await connect({ ...CONNECTOR, protos: { ...PROTOS, version: "connector" } }, 3050);
  assert.deepEqual((await connect(KNOWN, 3014)).offered, [OFFERED[0], "gate"]);
  assert.deepEqual((await connect(KNOWN, 3050)).offered, [OFFERED[0], "connector"]);
  assert.deepEqual((await connect(KNOWN, 3051)).offered, [OFFERED[0], "connector"]);
});

test("a server that changed says so, and is believed", async (t) => {
  const connect = await page(t, NONE);
  await connect(CONNECTOR);
  const changed = { routeToCode: { onAdd: 7 }, codeToRoute: { 7: "onAdd" }, dictVersion: "new" };
  const { socket, heard } = await connect({ ...CONNECTOR, ...changed });
  socket.receive(packed(4, "0700077b7d"));
  assert.deepEqual(heard, [["onAdd", {}]]);
  assert.deepEqual((await connect(KNOWN)).offered, ["new", OFFERED[1]]);
});

for (const [flag, what] of [["useDict", /a route dictionary/], ["useProto", /protobuf schemas/]]) {
  test(`${flag} without what is used`, async (t) => {
    const connect = await page(t, NONE);
    const { failed, heard, socket } = await connect({ [flag]: true });
    assert.equal(failed.code, "handshake");
    assert.match(failed.message, what);
    assert.deepEqual(heard.map(([event]) => event), ["error", "disconnect"]);
    assert.equal(socket.sent.length, 1);
    assert.equal(socket.closed, true);
  });
}

const UNUSABLE = {
  "a dictionary that is a list": { routeToCode: [] },
  "a code that is a text": { routeToCode: { onAdd: "1" } },
  "a code that has three bytes": { routeToCode: { onAdd: 65536 } },
  "a route that is a number": { routeToCode: {}, codeToRoute: { 1: 5 } },
  "schemas that are a text": { protos: { server: "onChat" } },
  "a type that is none": { protos: { client: { "a.b.c": { x: { ...string(1), type: "P" } } } } },
};

for (const [what, sys] of Object.entries(UNUSABLE)) {
  test(`refuses ${what}, and forgets it`, async (t) => {
    const { texts, value } = storage();
    const connect = await page(t, { value });
    const { failed } = await connect({ ...sys, dictVersion: "v" });
    assert.equal(failed.code, "protocol");
    assert.equal(texts.size, 0);
    assert.deepEqual((await connect({})).offered, [undefined, undefined]);
  });
}

test("the codes are read from `dict` alone as well", async (t) => {
  const connect = await page(t, NONE);
  const dict = { "a.b.c": 1, onAdd: 2 };
  const { client, socket, heard } = await connect({ dict, useDict: true });
  client.notify("a.b.c", {});
  assert.equal(socket.lastBody, "0300017b7d");
  socket.receive(packed(4, "0700027b7d"));
  assert.deepEqual(heard, [["onAdd", {}]]);
});

test("the next page finds it in the storage", async (t) => {
  const { texts, value } = storage();
  const before = await page(t, { value });
  await before(CONNECTOR);
  assert.deepEqual([...texts.keys()], ["chatcore.dictionaries", "chatcore.schemas"]);
  const connect = await page(t, { value });
  const { client, socket, heard, offered } = await connect(KNOWN);
  assert.deepEqual(offered, OFFERED);
  socket.receive(packed(4, HI_ALL));
  assert.deepEqual(heard, [["onChat", SAID]]);
  client.notify("gate.gateHandler.queryEntry", {});
  assert.equal(socket.lastBody, "0300037b7d");
});

test("nothing is written to the storage that is there already", async (t) => {
  let written = 0;
  const value = { getItem: () => null, setItem: () => (written += 1) };
  const connect = await page(t, { value });
  await connect(CONNECTOR);
  await connect(KNOWN);
  assert.equal(written, 2);
});

test("what has no version is said each time", async (t) => {
  const connect = await page(t, NONE);
  for (const version of [undefined, "", 5, null]) {
    const protos = { ...PROTOS, version };
    assert.deepEqual((await connect({ ...GATE, protos })).offered, [undefined, undefined]);
  }
});

test("only so many versions and servers are kept", async (t) => {
  const { texts, value } = storage();
  const connect = await page(t, { value });
  for (let n = 1; n <= 100; n += 1) {
    await connect({ ...GATE, protos: { ...PROTOS, version: `v${n}` } }, n);
  }
  const [versions, servers] = JSON.parse(texts.get("chatcore.schemas"));
  const expected = [93, 94, 95, 96, 97, 98, 99, 100].map((n) => `v${n}`);
  assert.deepEqual(versions.map(([version]) => version), expected);
  assert.equal(servers.length, 64);
  assert.deepEqual((await connect(KNOWN, 93)).offered, [undefined, "v93"]);
  assert.deepEqual((await connect({}, 92)).offered, [undefined, undefined]);
});

const forbidden = () => {
  throw new Error("forbidden");
};
const BAD_STORAGES = {
  "that may not be looked at": { get: forbidden },
  "that is full": { value: { getItem: () => null, setItem: forbidden } },
  "that is forbidden": { value: { getItem: forbidden, setItem: forbidden } },
  "that is null": { value: null },
};
const MINE = '[["ws://h:3014/","v"]]';
const JUNK = [
  ...["", "{", "null", "5", "[]", "[[]]", "[5,5]", "[[[]],[]]", "\0"],
  `[[["v",null]],${MINE}]`,
  `[[["v",{"routeToCode":5,"server":5}]],${MINE}]`,
];
for (const text of JUNK) {
  const value = { getItem: () => text, setItem() {} };
  BAD_STORAGES[`that holds ${JSON.stringify(text)}`] = { value };
}

for (const [what, bad] of Object.entries(BAD_STORAGES)) {
  test(`a storage ${what} is no hindrance`, async (t) => {
    const connect = await page(t, bad);
    const { failed, offered } = await connect(CONNECTOR);
    assert.equal(failed, null);
    assert.deepEqual(offered, [undefined, undefined]);
    const again = await connect(KNOWN);
    assert.equal(again.failed, null);
    assert.deepEqual(again.offered, OFFERED);
  });
}
