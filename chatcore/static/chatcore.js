/**
 * chatcore.js: a client for servers that speak the Pomelo protocol over WebSocket.
 *
 *     import { Client } from "./chatcore.js";
 *     const client = new Client();
 *     await client.init({ host: "127.0.0.1", port: 3014 });
 *     const reply = await client.request("gate.gateHandler.queryEntry", { uid: "alice" });
 *
 * The calls are those of Pomelo's own client. `init` and `request` return promises; a callback,
 * where one is given, is called with a success only, as Pomelo does, and a failure is then an
 * `error` event. Whatever else happens is an event too: see `Client.on`.
 *
 * It runs wherever there are WebSocket, TextEncoder and setTimeout: browsers, workers, Node.
 * Bodies are JSON; protobuf is not supported, and met with a clear error.
 */

/** The packages, which WebSocket frames are made of; and the messages, which DATA packages hold. */
export const PACKAGE = Object.freeze({ HANDSHAKE: 1, ACK: 2, HEARTBEAT: 3, DATA: 4, KICK: 5 });
export const MESSAGE = Object.freeze({ REQUEST: 0, NOTIFY: 1, RESPONSE: 2, PUSH: 3 });

const INIT_TIMEOUT = 10_000;
const REQUEST_TIMEOUT = 15_000;
const HEARTBEAT_TOLERANCE = 100;
const BIGGEST_BODY = 0xffffff;
const BIGGEST_ID = 0x7fffffff;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Whatever goes wrong here. `code` says what: `connect` (no connection), `timeout`, `handshake`
 * (refused; the server's number is in `status`), `closed`, `kicked`, `protocol` (bytes without a
 * meaning), `unsupported` (protobuf, gzip) or `usage`.
 */
export class ClientError extends Error {
  constructor(code, message, status) {
    super(message);
    this.name = "ClientError";
    this.code = code;
    this.status = status;
  }
}

/** @type {(type: number, body?: Uint8Array) => Uint8Array}  type, length in 3 bytes, body */
export function encodePackage(type, body = new Uint8Array(0)) {
  if (body.length > BIGGEST_BODY) {
    throw new ClientError("usage", `${body.length} bytes don't fit into one package`);
  }
  const bytes = new Uint8Array(4 + body.length);
  bytes.set([type, body.length >> 16, (body.length >> 8) & 0xff, body.length & 0xff]);
  bytes.set(body, 4);
  return bytes;
}

/** @type {(frame: Uint8Array) => {type: number, body: Uint8Array}[]}  as many as there are */
export function decodePackages(frame) {
  const packages = [];
  for (let at = 0; at < frame.length; ) {
    const start = at + 4;
    const end = start + ((frame[at + 1] << 16) | (frame[at + 2] << 8) | frame[at + 3]);
    if (start > frame.length || end > frame.length) {
      throw new ClientError("protocol", "a frame ends in the middle of a package");
    }
    packages.push({ type: frame[at], body: frame.subarray(start, end) });
    at = end;
  }
  return packages;
}

/**
 * Flag, id (of requests), route as its code where the dictionary has one or else as text, body.
 * @param {{type: number, id?: number, route: string, body: Uint8Array}} message
 * @param {Record<string, number>} [routeToCode]
 */
