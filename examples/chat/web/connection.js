/**
 * Being in a room: by way of the gate to a connector, and back again when the connection is lost.
 * It knows nothing of the page; clock, chance and client are given, so that tests can hold them.
 */
import { Client } from "./chatcore.js";

const INIT_TIMEOUT = 6_000;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
const DUPLICATE_DELAY = 1_000;
const DUPLICATE_PATIENCE = 10_000;
const STEADY = 10_000;
const MOVE_DELAY = 200;
const QUICK_MOVES = 3;
const PUSHES = ["onChat", "onAdd", "onLeave"];

/** Something a person must be told about; `kind` is a key of the texts in words.js. */
export class Problem extends Error {
  constructor(kind, detail = {}) {
    super(kind);
    this.kind = kind;
    this.detail = detail;
  }
}

/** Thrown inside when a person left, or joined anew, while something was under way. */
class Overtaken extends Error {}

const isLoopback = (host) => /^(localhost|127\..*|\[?::1\]?)$/.test(host);
const isWildcard = (host) => /^(0\.0\.0\.0|\[?::\]?)$/.test(host);

/**
 * The address a browser should use for a host that a server named. One that means "here" to the
 * server means the page's own host to a browser on another machine.
 */
export function reachable(host, pageHost) {
  if (!host || isWildcard(host)) return pageHost;
  return isLoopback(host) && !isLoopback(pageHost) ? pageHost : host;
}

/** The wait before try number `attempt` (from 0): doubling, and half of it left to chance. */
export function backOff(attempt, random) {
  const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** attempt);
  return longest * (0.5 + 0.5 * random());
}

const realClock = {
  now: () => performance.now(),
  setTimeout: (fn, delay) => setTimeout(fn, delay),
  clearTimeout: (timer) => clearTimeout(timer),
};

/**
 * A person's place in a room. What happens is reported as `report(event, value)`:
 *
 *   state    {phase, problem, delay, server}: phase is one of `out`, `entering` (under way),
 *            `in`, `moving` (to another server, by the server's wish), `waiting` (tries again in
 *            `delay` ms) and `ended` (doesn't try again)
 *   users    the names of all who are there, after every entering
 *   online, offline    a name
 *   message  {from, target, text}
 */
export class Room {
  #report;
  #locateGate;
  #pageHost;
  #secure;
  #createClient;
  #clock;
  #random;
  #client = null;
  #visit = null;
  #wake = null;
  #arrival = null;
  #arrived = null;
  phase = "out";

  constructor({
    report,
    locateGate,
    pageHost,
    secure = false,
    createClient = () => new Client(),
    clock = realClock,
    random = Math.random,
  }) {
    this.#report = report;
    this.#locateGate = locateGate;
    this.#pageHost = pageHost;
    this.#secure = secure;
    this.#createClient = createClient;
    this.#clock = clock;
    this.#random = random;
  }

