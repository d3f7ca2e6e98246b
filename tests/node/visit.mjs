// A visit to a frontend with chatcore.js: node visit.mjs CHATCORE.MJS WS-FOLDER PORT PORT TEXT.
// What happened comes out as JSON: what each server was told and said in its handshake, what was
// answered and what was pushed.
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [, , library, modules, one, other, text] = process.argv;
const WebSocket = createRequire(path.join(modules, "visit.js"))("ws");
const { Client } = await import(pathToFileURL(library));

const SAY = "back.sayHandler.say";
const seen = { handshakes: [], answers: [], pushes: [] };

let told;

class Watched extends WebSocket {
  send(bytes) {
    if (bytes[0] === 1) told = JSON.parse(Buffer.from(bytes.subarray(4))).sys;
    super.send(bytes);
  }
}

async function visit(port) {
  const client = new Client();
  const pushed = (route) => new Promise((resolve) => client.once(route, resolve));
  const pushes = Promise.all([pushed("onSaid"), pushed("onNoted"), pushed("onPlain")]);
  const { sys } = await client.init({ host: "127.0.0.1", port, WebSocket: Watched });
  seen.handshakes.push({ told, said: Object.keys(sys).sort() });
  seen.answers.push(await client.request(SAY, { text }));
  client.notify("back.sayHandler.note", { text, times: 300 });
  seen.answers.push(await client.request("back.sayHandler.plain", { text }));
  seen.answers.push(await client.request(SAY, {}).catch((error) => error.message));
  seen.pushes.push(await pushes);
  client.disconnect();
}

const late = setTimeout(() => process.exit(3), 30_000);
for (const port of [one, one, other]) await visit(port);
clearTimeout(late);
process.stdout.write(JSON.stringify(seen));