export function encodeMessage({ type, id = 0, route, body }, routeToCode = {}) {
  const code = Object.hasOwn(routeToCode, route) ? routeToCode[route] : null;
  const head = [(type << 1) | (code === null ? 0 : 1)];
  if (type === MESSAGE.REQUEST) {
    for (; id > 0x7f; id = Math.floor(id / 128)) head.push((id % 128) | 0x80);
    head.push(id);
  }
  if (code === null) {
    const text = encoder.encode(route);
    if (text.length > 255) throw new ClientError("usage", "a route is longer than 255 bytes");
    head.push(text.length, ...text);
  } else {
    head.push(code >> 8, code & 0xff);
  }
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/**
 * A response has an id and no route, a push has a route and no id.
 * @param {Uint8Array} bytes
 * @param {Record<string, string>} [codeToRoute]
 */
export function decodeMessage(bytes, codeToRoute = {}) {
  const type = (bytes[0] >> 1) & 7;
  let at = 1;
  let id = 0;
  let route = "";
  if (type === MESSAGE.RESPONSE) {
    let byte = 0x80;
    for (let scale = 1; byte & 0x80; scale *= 128) {
      byte = bytes[at++];
      id += (byte & 0x7f) * scale;
    }
  } else if (type !== MESSAGE.PUSH) {
    throw new ClientError("protocol", `a server doesn't send messages of type ${type}`);
  } else if (bytes[0] & 1) {
    const code = (bytes[at] << 8) | bytes[at + 1];
    at += 2;
    if (!Object.hasOwn(codeToRoute, code)) {
      throw new ClientError("protocol", `no route has the code ${code}`);
    }
    route = codeToRoute[code];
  } else {
    const start = at + 1;
    at = start + bytes[at];
    route = decodeText(bytes.subarray(start, at));
  }
  if (!(at <= bytes.length)) throw new ClientError("protocol", "a message is cut off");
  return { type, id, route, gzip: (bytes[0] & 0x10) !== 0, body: bytes.subarray(at) };
}

function decodeText(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new ClientError("protocol", "text from the server is not UTF-8");
  }
}

function decodeJson(bytes) {
  const text = decodeText(bytes);
  try {
    return JSON.parse(text);
  } catch {
    throw new ClientError("protocol", "a body from the server is not JSON");
  }
}

const encodeJson = (value) => encoder.encode(JSON.stringify(value === undefined ? {} : value));

/** One WebSocket, from its opening to its end. A client makes a new one for each `init`. */
class Connection {
  #options;
  #emit;
  #opening = null;
  #openingTimer = 0;
  #ready = false;
  #ended = false;
  #sys = {};
  #pending = new Map();
  #lastId = 0;
  #interval = 0;
  #beat = 0;
  #watchdog = 0;
  /** @type {WebSocket | null} */
  socket = null;

  constructor(options, emit) {
    this.#options = options;
    this.#emit = emit;
  }

  get ready() {
    return this.#ready && !this.#ended;
  }

