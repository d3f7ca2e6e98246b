// connection.js: entering, losing and finding the room again, with time and servers in our hands.
import assert from "node:assert/strict";
import test from "node:test";

import { ClientError } from "./chatcore.js";
import { Room, backOff, reachable } from "./connection.js";
import { FakeClock, settle } from "./fakes.mjs";

const GATE = { host: null, port: 3014 };
const ENTRY = { code: 200, host: "127.0.0.1", port: 3050 };
const down = () => {
  throw new ClientError("connect", "down");
};

/** Servers as the room's clients see them: what `answers` says, by route, or for `init` by port. */
class World {
  clock = new FakeClock();
  events = [];
  clients = [];
  calls = [];
  random = 0.5;
  answers = {
    "gate.gateHandler.queryEntry": () => ENTRY,
    "connector.entryHandler.enter": ({ username }) => ({ users: [username, "bob"] }),
    "chat.chatHandler.send": () => ({}),
  };

  constructor({ pageHost = "127.0.0.1", gate = GATE } = {}) {
    this.room = new Room({
      report: (event, value) => this.events.push([event, value]),
      locateGate: async () => gate,
      pageHost,
      createClient: () => this.#client(),
      clock: this.clock,
      random: () => this.random,
    });
  }

  #client() {
    const world = this;
    const client = {
      listeners: {},
      ended: false,
      async init(options) {
        world.calls.push(`init ${options.host}:${options.port}`);
        world.answers[options.port]?.(options);
      },
      async request(route, msg) {
        world.calls.push(route);
        return world.answers[route](msg, client);
      },
      on(event, listener) {
        this.listeners[event] = listener;
      },
      emit(event, value) {
        this.listeners[event]?.(value);
      },
      disconnect() {
        if (this.ended) return;
        this.ended = true;
        this.emit("disconnect", {});
      },
    };
    this.clients.push(client);
    return client;
  }

  get open() {
    return this.clients.filter((client) => !client.ended);
  }

  states() {
    return this.events.filter(([event]) => event === "state").map(([, { phase }]) => phase);
  }

  heard(event) {
    return this.events.filter(([name]) => name === event).map(([, value]) => value);
  }

  problems() {
    return this.heard("state").map(({ problem }) => problem?.kind);
  }

  /** The connection breaks, as a network does it. */
  lose() {
    this.open[0].disconnect();
  }

  async join() {
    await this.room.join("alice", "lobby");
    return this;
  }
}

const enter = "connector.entryHandler.enter";

test("goes by the gate to the connector, and leaves the gate", async () => {
  const world = await new World().join();
  assert.deepEqual(world.calls, [
    "init 127.0.0.1:3014",
    "gate.gateHandler.queryEntry",
    "init 127.0.0.1:3050",
    enter,
  ]);
  assert.deepEqual(world.states(), ["entering", "in"]);
  assert.equal(world.heard("state")[1].server, "127.0.0.1:3050");
  assert.deepEqual(world.heard("users"), [["alice", "bob"]]);
  assert.equal(world.open.length, 1);
});

test("hosts that mean `here` to the server", () => {
  assert.equal(reachable(null, "chat.example"), "chat.example");
  assert.equal(reachable("0.0.0.0", "chat.example"), "chat.example");
  assert.equal(reachable("::", "localhost"), "localhost");
  assert.equal(reachable("127.0.0.1", "10.0.0.7"), "10.0.0.7");
  assert.equal(reachable("localhost", "10.0.0.7"), "10.0.0.7");
  assert.equal(reachable("[::1]", "10.0.0.7"), "10.0.0.7");
  assert.equal(reachable("127.0.0.1", "localhost"), "127.0.0.1");
  assert.equal(reachable("10.0.0.8", "10.0.0.7"), "10.0.0.8");
});

test("a page from another machine reaches gate and connector there", async () => {
  const gate = { host: "127.0.0.1", port: 3014 };
  const world = await new World({ pageHost: "10.0.0.7", gate }).join();
  assert.deepEqual(
    world.calls.filter((call) => call.startsWith("init")),
    ["init 10.0.0.7:3014", "init 10.0.0.7:3050"],
  );
});

const FAILURES = {
  gate: { 3014: down },
  "no-server": { "gate.gateHandler.queryEntry": () => ({ code: 500 }) },
  connector: { 3050: down },
  duplicate: { [enter]: () => ({ code: 500, error: true }) },
  refused: { [enter]: () => ({ code: 500 }) },
  version: {
    3014: () => {
      throw new ClientError("handshake", "old", 501);
    },
  },
};

for (const [kind, answers] of Object.entries(FAILURES)) {
  test(`joining fails at once and says why: ${kind}`, async () => {
    const world = new World();
    Object.assign(world.answers, answers);
    await assert.rejects(world.join(), { kind });
    assert.deepEqual(world.states(), ["entering", "out"]);
    assert.equal(world.open.length, 0);
    assert.equal(world.clock.waiting, 0);
  });
}

