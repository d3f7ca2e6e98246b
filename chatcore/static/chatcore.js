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
 * Routes go as codes and bodies as protobuf where the server says so. What it says about them is
 * kept, in `localStorage` where there is one, so that it need not say it again.
 */

/** The packages, which WebSocket frames are made of; and the messages, which DATA packages hold. */
export const PACKAGE = Object.freeze({ HANDSHAKE: 1, ACK: 2, HEARTBEAT: 3, DATA: 4, KICK: 5 });
export const MESSAGE = Object.freeze({ REQUEST: 0, NOTIFY: 1, RESPONSE: 2, PUSH: 3 });

const INIT_TIMEOUT = 10_000;
const REQUEST_TIMEOUT = 15_000;
const HEARTBEAT_TOLERANCE = 100;
const BIGGEST_BODY = 0xffffff;
const BIGGEST_ID = 0x7fffffff;
const BIGGEST_CODE = 0xffff;
const MOST_VERSIONS = 8;
const MOST_SERVERS = 64;

// Where a server sends its clients: how long the waits before each try are at most, in
// milliseconds, how many there are, and how many of them go to the server that was named where
// another can be found. After a connection that has lasted, they are counted anew.
const FIRST_WAIT = 200;
const SHORTEST_WAIT = 500;
const LONGEST_WAIT = 10_000;
const MOST_TRIES = 8;
const NAMED_TRIES = 3;
const STEADY = 10_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Whatever goes wrong here. `code` says what: `connect` (no connection), `timeout`, `handshake`
 * (refused, with the server's number in `status`, or without what is needed), `closed`, `kicked`,
 * `moved` (kicked to go on at another server: what was not answered was not acted on, unless it
 * took long), `protocol` (bytes without a meaning), `unsupported` (gzip) or `usage` (what can't be
 * sent).
 */
export class ClientError extends Error {
  /** Where to go on, with the code `moved`: `{host, port}`, or null if the server named nothing. */
  place = null;

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
    return toText(bytes);
  } catch {
    throw new ClientError("protocol", "text from the server is not UTF-8");
  }
}

/**
 * The text of UTF-8, or of CESU-8, in which servers write to Pomelo's own JavaScript client: what
 * lies beyond U+FFFF are the two halves of a surrogate pair there, three bytes each.
 */
function toText(bytes) {
  let text = "";
  let start = 0;
  for (let at = bytes.indexOf(0xed); at >= 0; at = bytes.indexOf(0xed, at + 1)) {
    const high = halfAt(bytes, at, 0xa0);
    const low = halfAt(bytes, at + 3, 0xb0);
    if (high < 0 || low < 0) continue;
    text += decoder.decode(bytes.subarray(start, at)) + String.fromCharCode(high, low);
    start = at + 6;
  }
  return text + decoder.decode(bytes.subarray(start));
}

/** Half a surrogate pair, in three bytes of which the second begins with `kind`; or -1. */
function halfAt(bytes, at, kind) {
  const [first, second, third] = bytes.subarray(at, at + 3);
  const isHalf = first === 0xed && (second & 0xf0) === kind && (third & 0xc0) === 0x80;
  return isHalf ? 0xd000 | ((second & 0x3f) << 6) | (third & 0x3f) : -1;
}

function decodeJson(bytes) {
  const text = decodeText(bytes);
  try {
    return JSON.parse(text);
  } catch {
    throw new ClientError("protocol", "a body from the server is not JSON");
  }
}

const encodeJson = (value) => encoder.encode(JSON.stringify(value));

// Protobuf as Pomelo has it. What Google's does differently: int32 is zig-zag, and repeated numbers
// are one head, their count, and the numbers. What a field holds follows from the schema alone,
// because some clients and servers write wrong wire types.

