/** The chat over socket.io 4: emit calls a handler, its acknowledgement is the answer. */
import { io } from "./node_modules/socket.io-client/dist/socket.io.esm.min.js";
import { show } from "./page.js";

const transports = new URLSearchParams(location.search).get("transports");

/**
 * Connect to a server.
 *
 * `hear(route, body)` is called with what it pushes, `ended(kick)` when the connection is over:
 * with what the server said before it ended it, or null.
 */
function open(url, hear, ended) {
  return new Promise((resolve, reject) => {
    let kick = null;
    const socket = io(url, {
      forceNew: true,
      reconnection: false, // by the gate rather than to the same server: see room.js
      ...(transports && { transports: transports.split(",") }),
    });
    socket.onAny((route, body) => (route === "onKick" ? (kick = body) : hear(route, body)));
    socket.on("connect_error", reject);
    socket.on("disconnect", () => ended(kick));
    socket.on("connect", () =>
      resolve({
        ask: (route, msg) => socket.timeout(10_000).emitWithAck(route, msg),
        transport: () => socket.io.engine.transport.name,
        close: () => socket.disconnect(),
      }),
    );
  });
}

show("socket.io 4", open);
