/**
 * The chat as Pomelo's first client spoke it, over socket.io 0.9: all in texts, whose first four
 * characters number a request, and the fifth says how long the route is that follows.
 */
import { show } from "./page.js";

const { io } = globalThis; // a library of 2012 is no module

const compose = (id, route, msg) =>
  String.fromCharCode(id >> 24, (id >> 16) & 255, (id >> 8) & 255, id & 255, route.length) +
  route +
  JSON.stringify({ ...msg, timestamp: Date.now() });

/** Connect to a server; as `open` of new.js. */
function open(url, hear, ended) {
  return new Promise((resolve, reject) => {
    const waiting = new Map();
    let id = 0;
    let kick = null;
    const socket = io.connect(url, { "force new connection": true, reconnect: false });
    socket.on("message", (text) => {
      for (const each of [JSON.parse(text)].flat()) {
        if (each.id) {
          waiting.get(each.id)?.(each.body);
          waiting.delete(each.id);
        } else if (each.route === "onKick") kick = each;
        else hear(each.route, each.body);
      }
    });
    socket.on("error", reject);
    socket.on("disconnect", () => ended(kick));
    socket.on("connect", () =>
      resolve({
        ask: (route, msg) =>
          new Promise((answered) => {
            id += 1;
            waiting.set(id, answered);
            socket.send(compose(id, route, msg));
          }),
        transport: () => socket.socket.transport.name,
        close: () => socket.disconnect(),
      }),
    );
  });
}

show("socket.io 0.9", open);