const [VARINT, EIGHT_BYTES, SIZED, FOUR_BYTES] = [0, 1, 2, 5];
const SIZES = { [VARINT]: 1, [EIGHT_BYTES]: 8, [FOUR_BYTES]: 4 };
const OPTIONS = ["required", "optional", "repeated"];
const BIGGEST_TAG = 2 ** 28 - 1;
const SMALLEST_SIGNED = -(2 ** 52);
const BIGGEST = Number.MAX_SAFE_INTEGER;
const DEEPEST = 64;
const WHOLE = /^[ \t-\r]*([+-]?\d{1,400})(\.\d*)?[ \t-\r]*$/;
const DECIMAL = /^[ \t-\r]*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?[ \t-\r]*$/i;
const HALF_A_PAIR = /\p{Surrogate}/u;

/** What is wrong with a field, and the way to it, written from the inside out. */
class FieldError extends Error {
  constructor(problem, path = "") {
    super(problem);
    this.path = path;
  }

  toString() {
    return `${this.path ? `'${this.path}'` : "the message"} ${this.message}`;
  }
}

/** Do something for a part of a message; what goes wrong there is told with the step to it. */
function within(step, act) {
  try {
    act();
  } catch (error) {
    if (error instanceof FieldError) {
      error.path = `${step}${/^[^[]/.test(error.path) ? "." : ""}${error.path}`;
    }
    throw error;
  }
}

function wrong(value, expected) {
  let shown = isObject(value) ? "an object" : String(value);
  if (typeof value === "string") shown = JSON.stringify(value.slice(0, 50));
  if (Array.isArray(value)) shown = "a list";
  return new FieldError(`is ${shown}, where ${expected} was expected`);
}

/** What JSON would make of a date and its like. */
const plain = (value) => (typeof value?.toJSON === "function" ? value.toJSON() : value);
const isNumber = (value) => typeof value === "number" || typeof value === "boolean";

function whole(value, least) {
  let number = isNumber(value) ? Math.trunc(value) : NaN;
  if (typeof value === "string") number = Number(WHOLE.exec(value)?.[1] ?? NaN);
  if (number >= least && number <= BIGGEST) return number;
  throw wrong(value, `a whole number from ${least} to ${BIGGEST}`);
}

function real(value) {
  if (isNumber(value) || (typeof value === "string" && DECIMAL.test(value))) return Number(value);
  throw wrong(value, "a number");
}

function truth(value) {
  if (isNumber(value)) return Number(value) !== 0;
  throw wrong(value, "true or false");
}

function characters(value) {
  if (typeof value !== "string") throw wrong(value, "text");
  if (!HALF_A_PAIR.test(value)) return encoder.encode(value);
  throw new FieldError("holds half of a surrogate pair, which is not a character");
}

function putVarint(out, number) {
  for (; number > 0x7f; number = Math.floor(number / 128)) out.push((number % 128) | 0x80);
  out.push(number);
}

function putBytes(out, bytes) {
  for (const byte of bytes) out.push(byte);
}

function putSized(out, bytes) {
  putVarint(out, bytes.length);
  putBytes(out, bytes);
}

/** Bytes that are read from the first to the last, and never beyond. */
class Reader {
  at = 0;

  constructor(bytes) {
    this.bytes = bytes;
  }

  get left() {
    return this.bytes.length - this.at;
  }

