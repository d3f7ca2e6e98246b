/** Being in a room: by the gate to a connector, and back again when the connection is lost. */

const GATE = new URLSearchParams(location.search).get("gate") ?? 3014;
const LONGEST = 10_000;

const wait = (delay) => new Promise((resolve) => setTimeout(resolve, delay));

/**
 * A place in a room.
 *
 * `open` connects to a server, as in new.js. `report(event, value)` is told what happens: `users`
 * (the names of all), `onChat`, `onAdd` and `onLeave` (what was pushed), `away` and `ended` (why).
 */
export class Room {
  #open;
  #report;
  #server = null;
  #visit = null;

  constructor(open, report) {
    this.#open = open;
    this.#report = report;
  }

  async enter(name, room) {
    this.#visit = { username: name, rid: room };
    await this.#come(null);
  }

  async say(content, target) {
    const { username: from, rid } = this.#visit;
    const answer = await this.#server?.ask("chat.chatHandler.send", { rid, content, from, target });
    if (!answer || answer.code) throw new Error("That did not arrive.");
  }

  leave() {
    this.#visit = null;
    this.#drop();
  }

  get place() {
    return this.#server?.place;
  }

  get transport() {
    return this.#server?.transport();
  }

  #drop() {
    this.#server?.close();
    this.#server = null;
  }

  /** Enter by the server that was named as the place to go on, or by one that the gate names. */
  async #come(place) {
    const visit = this.#visit;
    const { host, port } = place ?? (await this.#askGate());
    let early = [];
    const hear = (route, body) => (early ? early.push([route, body]) : this.#report(route, body));
    const server = await this.#connect(host, port, hear, (kick) => {
      if (!early && server === this.#server) this.#lost(kick);
    });
    this.#server = server;
    const answer = await server.ask("connector.entryHandler.enter", visit);
    if (!answer.users) {
      this.#drop();
      throw new Error(answer.error ? "That name is taken." : "Letters and digits, up to 20.");
    }
    this.#report("users", answer.users);
    const waiting = early; // what was pushed before the answer came
    early = null;
    for (const [route, body] of waiting) this.#report(route, body);
  }

  async #askGate() {
    const gate = await this.#connect(location.hostname, GATE);
    const found = await gate.ask("gate.gateHandler.queryEntry", { uid: this.#visit.username });
    gate.close();
    return found;
  }

  async #connect(host, port, hear = () => {}, ended = () => {}) {
    let cut;
    const over = new Promise((_, reject) => (cut = () => reject(new Error("The way is cut."))));
    over.catch(() => {}); // often nobody waits for an answer then
    try {
      const server = await this.#open(`${location.protocol}//${host}:${port}`, hear, (kick) => {
        cut();
        ended(kick);
      });
      const ask = (route, msg) => Promise.race([server.ask(route, msg), over]);
      return { ...server, ask, place: `${host}:${port}` };
    } catch {
      throw new Error("The chat does not answer.");
    }
  }

  /** The connection is over: go on elsewhere, come back, or leave it at that, as was said. */
  async #lost(kick) {
    const visit = this.#visit;
    const moved = kick?.reason === "moved";
    this.#server = null;
    if (kick && !moved) {
      this.#report("ended", kick.reason);
      return;
    }
    this.#report("away");
    let place = moved && kick.host ? kick : null;
    let delay = place ? 200 : 500;
    while (visit === this.#visit) {
      await wait(delay * (0.5 + Math.random() / 2)); // not all at the same moment
      if (visit !== this.#visit) return;
      try {
        await this.#come(place);
        return;
      } catch {
        place = null;
        delay = Math.min(2 * delay, LONGEST);
      }
    }
  }
}
