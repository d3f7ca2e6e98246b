import { Client } from "./chatcore.js";

const client = new Client();
const show = (text) => (document.querySelector("#answer").textContent = text);

client.on("onWave", ({ from }) => {
  const line = document.createElement("li");
  line.textContent = `Client ${from} waves.`;
  document.querySelector("#waves").prepend(line);
});

let ready = null;
const connect = () => (ready ??= client.init({ host: location.hostname, port: 3010 }));
client.on("disconnect", () => (ready = null));

function onClick(button, action) {
  document.querySelector(button).addEventListener("click", async () => {
    try {
      await connect();
      await action();
    } catch (error) {
      show(`No answer: ${error.message}.`);
    }
  });
}

onClick("#test", async () => {
  const answer = await client.request("connector.entryHandler.entry", "hello");
  show(answer.msg);
});
onClick("#wave", () => client.notify("connector.entryHandler.wave"));

connect().catch(() => show("The game server does not run."));