  take(size) {
    if (size > this.left) throw new FieldError(`goes ${size - this.left} bytes beyond the end`);
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  /** A number of at most ten bytes; `mask` says which bits of the first one count. */
  varint(mask = 0x7f) {
    let number = 0;
    for (let place = 0; place < 10; place += 1) {
      if (!this.left) throw new FieldError("ends inside a number");
      const byte = this.bytes[this.at++];
      number += (byte & (place ? 0x7f : mask)) * 128 ** place;
      if (byte < 0x80) return number;
    }
    throw new FieldError("has an endless number");
  }

  unsigned() {
    return safe(this.varint());
  }

  // The lowest bit is the sign. With it, what is left may be more than a number holds exactly.
  signed() {
    const isNegative = this.bytes[this.at] & 1;
    const half = this.varint(0x7e) / 2;
    return safe(isNegative ? -half - 1 : half);
  }
}

function safe(number) {
  if (Number.isSafeInteger(number)) return number;
  throw new FieldError(`is larger than ${BIGGEST}`);
}

const unsigned = {
  wireType: VARINT,
  write: (out, value) => putVarint(out, whole(value, 0)),
  read: (reader) => reader.unsigned(),
};
const signed = {
  wireType: VARINT,
  write(out, value) {
    const number = whole(value, SMALLEST_SIGNED);
    putVarint(out, number < 0 ? -2 * number - 1 : 2 * number);
  },
  read: (reader) => reader.signed(),
};
const floating = (wireType, size, kind) => ({
  wireType,
  write(out, value) {
    const view = new DataView(new ArrayBuffer(size));
    view[`set${kind}`](0, real(value), true);
    putBytes(out, new Uint8Array(view.buffer));
  },
  read(reader) {
    const bytes = reader.take(size);
    return new DataView(bytes.buffer, bytes.byteOffset)[`get${kind}`](0, true);
  },
});
const bool = {
  wireType: VARINT,
  write: (out, value) => out.push(truth(value) ? 1 : 0),
  read: (reader) => reader.varint() !== 0,
};
const string = {
  wireType: SIZED,
  write: (out, value) => putSized(out, characters(value)),
  read(reader) {
    const bytes = reader.take(reader.varint());
    try {
      return toText(bytes);
    } catch {
      throw new FieldError("is not text in UTF-8");
    }
  },
};

/** The simple types; `uInt64`, `sInt64` and `bool` are Pinus's. */
const TYPES = new Map(
  Object.entries({
    uInt32: unsigned,
    uInt64: unsigned,
    int32: signed,
    sInt32: signed,
    sInt64: signed,
    float: floating(FOUR_BYTES, 4, "Float32"),
    double: floating(EIGHT_BYTES, 8, "Float64"),
    bool,
    string,
  }),
);

class Field {
  /** @param type  one of TYPES, or a Message */
  constructor(name, { option, tag }, type) {
    Object.assign(this, { name, option, tag, type, head: tag * 8 + type.wireType });
    this.isCounted = option === "repeated" && type.wireType !== SIZED;
  }

  write(out, value, depth) {
    if (this.option !== "repeated") {
      putVarint(out, this.head);
      this.type.write(out, value, depth);
      return;
    }
    if (!Array.isArray(value)) throw wrong(value, "a list");
    if (this.isCounted && value.length) {
      putVarint(out, this.head);
      putVarint(out, value.length);
    }
    for (const [place, item] of value.entries()) {
      if (!this.isCounted) putVarint(out, this.head);
      within(`[${place}]`, () => this.type.write(out, plain(item), depth));
    }
  }

  read(reader, values, depth) {
    if (this.option !== "repeated") {
      values.set(this.name, this.type.read(reader, depth));
      return;
    }
    const items = values.get(this.name) ?? [];
    values.set(this.name, items);
    const count = this.isCounted ? reader.varint() : 1;
    if (this.isCounted && count * SIZES[this.type.wireType] > reader.left) {
      throw new FieldError(`is said to have ${count} values, more than there is room for`);
    }
    for (let left = count; left; left -= 1) items.push(this.type.read(reader, depth));
  }
}

/** A message of a schema. It is also the type of fields, which may be its own. */
class Message {
  wireType = SIZED;
  #byName = new Map();
  #byTag = new Map();

  add(field) {
    this.#byName.set(field.name, field);
    this.#byTag.set(field.tag, field);
  }

  write(out, value, depth) {
    const bytes = [];
    this.writeFields(bytes, value, depth + 1);
    putSized(out, bytes);
  }

