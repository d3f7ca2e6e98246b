// What the tests put in the place of time, of WebSockets and of servers.

export const hex = (bytes) => Buffer.from(bytes).toString("hex");
export const bytesOf = (text) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const textHex = (text) => Buffer.from(text).toString("hex");

/** Let everything that promises have made due run. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Time that passes only when told to. */
export class FakeClock {
  #now = 0;
  #timers = new Map();
  #lastId = 0;

  now = () => this.#now;

  setTimeout = (fn, delay) => {
    this.#lastId += 1;
    this.#timers.set(this.#lastId, { fn, at: this.#now + delay });
    return this.#lastId;
  };

  clearTimeout = (id) => {
    this.#timers.delete(id);
  };

  get waiting() {
    return this.#timers.size;
  }

  async advance(delay) {
    const end = this.#now + delay;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, { at }]) => at <= end);
      if (due.length === 0) break;
      const [id, timer] = due.reduce((a, b) => (b[1].at < a[1].at ? b : a));
      this.#timers.delete(id);
      this.#now = timer.at;
      timer.fn();
    }
    this.#now = end;
    await settle();
  }

  /** In the place of the global timers, until the test is over. */
  install(test) {
    const { setTimeout, clearTimeout } = globalThis;
    Object.assign(globalThis, { setTimeout: this.setTimeout, clearTimeout: this.clearTimeout });
    test.after(() => Object.assign(globalThis, { setTimeout, clearTimeout }));
    return this;
  }
}

/** A WebSocket with the test at its other end. */
export class FakeSocket {
  /** @type {FakeSocket[]} */
  static made = [];

  static get last() {
    return FakeSocket.made.at(-1);
  }

  sent = [];
  closed = false;

  constructor(url) {
    this.url = url;
    FakeSocket.made.push(this);
  }

  send(bytes) {
    this.sent.push(hex(bytes));
  }

  close() {
    this.closed = true;
  }

  open() {
    this.onopen({});
  }

  /** One frame from the server, in hex. */
  receive(frame) {
    this.onmessage({ data: bytesOf(frame).buffer });
  }

  /** One JSON package from the server. */
  receiveJson(type, value) {
    const body = textHex(JSON.stringify(value));
    this.receive(packed(type, body));
  }

  drop(code = 1006) {
    this.onclose({ code, reason: "" });
  }

  /** What the client sent last, without the package's head. */
  get lastBody() {
    return this.sent.at(-1).slice(8);
  }
}

/** A package around a body in hex. */
export function packed(type, spaced) {
  const body = spaced.replaceAll(" ", "");
  const length = (body.length / 2).toString(16).padStart(6, "0");
  return type.toString(16).padStart(2, "0") + length + body;
}

export const response = (id, value) => packed(4, `04${id}${textHex(JSON.stringify(value))}`);

export function push(route, value) {
  const length = Buffer.byteLength(route).toString(16).padStart(2, "0");
  return packed(4, `06${length}${textHex(route)}${textHex(JSON.stringify(value))}`);
}
