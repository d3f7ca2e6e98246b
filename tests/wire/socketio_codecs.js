// The parsers of engine.io and socket.io, all generations, for the tests to ask: a line with a
// question, a line with its answer.
//
// The arguments are the node_modules folder that holds them, and the descriptor to answer on. A
// question is an object with the name of one of the functions below under `ask`. An answer is JSON;
// what a parser throws is its `thrown`. Bytes are written as {hex}.
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const vm = require('vm');
const { createRequire } = require('module');

const [, , modules, descriptor] = process.argv;
const fromNpm = createRequire(path.join(modules, 'question.js'));
const answer = (value) => fs.writeFileSync(+descriptor, JSON.stringify(value) + '\n');

const engines = {
  1: fromNpm('engine.io-parser-1'),
  2: fromNpm('engine.io-parser-2'),
  5: fromNpm('engine.io-parser-5'),
};
const sockets = {
  2: fromNpm('socket.io-parser-2'),
  3: fromNpm('socket.io-parser-3'),
  4: fromNpm('socket.io-parser-4'),
};
const jsonp = {
  1: fromNpm('engine.io-1/lib/transports/polling-jsonp.js'),
  6: require(path.join(modules, 'engine.io-6/build/transports/polling-jsonp.js')).JSONP,
};
const old = { server: fromNpm('socket.io-0/lib/parser.js'), client: oldClient() };

function oldClient() {
  const io = { JSON, util: { indexOf: (list, item) => list.indexOf(item) } };
  const file = path.join(modules, 'socket.io-client-0/lib/parser.js');
  vm.runInThisContext(`(function (io) { ${fs.readFileSync(file, 'utf8')} })`)(io);
  return io.parser;
}

const isHex = (value) => value !== null && typeof value === 'object' && 'hex' in value;
const bytes = (value) => Buffer.from(value.hex, 'hex');

// {hex} to Buffer and back, wherever it stands in a value.
function revived(value) {
  if (isHex(value)) return bytes(value);
  if (Array.isArray(value)) return value.map(revived);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revived(item)]));
}
function written(value) {
  if (Buffer.isBuffer(value)) return { hex: value.toString('hex') };
  if (Array.isArray(value)) return value.map(written);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, written(item)]));
}

// What a parser's callback was given, whether it was called once or for each packet.
function called(start) {
  const values = [];
  start((value) => {
    values.push(value);
  });
  return values;
}

function transport(packets, revision) {
  return {
    protocol: revision,
    parser: engines[revision === 3 ? 2 : 5],
    onPacket: (packet) => packets.push(packet),
    onClose: () => packets.push({ type: 'close' }),
  };
}

const questions = {
  encodePacket: ({ parser, packet, binary }) => {
    const engine = engines[parser];
    const rest = parser === 5 ? [binary] : [binary, false];
    return { packet: written(called((give) => engine.encodePacket(revived(packet), ...rest, give))[0]) };
  },
  decodePacket: ({ parser, data }) => ({ packet: written(engines[parser].decodePacket(revived(data))) }),

  encodePayload: ({ parser, packets, binary }) => {
    const engine = engines[parser];
    const rest = parser === 5 ? [] : [binary];
    const [payload] = called((give) => engine.encodePayload(revived(packets), ...rest, give));
    return { payload: written(Buffer.from(payload)) };
  },
  // What 1.x and 2.x do for a client that takes binary, whether there is any or not.
  encodeAsBinary: ({ parser, packets }) => {
    const engine = engines[parser];
    const [payload] = called((give) => engine.encodePayloadAsBinary(revived(packets), give));
    return { payload: written(payload) };
  },
  // `encoding` is what the poll's answer is read as: latin1 is what 1.x does in browsers.
  decodePayload: ({ parser, payload, encoding, binary }) => {
    const engine = engines[parser];
    const data = binary ? bytes(payload) : bytes(payload).toString(encoding || 'utf8');
    if (parser === 5) return { packets: written(engine.decodePayload(data)) };
    return { packets: written(called((give) => engine.decodePayload(data, give))) };
  },

  writeJsonp: ({ engine, index, text }) => {
    const sent = [];
    const JSONP = jsonp[engine];
    const fake = Object.assign(Object.create(JSONP.prototype), {
      head: `___eio[${index}](`,
      foot: ');',
      headers: () => ({}),
      httpCompression: null,
      req: { res: null },
    });
    fake.res = fake.req.res = { writeHead() {}, end: (data) => sent.push(data) };
    fake.doWrite(text, {}, () => {});
    return { script: sent[0], runs: runScript(sent[0]) };
  },
  readJsonp: ({ engine, form, revision }) => {
    const packets = [];
    const fake = Object.assign(Object.create(jsonp[engine].prototype), transport(packets, revision));
    fake.onData(form);
    return { packets: written(packets) };
  },
  runScript: ({ script }) => ({ runs: runScript(script) }),

  encodeSocket: ({ parser, packet }) => {
    const { Encoder } = sockets[parser];
    const encoder = new Encoder();
    if (parser === 4) return { messages: written(encoder.encode(revived(packet))) };
    return { messages: written(called((give) => encoder.encode(revived(packet), give))[0]) };
  },
  decodeSocket: ({ parser, messages }) => {
    const { Decoder } = sockets[parser];
    const decoder = new Decoder();
    const packets = [];
    decoder.on('decoded', (packet) => packets.push(packet));
    for (const message of revived(messages)) decoder.add(message);
    return { packets: written(packets) };
  },

  encodeOld: ({ side, packet }) => ({ text: old[side].encodePacket(packet) }),
  decodeOld: ({ side, text }) => ({ packet: old[side].decodePacket(text) }),
  encodeOldPayload: ({ side, packets }) => ({ text: old[side].encodePayload(packets) }),
  decodeOldPayload: ({ side, text }) => ({ packets: old[side].decodePayload(text) }),
};

function runScript(script) {
  const said = [];
  const give = new Proxy([], { get: () => (text) => said.push(text) });
  vm.runInNewContext(script, { ___eio: give, io: { j: give } });
  return said;
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  try {
    const question = JSON.parse(line);
    answer(questions[question.ask](question));
  } catch (error) {
    answer({ thrown: String(error.message) });
  }
});