  read(reader, depth) {
    return this.readFields(new Reader(reader.take(reader.varint())), depth + 1);
  }

  /** In the order of the value's keys; those that the schema doesn't know are left out. */
  writeFields(out, value, depth) {
    refuseDeeper(depth);
    if (!isObject(value)) throw wrong(value, "an object");
    const written = new Set();
    for (const [name, given] of Object.entries(value)) {
      const field = this.#byName.get(name);
      const item = field && plain(given);
      if (item === undefined || (item === null && field.option !== "required")) continue;
      within(name, () => field.write(out, item, depth));
      written.add(name);
    }
    for (const { name, option } of this.#byName.values()) {
      if (option !== "required" || written.has(name)) continue;
      throw new FieldError("is required, and missing", name);
    }
  }

  readFields(reader, depth) {
    refuseDeeper(depth);
    const values = new Map();
    while (reader.left) {
      const wireType = reader.bytes[reader.at] & 7;
      const tag = Math.floor(reader.varint() / 8);
      const field = this.#byTag.get(tag);
      if (field) within(field.name, () => field.read(reader, values, depth));
      else passOver(reader, tag, wireType);
    }
    return Object.fromEntries(values);
  }
}

function refuseDeeper(depth) {
  if (depth > DEEPEST) throw new FieldError(`is nested in more than ${DEEPEST} messages`);
}

/** A field that the schema doesn't know. */
function passOver(reader, tag, wireType) {
  if (tag && wireType === VARINT) reader.varint();
  else if (tag && wireType === SIZED) reader.take(reader.varint());
  else if (tag && SIZES[wireType]) reader.take(SIZES[wireType]);
  else throw new FieldError(`has the unknown tag ${tag} of wire type ${wireType}`);
}

function refuseUnless(isUsable, problem) {
  if (isUsable) return;
  throw new ClientError("protocol", `the server's protobuf schemas can't be used: ${problem}`);
}

/** The messages of one direction, by their routes. */
export class Schema {
  #messages = new Map();

  /** @param {Record<string, object>} parsed  as servers tell it in a handshake */
  constructor(parsed) {
    const made = new Map();
    // Messages may lead back to themselves: they are made first, and get their fields then.
    const make = (place, declared) => {
      refuseUnless(isObject(declared), `'${place}' is no message`);
      if (!made.has(declared)) made.set(declared, { message: new Message(), place });
      return made.get(declared).message;
    };
    refuseUnless(isObject(parsed), "they are no object");
    for (const [route, declared] of Object.entries(parsed)) {
      this.#messages.set(route, make(route, declared));
    }
    for (const [{ __messages: inside = {}, __tags, ...fields }, { message, place }] of made) {
      refuseUnless(isObject(inside), `'${place}' has messages inside that are none`);
      for (const [name, declared] of Object.entries(inside)) make(`${place}.${name}`, declared);
      for (const [name, declared] of Object.entries(fields)) {
        const { option, type, tag } = declared ?? {};
        const whose = `'${place}.${name}'`;
        refuseUnless(OPTIONS.includes(option), `${whose} has the unknown option '${option}'`);
        const isTag = Number.isInteger(tag) && tag >= 1 && tag <= BIGGEST_TAG;
        refuseUnless(isTag, `${whose} has a tag that is not from 1 to ${BIGGEST_TAG}`);
        const used = Object.hasOwn(inside, type) ? inside[type] : parsed[`message ${type}`];
        const known = TYPES.get(type) ?? made.get(used)?.message;
        refuseUnless(known, `${whose} has the unknown type '${type}'`);
        message.add(new Field(name, declared, known));
      }
    }
  }

  /** @type {(route: string) => boolean}  whether bodies of that route are protobuf */
  has(route) {
    return this.#messages.has(route);
  }