test("a gate or connector that takes the request to its grave", async () => {
  for (const [route, kind] of [["gate.gateHandler.queryEntry", "gate"], [enter, "connector"]]) {
    const world = new World();
    world.answers[route] = down;
    await assert.rejects(world.join(), { kind });
    assert.equal(world.open.length, 0);
  }
});

test("pushes that overtake the list of users are not undone by it", async () => {
  const world = new World();
  world.answers[enter] = (msg, client) => {
    client.emit("onAdd", { user: "carol" });
    client.emit("onLeave", { user: "bob" });
    return { users: ["alice", "bob"] };
  };
  await world.join();
  const order = world.events.map(([event]) => event).filter((event) => event !== "state");
  assert.deepEqual(order, ["users", "online", "offline"]);
});

test("names come once, however often the server lists them", async () => {
  const world = new World();
  world.answers[enter] = () => ({ users: ["alice", "bob", "bob"] });
  await world.join();
  assert.deepEqual(world.heard("users"), [["alice", "bob"]]);
});

test("talking: pushes in, and what the server doesn't send back", async () => {
  const world = await new World().join();
  world.open[0].emit("onChat", { msg: "hi", from: "bob", target: "*" });
  await world.room.send("to all", "*");
  await world.room.send("to bob", "bob");
  await world.room.send("to me", "alice");
  assert.deepEqual(world.heard("message"), [
    { from: "bob", target: "*", text: "hi" },
    { from: "alice", target: "bob", text: "to bob" },
  ]);
});

test("sending to one who left fails, and changes nothing else", async () => {
  const world = await new World().join();
  world.answers["chat.chatHandler.send"] = () => ({ code: 500 });
  await assert.rejects(world.room.send("x", "bob"), { kind: "person-away" });
  assert.equal(world.room.phase, "in");
});

test("sending to all fails: the room is entered anew", async () => {
  const world = await new World().join();
  world.answers["chat.chatHandler.send"] = () => ({ code: 500 });
  await assert.rejects(world.room.send("x", "*"), { kind: "room-away" });
  assert.equal(world.room.phase, "waiting");
  await world.clock.advance(500);
  assert.equal(world.room.phase, "in");
  assert.equal(world.heard("users").length, 2);
  assert.equal(world.open.length, 1);
});

test("sending: too late, cut off, and without a connection", async () => {
  const world = await new World().join();
  world.answers["chat.chatHandler.send"] = () => {
    throw new ClientError("timeout", "late");
  };
  await assert.rejects(world.room.send("x", "*"), { kind: "slow" });
  world.answers["chat.chatHandler.send"] = down;
  await assert.rejects(world.room.send("x", "*"), { kind: "cut" });
  world.lose();
  await assert.rejects(world.room.send("x", "*"), { kind: "offline" });
});

test("a lost connection: by the gate again, into the same room", async () => {
  const world = await new World().join();
  world.calls.length = 0;
  world.lose();
  assert.deepEqual(world.states().slice(-1), ["waiting"]);
  assert.equal(world.problems().at(-1), "lost");
  await world.clock.advance(500);
  assert.equal(world.room.phase, "in");
  assert.equal(world.calls[0], "init 127.0.0.1:3014");
  assert.equal(world.open.length, 1);
});

test("keeps trying while nothing answers, ever more slowly, and says so", async () => {
  const world = await new World().join();
  world.answers[3014] = down;
  world.lose();
  await world.clock.advance(120_000);
  const delays = world
    .heard("state")
    .filter(({ phase }) => phase === "waiting")
    .map(({ delay }) => delay);
  assert.deepEqual(delays.slice(0, 6), [250, 750, 1500, 3000, 6000, 11_250]);
  assert.ok(delays.slice(6).every((delay) => delay === 11_250));
  assert.ok(delays.length > 10);
  assert.equal(world.problems().at(-1), "gate");
  delete world.answers[3014];
  world.room.tryNow();
  await settle();
  assert.equal(world.room.phase, "in");
});

test("the wait between tries is partly chance", () => {
  assert.equal(backOff(0, () => 0), 250);
  assert.equal(backOff(0, () => 1), 500);
  assert.equal(backOff(3, () => 0), 2000);
  assert.equal(backOff(50, () => 1), 15_000);
});

test("the room's server being away is waited for", async () => {
  const world = await new World().join();
  const answer = world.answers[enter];
  world.answers[enter] = () => ({ code: 500 });
  world.lose();
  await world.clock.advance(60_000);
  assert.equal(world.room.phase, "waiting");
  assert.equal(world.problems().at(-1), "refused");
  world.answers[enter] = answer;
  await world.clock.advance(15_000);
  assert.equal(world.room.phase, "in");
});