  open() {
    const { host, port, path = "", secure = false, timeout = INIT_TIMEOUT } = this.#options;
    const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
    const where = port ? `${name}:${port}` : name;
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
      this.#openingTimer = setTimeout(() => {
        this.#fail(new ClientError("timeout", `${where} did not answer in ${timeout} ms`));
      }, timeout);
      try {
        const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
        this.socket = new Socket(`${secure ? "wss" : "ws"}://${where}/${path.replace(/^\//, "")}`);
      } catch (error) {
        this.#fail(new ClientError("connect", `can't connect to ${where}: ${error.message}`));
        return;
      }
      this.socket.binaryType = "arraybuffer";
      this.socket.onopen = () => this.#send(PACKAGE.HANDSHAKE, encodeJson(this.#greeting()));
      this.socket.onmessage = (event) => this.#receive(event.data);
      this.socket.onerror = (event) => this.#emit("io-error", event);
      this.socket.onclose = ({ code, reason }) => {
        const error = this.#ready
          ? new ClientError("closed", `the connection to ${where} was closed (${code})`)
          : new ClientError("connect", `can't connect to ${where}`);
        this.end(error, code, reason);
      };
    });
  }

  #greeting() {
    const { user, clientType = "js-websocket", clientVersion = "0.0.1" } = this.#options;
    return { sys: { type: clientType, version: clientVersion, rsa: {} }, user };
  }

  request(route, msg, timeout) {
    return new Promise((resolve, reject) => {
      this.#lastId = (this.#lastId % BIGGEST_ID) + 1;
      const id = this.#lastId;
      this.#sendMessage({ type: MESSAGE.REQUEST, id, route }, msg);
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new ClientError("timeout", `${route} was not answered in ${timeout} ms`));
      }, timeout);
      this.#pending.set(id, { resolve, reject, route, timer });
    });
  }

  notify(route, msg) {
    this.#sendMessage({ type: MESSAGE.NOTIFY, route }, msg);
  }

  /** The end, whoever wanted it: nothing stays open, and nobody waits any longer. */
  end(error, code = 1000, reason = "") {
    if (this.#ended) return;
    this.#ended = true;
    for (const timer of [this.#openingTimer, this.#beat, this.#watchdog]) clearTimeout(timer);
    if (this.socket) {
      const { socket } = this;
      socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
      socket.close();
    }
    this.#opening?.reject(error);
    for (const waiting of this.#pending.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(error);
    }
    this.#pending.clear();
    for (const event of ["close", "disconnect"]) this.#emit(event, { code, reason, error });
  }

  #fail(error) {
    this.#emit("error", error);
    this.end(error, 1006);
  }

  #send(type, body) {
    this.socket.send(encodePackage(type, body));
  }

  #sendMessage(message, msg) {
    if (Object.hasOwn(this.#sys.protos?.client ?? {}, message.route)) {
      throw new ClientError("unsupported", `the server wants ${message.route} in protobuf`);
    }
    const body = encodeJson(msg);
    this.#send(PACKAGE.DATA, encodeMessage({ ...message, body }, this.#sys.routeToCode));
  }

  #receive(data) {
    try {
      const frame = typeof data === "string" ? encoder.encode(data) : new Uint8Array(data);
      for (const { type, body } of decodePackages(frame)) {
        if (this.#ended) return;
        if (this.#watchdog) this.#watch();
        if (type === PACKAGE.HANDSHAKE) this.#handshake(decodeJson(body));
        else if (type === PACKAGE.HEARTBEAT) this.#heartbeat();
        else if (type === PACKAGE.DATA) this.#message(body);
        else if (type === PACKAGE.KICK) this.#kick(decodeJson(body));
        else throw new ClientError("protocol", `no package has the type ${type}`);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #handshake(reply) {
    if (this.#ready) return;
    if (reply?.code !== 200) {
      const why = reply?.code === 501 ? "this version of the client is not accepted" : "refused";
      this.#fail(new ClientError("handshake", `handshake: ${why}`, reply?.code));
      return;
    }
    clearTimeout(this.#openingTimer);
    this.#sys = reply.sys ?? {};
    this.#interval = (this.#sys.heartbeat ?? 0) * 1000;
    this.#options.handshakeCallback?.(reply.user);
    this.#send(PACKAGE.ACK);
    this.#ready = true;
    if (this.#interval) this.#beatLater();
    this.#opening.resolve(reply);
  }

  #heartbeat() {
    if (!this.#interval) return;
    clearTimeout(this.#watchdog);
    this.#watchdog = 0;
    this.#beatLater();
  }

  // Browsers slow the timers of hidden pages down to one a minute once timers are set by timers.
  // This one is set when a package arrives, so heartbeats stay in time.
  #beatLater() {
    if (this.#beat) return;
    this.#beat = setTimeout(() => {
      this.#beat = 0;
      this.#send(PACKAGE.HEARTBEAT);
      this.#watch();
    }, this.#interval);
  }

  #watch() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#emit("heartbeat timeout");
      this.end(new ClientError("closed", "the server stopped answering heartbeats"), 1006);
    }, 2 * this.#interval + HEARTBEAT_TOLERANCE);
  }

  #kick(body) {
    this.#emit("onKick", body);
    this.end(new ClientError("kicked", `kicked by the server: ${body?.reason ?? "no reason"}`));
  }

  #message(bytes) {
    let waiting;
    try {
      const message = decodeMessage(bytes, this.#sys.codeToRoute);
      if (message.type === MESSAGE.PUSH) {
        this.#emit(message.route, this.#body(message, message.route));
        return;
      }
      waiting = this.#pending.get(message.id);
      if (!waiting) return;
      this.#pending.delete(message.id);
      clearTimeout(waiting.timer);
      waiting.resolve(this.#body(message, waiting.route));
    } catch (error) {
      if (waiting) waiting.reject(error);
      else this.#emit("error", error);
    }
  }

  #body({ body, gzip }, route) {
    if (gzip || Object.hasOwn(this.#sys.protos?.server ?? {}, route)) {
      const what = gzip ? "compressed" : "protobuf";
      throw new ClientError("unsupported", `the body of ${route} is ${what}, which must be JSON`);
    }
    return decodeJson(body);
  }
}

/**
 * A connection to one server at a time; `init` can be called again, for the next one.
 *
 * @typedef {object} InitOptions
 * @property {string} host
 * @property {number} [port]
 * @property {string} [path]  of the WebSocket's address
 * @property {boolean} [secure]  wss instead of ws
 * @property {unknown} [user]  given to the server's handshake
 * @property {(user: unknown) => void} [handshakeCallback]  given what the server's handshake says
 * @property {number} [timeout]  to connect and shake hands, in milliseconds (10,000)
 * @property {number} [requestTimeout]  for each answer, in milliseconds (15,000)
 * @property {string} [clientType]
 * @property {string} [clientVersion]
 * @property {typeof WebSocket} [WebSocket]  instead of the global one
 */
export class Client {
  #listeners = new Map();
  #connection = null;
  #requestTimeout = REQUEST_TIMEOUT;

  /** Whether requests can be made. */
  get connected() {
    return this.#connection?.ready ?? false;
  }

  /**
   * Connect and shake hands; an earlier connection of this client is ended first.
   * @param {InitOptions} options
   * @param {(socket: WebSocket) => void} [callback]
   * @returns {Promise<{code: number, sys?: object, user?: unknown}>}  the server's handshake
   */
  init(options, callback) {
    this.disconnect();
    this.#requestTimeout = options.requestTimeout ?? REQUEST_TIMEOUT;
    const connection = new Connection(options, (event, value) => this.#emit(event, value));
    this.#connection = connection;
    const opened = connection.open();
    if (callback) opened.then(() => callback(connection.socket), () => {});
    return opened;
  }

  /**
   * @param {string} route  such as `chat.chatHandler.send`
   * @param {unknown} [msg]  whatever JSON can hold
   * @param {(reply: any) => void} [callback]
   * @returns {Promise<any>}  the reply, or a ClientError where none comes
   */
  request(route, msg, callback) {
    if (typeof msg === "function") return this.request(route, {}, /** @type {any} */ (msg));
    const answered = this.connected
      ? this.#connection.request(route, msg, this.#requestTimeout)
      : Promise.reject(new ClientError("closed", `not connected: can't request ${route}`));
    if (callback) answered.then(callback, (error) => this.#emit("error", error));
    return answered;
  }

  /** @type {(route: string, msg?: unknown) => void}  like a request, without an answer */
  notify(route, msg) {
    if (!this.connected) throw new ClientError("closed", `not connected: can't send ${route}`);
    this.#connection.notify(route, msg);
  }

  /** End the connection: requests that wait are rejected, and `disconnect` is emitted. */
  disconnect() {
    const connection = this.#connection;
    this.#connection = null;
    connection?.end(new ClientError("closed", "disconnected by this client"));
  }

  /**
   * Events: the route of each push; `onKick` (the server's `{reason}`); `disconnect` and `close`
   * (`{code, reason, error}`, at every end of a connection); `error` (a ClientError); `io-error`
   * (the WebSocket's event); `heartbeat timeout`.
   * @type {(event: string, listener: (value: any) => void) => this}
   */
  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
    return this;
  }

  /** @type {(event: string, listener: (value: any) => void) => this} */
  once(event, listener) {
    const first = (value) => {
      this.off(event, first);
      listener(value);
    };
    return this.on(event, first);
  }

  /** @type {(event: string, listener?: (value: any) => void) => this}  all where none is given */
  off(event, listener) {
    if (listener) this.#listeners.get(event)?.delete(listener);
    else this.#listeners.delete(event);
    return this;
  }

  #emit(event, value) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        // A listener's mistake is reported like any other, and is no other listener's trouble.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** A client ready made, for pages that need only one. */
export const pomelo = new Client();
export default pomelo;