  /** Enter a room; rejected with a Problem when that fails. */
  async join(name, room) {
    const visit = this.#begin(name, room);
    this.#become("entering");
    let place = null;
    for (let moves = 0; ; moves += 1) {
      try {
        await this.#enter(visit, place);
        return;
      } catch (error) {
        if (error instanceof Overtaken) return;
        if (error.kind !== "moved" || moves === QUICK_MOVES) {
          this.leave();
          throw error;
        }
        place = error.detail.place;
      }
      this.#dropClient();
      await this.#pause(MOVE_DELAY * this.#random());
      if (visit !== this.#visit) return;
    }
  }

  /** Enter a room where one was before (the page was reloaded): never gives up lightly. */
  rejoin(name, room) {
    return this.#keepTrying(this.#begin(name, room), 0, null);
  }

  leave() {
    this.#visit = null;
    this.#wake?.();
    this.#dropClient();
    this.#become("out");
  }

  /** While it waits to try again: do it now. */
  tryNow() {
    this.#wake?.();
  }

  /**
   * Say something to all (`*`) or to one; rejected with a Problem when it didn't arrive. While one
   * is being moved, it waits until one is there.
   */
  async send(text, target) {
    const visit = this.#visit;
    await this.#arrival;
    if (this.phase !== "in" || visit !== this.#visit) throw new Problem("offline");
    const { name, room } = visit;
    let reply;
    try {
      const msg = { rid: room, content: text, from: name, target };
      reply = await this.#client.request("chat.chatHandler.send", msg);
    } catch (error) {
      // Who moves us has not acted on what is not answered.
      if (error.code === "moved" && this.phase === "moving") return this.send(text, target);
      throw new Problem(error.code === "timeout" ? "slow" : "cut");
    }
    if (reply?.code && reply.code !== 200) {
      if (target !== "*") throw new Problem("person-away", { target });
      // The room's server is away, or came back without knowing us: only entering again helps.
      if (visit === this.#visit && this.phase === "in") this.#lose(visit, "refused");
      throw new Problem("room-away");
    }
    // What goes to all comes back as a push; what goes to one other does not.
    if (target !== "*" && target !== name) this.#report("message", { from: name, target, text });
  }

  #begin(name, room) {
    this.#visit = null;
    this.#wake?.();
    this.#dropClient();
    this.#visit = { name, room, since: 0, tries: 0 };
    return this.#visit;
  }

  #become(phase, more = {}) {
    this.phase = phase;
    if (phase === "moving") {
      this.#arrival ??= new Promise((resolve) => (this.#arrived = resolve));
    } else {
      this.#arrived?.();
      this.#arrival = this.#arrived = null;
    }
    this.#report("state", { phase, ...more });
  }

  #dropClient() {
    const client = this.#client;
    this.#client = null;
    client?.disconnect();
  }

  #check(visit) {
    if (visit !== this.#visit) throw new Overtaken();
  }

  /** A client connected to that server. */
  async #connect(visit, host, port, kind) {
    const client = this.#createClient();
    this.#client = client;
    try {
      await client.init({ host, port, secure: this.#secure, timeout: INIT_TIMEOUT });
    } catch (error) {
      this.#check(visit);
      throw new Problem(error.status === 501 ? "version" : kind);
    }
    this.#check(visit);
    return client;
  }

  async #ask(visit, client, kind, route, msg) {
    try {
      const reply = await client.request(route, msg);
      this.#check(visit);
      return reply;
    } catch (error) {
      this.#check(visit);
      throw new Problem(kind);
    }
  }

  async #findConnector(visit) {
    let gate = await this.#locateGate();
    this.#check(visit);
    for (let moves = 0; ; moves += 1) {
      const client = await this.#connect(visit, this.#hostOf(gate), gate.port, "gate");
      let next = null;
      client.on("moved", (to) => (next = to.host === null ? null : to));
      const msg = { uid: visit.name };
      try {
        const reply = await this.#ask(visit, client, "gate", "gate.gateHandler.queryEntry", msg);
        this.#dropClient();
        if (reply?.code !== 200) throw new Problem("no-server");
        return { host: this.#hostOf(reply), port: reply.port };
      } catch (error) {
        if (error instanceof Overtaken || !next || moves === QUICK_MOVES) throw error;
        gate = next; // this one is emptied, too
      }
    }
  }

  #hostOf({ host }) {
    return reachable(host, this.#pageHost);
  }