  /** @type {(route: string, value: unknown) => Uint8Array} */
  encode(route, value) {
    const out = [];
    try {
      this.#messages.get(route).writeFields(out, plain(value), 0);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      throw new ClientError("usage", `can't be sent to ${route}: ${error}`);
    }
    return Uint8Array.from(out);
  }

  /** @type {(route: string, bytes: Uint8Array) => object} */
  decode(route, bytes) {
    try {
      return this.#messages.get(route).readFields(new Reader(bytes), 0);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      throw new ClientError("protocol", `a body from the server is no ${route}: ${error}`);
    }
  }
}

/**
 * What servers said of one kind of thing, by its versions, and which version each of them has: on
 * this page, and for the next in `localStorage`, as far as that works.
 */
class Kept {
  #kind;
  #versions = new Map();
  #servers = new Map();
  #isLoaded = false;

  /** @param kind  `key` in the storage, `name`, and how to find it in a handshake and make it */
  constructor(kind) {
    this.#kind = kind;
  }

  /** What a server said before, or another one last: perhaps it need not say it again. */
  probably(address) {
    this.#load();
    const version = this.#servers.get(address) ?? [...this.#versions.keys()].at(-1);
    return this.#versions.has(version) ? { version, said: this.#versions.get(version) } : null;
  }

  /** What a server's `sys` agrees on, knowing what it was `offered` as known here. */
  agree(address, sys, offered) {
    const { name, flag, find, make } = this.#kind;
    const { version, said } = find(sys) ?? (sys[flag] && offered) ?? {};
    if (sys[flag] && !said) {
      const problem = `the server uses ${name} that it didn't send and that is not known here`;
      throw new ClientError("handshake", problem);
    }
    const made = make(said);
    if (said && version && typeof version === "string") this.#keep(address, version, said);
    return made;
  }

