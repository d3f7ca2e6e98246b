// Pomelo's own codecs, for the tests to ask: a line with a question, a line with its answer.
//
// The arguments are the node_modules folder that holds them, and the descriptor to answer on. A
// question is an object with the name of one of the functions below under `ask`; it is written as a
// JavaScript expression, so that it may hold NaN and Infinity. An answer is JSON; what a codec
// throws is its `thrown`.
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const vm = require('vm');
const { createRequire } = require('module');

const [, , modules, descriptor] = process.argv;
const fromNpm = createRequire(path.join(modules, 'question.js'));
const answer = (value) => fs.writeFileSync(+descriptor, JSON.stringify(value, numbers) + '\n');
console.log = console.warn = console.error = () => {}; // Pomelo's codecs print what they refuse

const server = fromNpm('pomelo-protobuf');
const browser = fromNpm('pomelo-protobuf/lib/client/protobuf.js');
const pinus = fromNpm('pinus-protobuf/dist/encoder.js');
const pinusDecoder = fromNpm('pinus-protobuf/dist/decoder.js');
const protocol = fromNpm('pomelo-protocol');
const sioconnector = fromNpm('pomelo/lib/connectors/sioconnector.js');
const siosocket = fromNpm('pomelo/lib/connectors/siosocket.js').prototype;
let encoders = {};
let decoders = {};

function numbers(key, value) {
  return typeof value === 'number' && !Number.isFinite(value) ? { $: String(value) } : value;
}

const bytes = (hex) => Buffer.from(hex, 'hex');
const hex = (data) => (data ? Buffer.from(data).toString('hex') : null);

// pomelo-protocol as a browser has it.
function browserProtocol() {
  const sandbox = { Uint8Array, parseInt, String, Math, Error, module: { exports: {} } };
  sandbox.window = sandbox;
  const file = fromNpm.resolve('pomelo-protocol/lib/protocol.js');
  vm.runInNewContext(fs.readFileSync(file, 'utf8'), sandbox);
  return sandbox.Protocol;
}
const inBrowser = browserProtocol();

const questions = {
  schema({ protos }) {
    const parsed = server.parse(protos);
    server.init({ encoderProtos: parsed, decoderProtos: parsed });
    browser.init({ encoderProtos: parsed, decoderProtos: parsed });
    const [encoder, decoder] = [new pinus.Encoder(parsed), new pinusDecoder.Decoder(parsed)];
    encoders = { server: server.encode, browser: browser.encode };
    encoders.pinus = (route, value) => encoder.encode(route, value);
    decoders = { server: server.decode, browser: browser.decode };
    decoders.pinus = (route, data) => decoder.decode(route, data);
    return { parsed: JSON.stringify(parsed) };
  },
  encode: ({ side, route, value }) => ({ hex: hex(encoders[side](route, value)) }),
  decode: ({ side, route, hex }) => ({ value: decoders[side](route, bytes(hex)) }),

  // The components of a Pomelo server, on an application folder.
  dictionary({ base, types }) {
    const servers = Object.fromEntries(types.map((type) => [type, {}]));
    const app = { getBase: () => base, get: () => servers };
    const component = fromNpm('pomelo/lib/components/dictionary.js')(app);
    component.start(() => {});
    const [codes, routes] = [component.getDict(), component.getAbbrs()];
    return { codes: JSON.stringify(codes), routes, version: component.getVersion() };
  },
  protos({ base, env }) {
    const app = { getBase: () => base, get: () => env };
    const component = fromNpm('pomelo/lib/components/protobuf.js')(app);
    component.stop(true, () => {});
    return { protos: JSON.stringify(component.getProtos()) };
  },

  // What Pomelo's clients of socket.io and its connector for them say to each other.
  decodeComposed: ({ text }) => ({ message: sioconnector.decode(text) }),
  encodeComposed: ({ id, route, body }) => {
    const sent = [];
    siosocket.send.call({ state: 0, socket: { send: (text) => sent.push(text) } },
      sioconnector.encode(id, route, body));
    return { text: sent[0] };
  },
  encodeComposedBatch: ({ messages }) => {
    const sent = [];
    const socket = { state: 0, socket: { send: (text) => sent.push(text) }, send: siosocket.send };
    siosocket.sendBatch.call(socket, messages);
    return { text: sent[0] };
  },

  encodeMessage: ({ id, type, compressed, route, body }) => ({
    hex: hex(protocol.Message.encode(id, type, compressed, route, bytes(body))),
  }),
  decodeMessage({ hex: data }) {
    const { id, type, route, body } = protocol.Message.decode(bytes(data));
    return { id, type, route, body: hex(body) };
  },
  encodePackage: ({ type, body }) => ({ hex: hex(protocol.Package.encode(type, bytes(body))) }),
  decodePackages({ hex: data }) {
    const packages = [].concat(protocol.Package.decode(bytes(data)));
    return { packages: packages.map(({ type, body }) => [type, hex(body) || '']) };
  },
  browserText: ({ hex }) => ({ text: inBrowser.strdecode(Uint8Array.from(bytes(hex))) }),
  browserBytes: ({ text }) => ({ hex: hex(inBrowser.strencode(text)) }),
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  try {
    const question = eval(`(${line})`);
    answer(questions[question.ask](question));
  } catch (error) {
    answer({ thrown: String(error.code || error.message) });
  }
});