  /** Enter by the server that was named as the place to go on, or by one that the gate names. */
  async #enter(visit, place = null) {
    const { name, room } = visit;
    const { host, port } = place ?? (await this.#findConnector(visit));
    const client = await this.#connect(visit, host, port, "connector");
    let early = [];
    let reason = null;
    let moved = null;
    // Pushes may overtake the list of users, which would then undo them: they wait for it.
    for (const route of PUSHES) {
      client.on(route, (body) => {
        if (early) early.push([route, body]);
        else if (client === this.#client) this.#push(route, body);
      });
    }
    client.on("onKick", (body) => (reason = body?.reason ?? ""));
    client.on("moved", (to) => {
      moved = { place: to.host === null ? null : { ...to, host: this.#hostOf(to) } };
    });
    client.on("disconnect", () => {
      if (early || client !== this.#client) return;
      if (moved) this.#move(visit, moved.place);
      else if (reason === null) this.#lose(visit, "lost");
      else this.#end(new Problem("kicked", { reason }));
    });
    const msg = { username: name, rid: room };
    const route = "connector.entryHandler.enter";
    const reply = await this.#ask(visit, client, "connector", route, msg).catch((error) => {
      throw moved && error.kind === "connector" ? new Problem("moved", moved) : error;
    });
    if (!Array.isArray(reply?.users)) {
      this.#dropClient();
      throw new Problem(reply?.error ? "duplicate" : "refused", { name, room });
    }
    visit.since = this.#clock.now();
    this.#become("in", { server: `${host}:${port}` });
    this.#report("users", [...new Set(reply.users)]);
    const waiting = early;
    early = null;
    for (const [route, body] of waiting) this.#push(route, body);
  }

  #push(route, body) {
    if (route === "onAdd") this.#report("online", String(body.user));
    else if (route === "onLeave") this.#report("offline", String(body.user));
    else {
      const { from, target, msg } = body;
      this.#report("message", { from: String(from), target: String(target), text: String(msg) });
    }
  }

  #lose(visit, kind) {
    this.#dropClient();
    // A server that takes people in only to drop them must not be asked ever faster.
    if (this.#clock.now() - visit.since >= STEADY) visit.tries = 0;
    const delay = visit.tries ? backOff(visit.tries, this.#random) : FIRST_DELAY * this.#random();
    this.#keepTrying(visit, delay, new Problem(kind, visit));
  }

  /** The server is emptied, and sends us elsewhere. */
  #move(visit, place) {
    this.#dropClient();
    if (this.#clock.now() - visit.since >= STEADY) visit.tries = 0;
    this.#keepTrying(visit, this.#moveDelay(visit), null, { place, isMove: true });
  }

  #moveDelay({ tries }) {
    if (tries >= QUICK_MOVES) return backOff(tries, this.#random);
    return MOVE_DELAY * this.#random();
  }

  #end(problem) {
    this.#visit = null;
    this.#dropClient();
    this.#become("ended", { problem });
  }

  async #keepTrying(visit, delay, problem, { place = null, isMove = false } = {}) {
    let duplicateSince = null;
    while (visit === this.#visit) {
      if (isMove) this.#become("moving");
      if (delay) {
        if (!isMove) this.#become("waiting", { problem, delay });
        await this.#pause(delay);
        if (visit !== this.#visit) return;
      }
      if (!isMove) this.#become("entering", { problem });
      visit.tries += 1;
      try {
        await this.#enter(visit, place);
        return;
      } catch (error) {
        if (error instanceof Overtaken) return;
        this.#dropClient();
        problem = error;
      }
      isMove &&= problem.kind === "moved" && visit.tries < QUICK_MOVES;
      place = problem.kind === "moved" ? problem.detail.place : null;
      // The server may not have noticed yet that our own last connection is gone.
      if (problem.kind === "duplicate") duplicateSince ??= this.#clock.now();
      const tooLong = this.#clock.now() - (duplicateSince ?? Infinity) >= DUPLICATE_PATIENCE;
      if (problem.kind === "version" || (problem.kind === "duplicate" && tooLong)) {
        this.#end(problem);
        return;
      }
      if (problem.kind === "duplicate") delay = DUPLICATE_DELAY;
      else if (problem.kind === "moved") delay = this.#moveDelay(visit);
      else delay = backOff(visit.tries, this.#random);
    }
  }

  #pause(delay) {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimeout(resolve, delay);
      this.#wake = () => {
        this.#clock.clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }
}