  #keep(address, version, said) {
    const isNew = this.#servers.get(address) !== version || !this.#versions.has(version);
    putLast(this.#versions, version, said, MOST_VERSIONS);
    putLast(this.#servers, address, version, MOST_SERVERS);
    if (!isNew) return;
    try {
      const text = JSON.stringify([[...this.#versions], [...this.#servers]]);
      globalThis.localStorage.setItem(this.#kind.key, text);
    } catch {
      // There is none, or it is full or forbidden: then only this page knows.
    }
  }

  #load() {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    try {
      const [versions, servers] = JSON.parse(globalThis.localStorage.getItem(this.#kind.key));
      for (const [version, said] of versions) {
        this.#kind.make(said);
        putLast(this.#versions, version, said, MOST_VERSIONS);
      }
      for (const [address, version] of servers) {
        putLast(this.#servers, address, version, MOST_SERVERS);
      }
    } catch {
      // There is none, it is forbidden, or it holds something else: then servers say it again.
    }
  }
}

function putLast(map, key, value, most) {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value);
}

const isCode = (code) => Number.isInteger(code) && code > 0 && code <= BIGGEST_CODE;
const isText = (route) => typeof route === "string";
const WILDCARD = /^(0\.0\.0\.0|\[?::\]?)$/;

function makeDictionary({ routeToCode, codeToRoute } = { routeToCode: {} }) {
  const isDictionary = isObject(routeToCode) && Object.values(routeToCode).every(isCode);
  const turned = Object.entries(routeToCode).map(([route, code]) => [code, route]);
  const routes = codeToRoute ?? Object.fromEntries(turned);
  if (isDictionary && isObject(routes) && Object.values(routes).every(isText)) {
    return { routeToCode, codeToRoute: routes };
  }
  throw new ClientError("protocol", "the server has a route dictionary that is none");
}

function makeSchemas({ server = {}, client = {} } = {}) {
  return { server: new Schema(server), client: new Schema(client) };
}

const dictionaries = new Kept({
  key: "chatcore.dictionaries",
  name: "a route dictionary",
  flag: "useDict",
  make: makeDictionary,
  find({ dict, routeToCode = dict, codeToRoute, dictVersion }) {
    return routeToCode && { version: dictVersion, said: { routeToCode, codeToRoute } };
  },
});

const schemas = new Kept({
  key: "chatcore.schemas",
  name: "protobuf schemas",
  flag: "useProto",
  make: makeSchemas,
  find({ protos }) {
    const { server, client, version } = protos ?? {};
    return protos && { version, said: { server, client } };
  },
});

/** The host and the port that a kick names, or null. */
function placeIn({ host, port }) {
  const isPlace = host && isText(host) && Number.isInteger(port) && port > 0 && port < 65536;
  return isPlace ? { host, port } : null;
}

/** Connects anew where a server has sent its client, for as many tries as are worth it. */
class Following {
  #connect;
  #find;
  #tries = 0;
  #since = -Infinity;
  #timer = 0;
  #isStopped = false;
  isGoing = false;

  /** `connect` to a place; `find` gives one, if there is a way, when none is named or reached. */
  constructor(connect, find) {
    this.#connect = connect;
    this.#find = find;
  }

  /** Then `came` is called with what `connect` gave, or `gaveUp`; or nothing, once stopped. */
  async goOn(place, came, gaveUp) {
    this.isGoing = true;
    if (Date.now() - this.#since >= STEADY) this.#tries = 0;
    for (let tries = 1; this.#tries < MOST_TRIES; tries += 1) {
      await this.#pause(place !== null);
      this.#tries += 1;
      const isFound = this.#find && (place === null || tries > NAMED_TRIES);
      let there = null;
      try {
        const where = isFound ? await this.#find() : place;
        if (!this.#isStopped) there = await this.#connect(where);
      } catch {
        // The next try may do.
      }
      if (this.#isStopped) return;
      if (!there) continue;
      this.#since = Date.now();
      this.isGoing = false;
      came(there);
      return;
    }
    this.isGoing = false;
    gaveUp();
  }

  stop() {
    this.#isStopped = true;
    this.isGoing = false;
    clearTimeout(this.#timer);
  }

  #pause(isNamed) {
    const longest = Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** Math.max(this.#tries - 1, 0));
    const isFirst = isNamed && this.#tries === 0;
    const wait = isFirst ? FIRST_WAIT * Math.random() : longest * (0.5 + 0.5 * Math.random());
    return new Promise((resolve) => (this.#timer = setTimeout(resolve, wait)));
  }
}

/** One WebSocket, from its opening to its end. A client makes a new one for each `init`. */
class Connection {
  #options;
  #emit;
  #opening = null;
  #openingTimer = 0;
  #ready = false;
  #ended = false;
  #address = "";
  #offered = {};
  #dictionary = makeDictionary();
  #schemas = makeSchemas();
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
    this.#address = `${secure ? "wss" : "ws"}://${where}/${path.replace(/^\//, "")}`;
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
      this.#openingTimer = setTimeout(() => {
        this.#fail(new ClientError("timeout", `${where} did not answer in ${timeout} ms`));
      }, timeout);
      try {
        const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
        this.socket = new Socket(this.#address);
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
    const dictionary = dictionaries.probably(this.#address);
    const protos = schemas.probably(this.#address);
    this.#offered = { dictionary, protos };
    const versions = { dictVersion: dictionary?.version, protoVersion: protos?.version };
    return { sys: { type: clientType, version: clientVersion, rsa: {}, ...versions }, user };
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

  #sendMessage(message, msg = {}) {
    const { client } = this.#schemas;
    const { route } = message;
    const body = client.has(route) ? client.encode(route, msg) : encodeJson(msg);
    this.#send(PACKAGE.DATA, encodeMessage({ ...message, body }, this.#dictionary.routeToCode));
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
    const sys = reply.sys ?? {};
    const { dictionary, protos } = this.#offered;
    this.#dictionary = dictionaries.agree(this.#address, sys, dictionary);
    this.#schemas = schemas.agree(this.#address, sys, protos);
    clearTimeout(this.#openingTimer);
    this.#interval = (sys.heartbeat ?? 0) * 1000;
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
    const why = `kicked by the server: ${body?.reason ?? "no reason"}`;
    const error = new ClientError("kicked", why);
    if (body?.reason === "moved") {
      error.code = "moved";
      error.place = placeIn(body);
      this.#emit("moved", error.place ?? { host: null, port: null });
    }
    this.end(error);
  }

  #message(bytes) {
    let waiting;
    try {
      const message = decodeMessage(bytes, this.#dictionary.codeToRoute);
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
    if (gzip) throw new ClientError("unsupported", `the body of ${route} is compressed`);
    const { server } = this.#schemas;
    return server.has(route) ? server.decode(route, body) : decodeJson(body);
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
 * @property {boolean | (() => Promise<{host: string, port: number}>)} [follow]  whether to go on by
 *   itself where a server that is emptied sends this client: there, then to what the function
 *   finds, if one is given; to ask a gate, it has to take another client
 */
export class Client {
  #listeners = new Map();
  #connection = null;
  #requestTimeout = REQUEST_TIMEOUT;
  /** @type {any} */
  #options = null;
  /** @type {Following | null} */
  #following = null;

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
    this.#options = options;
    const { follow } = options;
    if (follow) {
      const find = typeof follow === "function" ? follow : null;
      this.#following = new Following((place) => this.#connectAnew(place), find);
    }
    const opened = this.#open();
    const connection = this.#connection;
    if (callback) opened.then(() => callback(connection.socket), () => {});
    return opened;
  }

  /** @param {boolean} [isTry]  of which nobody is told as long as it fails */
  #open(isTry = false) {
    let isQuiet = isTry;
    const connection = new Connection(this.#options, (event, value) => {
      if (!isQuiet) this.#happened(connection, event, value);
    });
    this.#connection = connection;
    const opened = connection.open();
    opened.then(() => (isQuiet = false), () => {});
    return opened;
  }

  async #connectAnew(place) {
    const { host: last } = this.#options;
    const host = !place || WILDCARD.test(place.host) ? last : place.host;
    this.#options = { ...this.#options, ...place, host };
    const { user } = await this.#open(true);
    return { host, port: this.#options.port, user };
  }

  #happened(connection, event, value) {
    const isEnd = value?.error?.code === "moved";
    if (!isEnd || !this.#following || connection !== this.#connection) {
      this.#emit(event, value);
      return;
    }
    if (event !== "disconnect") return; // which comes last
    this.#following.goOn(
      value.error.place,
      (there) => this.#emit("reconnect", there),
      () => this.#emitEnd(value),
    );
  }

  #emitEnd(value) {
    for (const event of ["close", "disconnect"]) this.#emit(event, value);
  }

  /**
   * @param {string} route  such as `chat.chatHandler.send`
   * @param {unknown} [msg]  whatever JSON can hold, or what the server's schema of the route says
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
    const following = this.#following;
    this.#connection = this.#following = null;
    const wasGoing = following?.isGoing;
    following?.stop();
    const error = new ClientError("closed", "disconnected by this client");
    connection?.end(error);
    if (wasGoing) this.#emitEnd({ code: 1000, reason: "", error });
  }

  /**
   * Events: the route of each push; `onKick` (the server's `{reason}`); `disconnect` and `close`
   * (`{code, reason, error}`, at every end of a connection); `error` (a ClientError); `io-error`
   * (the WebSocket's event); `heartbeat timeout`.
   *
   * A server that is emptied sends its clients elsewhere: `moved` has the `host` and the `port`, or
   * null for both. A client that follows by itself then tells `reconnect`, with those and the
   * `user` of the handshake, when the application has to log in again; `disconnect` and `close`
   * only if it finds no server.
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
