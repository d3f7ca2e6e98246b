// What a library of socket.io tells of places that it may not enter: a line for each event.
// Arguments: the library, and where to connect.
const [, , library, ...urls] = process.argv;
const { connect } = require(library);
const EVENTS = ["connect", "connect_error", "connect_failed", "error", "disconnect"];

for (const url of urls) {
  const auth = { token: "wrong" };
  const options = { auth, query: "token=wrong", forceNew: true, "force new connection": true };
  const socket = connect(url, options);
  for (const event of EVENTS) {
    socket.on(event, (said) => {
      const text = said instanceof Error ? { message: said.message, data: said.data } : said;
      console.log(JSON.stringify([new URL(url).pathname, event, text]));
    });
  }
}