test("our own last connection still holds the name for a while", async () => {
  const world = await new World().join();
  const answer = world.answers[enter];
  world.answers[enter] = () => ({ code: 500, error: true });
  world.lose();
  await world.clock.advance(6000);
  assert.equal(world.room.phase, "waiting");
  world.answers[enter] = answer;
  await world.clock.advance(1000);
  assert.equal(world.room.phase, "in");
});

test("a name that stays taken for 10 s is somebody else's", async () => {
  const world = await new World().join();
  world.answers[enter] = () => ({ code: 500, error: true });
  world.lose();
  await world.clock.advance(250 + 9_999);
  assert.equal(world.room.phase, "waiting");
  await world.clock.advance(1);
  assert.equal(world.room.phase, "ended");
  assert.equal(world.problems().at(-1), "duplicate");
  assert.equal(world.open.length, 0);
  assert.equal(world.clock.waiting, 0);
});

test("a server that lets in only to drop is not asked ever faster", async () => {
  const world = await new World().join();
  for (let n = 0; n < 6; n += 1) {
    world.lose();
    while (world.room.phase !== "in") await world.clock.advance(50);
  }
  const delays = () =>
    world
      .heard("state")
      .filter(({ phase }) => phase === "waiting")
      .map(({ delay }) => delay);
  assert.deepEqual(delays(), [250, 750, 1500, 3000, 6000, 11_250]);
  await world.clock.advance(10_000);
  world.lose();
  assert.equal(delays().at(-1), 250);
});

test("a kick is final until the person says otherwise", async () => {
  const world = await new World().join();
  world.open[0].emit("onKick", { reason: "behave" });
  world.lose();
  assert.equal(world.room.phase, "ended");
  const { problem } = world.heard("state").at(-1);
  assert.equal(problem.kind, "kicked");
  assert.equal(problem.detail.reason, "behave");
  await world.clock.advance(60_000);
  assert.equal(world.room.phase, "ended");
  world.room.rejoin("alice", "lobby");
  await settle();
  assert.equal(world.room.phase, "in");
});

test("a page too old for the server stops trying", async () => {
  const world = await new World().join();
  Object.assign(world.answers, FAILURES.version);
  world.lose();
  await world.clock.advance(1000);
  assert.equal(world.room.phase, "ended");
});

test("a reload comes back without patience running out at the gate", async () => {
  const world = new World();
  world.answers[3014] = down;
  world.room.rejoin("alice", "lobby");
  await world.clock.advance(30_000);
  assert.equal(world.room.phase, "waiting");
  delete world.answers[3014];
  await world.clock.advance(15_000);
  assert.equal(world.room.phase, "in");
});

test("leaving: while in, while waiting, and while entering", async () => {
  const inside = await new World().join();
  inside.room.leave();
  const waiting = await new World().join();
  waiting.lose();
  waiting.room.leave();
  const entering = new World();
  const joining = entering.join();
  entering.room.leave();
  await joining;
  for (const world of [inside, waiting, entering]) {
    await world.clock.advance(60_000);
    assert.equal(world.room.phase, "out");
    assert.equal(world.open.length, 0);
    assert.equal(world.clock.waiting, 0);
  }
});

test("what an old connection still says is not heard in the new room", async () => {
  const world = await new World().join();
  const [old] = world.open;
  world.room.leave();
  await world.room.join("alice", "garden");
  old.emit("disconnect", {});
  assert.equal(world.room.phase, "in");
  old.emit("onChat", { msg: "late", from: "bob", target: "*" });
  assert.deepEqual(world.heard("message"), []);
});

const OTHER = { host: "127.0.0.1", port: 3051 };

/** The server kicks everybody to another one, as chatcore.js tells it. */
function move(client, to = OTHER) {
  client.emit("onKick", { reason: "moved", ...to });
  client.emit("moved", to);
  client.disconnect();
}

test("a server that sends us elsewhere: there, and nobody has to know", async () => {
  const world = await new World().join();
  world.calls.length = 0;
  move(world.open[0]);
  assert.equal(world.room.phase, "moving");
  await world.clock.advance(200);
  assert.deepEqual(world.calls, ["init 127.0.0.1:3051", enter]);
  assert.deepEqual(world.states(), ["entering", "in", "moving", "in"]);
  assert.equal(world.heard("state").at(-1).server, "127.0.0.1:3051");
  assert.equal(world.heard("users").length, 2);
  assert.equal(world.open.length, 1);
});

test("elsewhere is where a browser reaches it", async () => {
  const world = await new World({ pageHost: "10.0.0.7" }).join();
  world.calls.length = 0;
  move(world.open[0]);
  await world.clock.advance(200);
  assert.equal(world.calls[0], "init 10.0.0.7:3051");
});

