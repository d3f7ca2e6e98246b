/** What people see and write; the same for every client. */
import { Room } from "./room.js";

const PAGE = `
  <main>
    <h1></h1>
    <form id="join">
      <input id="name" placeholder="Your name" aria-label="Your name" required />
      <input id="room" placeholder="Room" aria-label="Room" required />
      <button>Join the room</button>
    </form>
    <p id="state" role="status"></p>
    <ul id="people" aria-label="People in the room"></ul>
    <ol id="log" role="log" aria-label="Messages"></ol>
    <form id="composer" hidden>
      <select id="target" aria-label="To whom"></select>
      <input id="entry" aria-label="Message" autocomplete="off" required />
      <button>Send</button>
    </form>
  </main>`;

const find = (selector) => document.querySelector(selector);

/** An element with a text in it, which is never read as HTML. */
function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

/** Show the page of a chat whose servers are reached by `open`. */
export function show(library, open) {
  document.body.innerHTML = PAGE;
  find("h1").textContent = library;
  const people = new Set();
  const log = (text, className) => find("#log").append(element("li", text, className));
  const state = (text) => (find("#state").textContent = text);

  function refresh() {
    const names = [...people].sort();
    const chosen = find("#target").value;
    const choices = ["*", ...names].map((name) => {
      const choice = element("option", name === "*" ? "everyone" : name);
      choice.value = name;
      choice.selected = name === chosen;
      return choice;
    });
    find("#people").replaceChildren(...names.map((name) => element("li", name)));
    find("#target").replaceChildren(...choices);
    state(`in the room by ${room.place}, over ${room.transport}`);
  }

  const reports = {
    users(names) {
      people.clear();
      for (const name of names) people.add(name);
      refresh();
    },
    onAdd({ user }) {
      people.add(user);
      refresh();
      log(`${user} has come in.`, "notice");
    },
    onLeave({ user }) {
      people.delete(user);
      refresh();
      log(`${user} has left.`, "notice");
    },
    onChat({ from, target, msg }) {
      refresh();
      log(`${from}${target === "*" ? "" : ` to ${target}`}: ${msg}`);
    },
    away: () => state("on the way back …"),
    ended: (reason) => state(`put out: ${reason}`),
  };
  const room = new Room(open, (event, value) => reports[event]?.(value));

  // Browsers keep pages that people leave for a while, with their connections.
  addEventListener("pagehide", () => room.leave());
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

  find("#join").addEventListener("submit", async (event) => {
    event.preventDefault();
    state("on the way …");
    try {
      await room.enter(find("#name").value, find("#room").value);
      find("#join").hidden = true;
      find("#composer").hidden = false;
      find("#entry").focus();
    } catch (problem) {
      state(problem.message);
    }
  });
  find("#composer").addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = find("#entry").value;
    try {
      await room.say(text, find("#target").value);
      find("#entry").value = "";
    } catch (problem) {
      state(problem.message);
    }
  });
}