test("a server that sends us away, and names no other: by the gate", async () => {
  const world = await new World().join();
  world.calls.length = 0;
  move(world.open[0], { host: null, port: null });
  await world.clock.advance(200);
  assert.equal(world.calls[0], "init 127.0.0.1:3014");
  assert.deepEqual(world.states().slice(-2), ["moving", "in"]);
});

test("the other server does not answer: by the gate, and not in secret any more", async () => {
  const world = await new World().join();
  world.answers[3051] = down;
  world.calls.length = 0;
  move(world.open[0]);
  await world.clock.advance(200);
  assert.equal(world.room.phase, "waiting");
  await world.clock.advance(1000);
  assert.deepEqual(world.calls.slice(0, 2), ["init 127.0.0.1:3051", "init 127.0.0.1:3014"]);
  assert.deepEqual(world.states().slice(2), ["moving", "waiting", "entering", "in"]);
});

test("sent on while entering: at the next, the first time as well", async () => {
  for (const to of [OTHER, { host: null, port: null }]) {
    const world = new World();
    const answer = world.answers[enter];
    world.answers[enter] = (msg, client) => {
      world.answers[enter] = answer;
      move(client, to);
      throw new ClientError("moved", "elsewhere");
    };
    const joining = world.join();
    await world.clock.advance(200);
    await joining;
    assert.equal(world.room.phase, "in");
    const last = world.calls.filter((call) => call.startsWith("init")).at(-1);
    assert.equal(last, `init 127.0.0.1:${to.port ?? 3050}`);
    assert.equal(world.open.length, 1);
  }
});

test("servers that send us on and on: ever more slowly, and said", async () => {
  const world = await new World().join();
  const answer = world.answers[enter];
  world.answers[enter] = (msg, client) => {
    move(client);
    throw new ClientError("moved", "elsewhere");
  };
  move(world.open[0]);
  await world.clock.advance(60_000);
  assert.equal(world.room.phase, "waiting");
  assert.equal(world.problems().at(-1), "moved");
  assert.ok(world.calls.filter((call) => call === enter).length < 15);
  world.answers[enter] = answer;
  await world.clock.advance(15_000);
  assert.equal(world.room.phase, "in");
});

test("joining where servers send on and on fails", async () => {
  const world = new World();
  world.answers[enter] = (msg, client) => {
    move(client);
    throw new ClientError("moved", "elsewhere");
  };
  const failed = assert.rejects(world.join(), { kind: "moved" });
  await world.clock.advance(10_000);
  await failed;
  assert.equal(world.room.phase, "out");
  assert.equal(world.open.length, 0);
});

test("what is said while one is moved is said at the other server", async () => {
  const world = await new World().join();
  const said = [];
  world.answers["chat.chatHandler.send"] = ({ content }, client) => {
    if (said.length === 0) {
      said.push("not acted on");
      move(client);
      throw new ClientError("moved", "elsewhere");
    }
    said.push(content);
    return {};
  };
  const first = world.room.send("one", "*");
  await settle();
  assert.equal(world.room.phase, "moving");
  const second = world.room.send("two", "*");
  await world.clock.advance(200);
  await Promise.all([first, second]);
  assert.deepEqual(said, ["not acted on", "one", "two"]);
});

test("what is said while one is moved, and nobody takes us in", async () => {
  const world = await new World().join();
  world.answers[3051] = down;
  move(world.open[0]);
  const refused = assert.rejects(world.room.send("x", "*"), { kind: "offline" });
  await world.clock.advance(200);
  await refused;
  world.room.leave();
});

test("leaving while one is moved", async () => {
  const world = await new World().join();
  move(world.open[0]);
  const refused = assert.rejects(world.room.send("x", "*"), { kind: "offline" });
  world.room.leave();
  await refused;
  await world.clock.advance(60_000);
  assert.equal(world.room.phase, "out");
  assert.equal(world.open.length, 0);
  assert.equal(world.clock.waiting, 0);
});

test("a gate that is emptied: by the one that it names", async () => {
  const world = new World();
  const gate = "gate.gateHandler.queryEntry";
  const answer = world.answers[gate];
  world.answers[gate] = (msg, client) => {
    world.answers[gate] = answer;
    move(client, { host: "127.0.0.1", port: 3015 });
    throw new ClientError("moved", "elsewhere");
  };
  await world.join();
  assert.deepEqual(world.calls.slice(2, 4), ["init 127.0.0.1:3015", gate]);
  assert.equal(world.open.length, 1);
});

test("gates that send us on and on, or to none", async () => {
  for (const to of [OTHER, { host: null, port: null }]) {
    const world = new World();
    world.answers["gate.gateHandler.queryEntry"] = (msg, client) => {
      move(client, to);
      throw new ClientError("moved", "elsewhere");
    };
    await assert.rejects(world.join(), { kind: "gate" });
    assert.ok(world.calls.length <= 8);
  }
});
