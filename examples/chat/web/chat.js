/** The page: joining, talking, and saying what happens. */
import { Attention } from "./attention.js";
import { Banner } from "./banner.js";
import { Comings } from "./comings.js";
import { Composer } from "./composer.js";
import { Room } from "./connection.js";
import { byId } from "./dom.js";
import { JoinForm } from "./join.js";
import { Log } from "./log.js";
import { invitedTo, recall, remember, showInAddress } from "./memory.js";
import { People } from "./people.js";
import { textOf } from "./words.js";

const GATE_PORT = 3014;
const pageHost = location.hostname || "127.0.0.1";

const log = new Log();
const people = new People();
const comings = new Comings((text) => log.notice(text));
const attention = new Attention(() => log.seen());
const form = new JoinForm(join);
const banner = new Banner({ tryNow: () => room.tryNow(), joinAgain, otherName: leave });
const composer = new Composer({ people, send: (text, target) => room.send(text, target) });
const room = new Room({ report, locateGate, pageHost, secure: location.protocol === "https:" });

let visit = { name: "", room: "" };
let shownRoom = "";
let away = false;
let moving = false;
let knownGate = null;

/** Where the gate is: the page's server knows; by convention otherwise. */
async function locateGate() {
  if (knownGate) return knownGate;
  try {
    const reply = await fetch("./gate.json", { cache: "no-store", signal: AbortSignal.timeout(4000) });
    const { host, port } = await reply.json();
    if (reply.ok && Number.isInteger(port)) return (knownGate = { host, port });
  } catch {
    // A page served without a gate.json is a page beside the gate.
  }
  return { host: null, port: GATE_PORT };
}

async function join(name, roomName) {
  visit = { name, room: roomName };
  try {
    await room.join(name, roomName);
  } catch (problem) {
    form.refuse(problem);
  }
}

function joinAgain() {
  room.rejoin(visit.name, visit.room);
}

function leave() {
  const { problem } = banner;
  room.leave();
  away = moving = false;
  comings.forget();
  remember({ ...visit, inside: false });
  people.clear();
  attention.in("");
  showView("join");
  form.open(visit.name, visit.room, problem);
}

function showView(name) {
  byId("join-view").hidden = name !== "join";
  byId("chat-view").hidden = name !== "chat";
}

/** Make the room visible, with an empty log unless it is the room that was there before. */
function openRoom() {
  const { name, room: roomName } = visit;
  if (shownRoom !== roomName) log.clear();
  shownRoom = roomName;
  byId("room-name").textContent = roomName;
  people.replace([], name);
  attention.in(roomName);
  showInAddress(roomName);
  showView("chat");
}

const reports = {
  state(state) {
    const { phase, server, problem } = state;
    document.body.dataset.phase = phase;
    form.busy = phase === "entering";
    if (phase === "in") {
      remember({ ...visit, inside: true });
      byId("via").textContent = server;
      if (byId("chat-view").hidden) openRoom();
    } else if ((phase === "waiting" || phase === "ended") && !away) {
      away = true;
      if (problem) log.notice(textOf(problem));
    }
    if (phase === "moving") moving = true;
    byId("chat-view").classList.toggle("off", phase !== "in" && phase !== "moving");
    banner.show(state);
    showLine();
  },

  users(names) {
    const back = away;
    const moved = moving && !away; // of which nobody has to know
    away = moving = false;
    const { came, went } = people.replace(names, visit.name);
    if (!moved) log.notice(back ? "You are back." : `You are in ${visit.room}.`);
    if (back || moved) {
      for (const name of went) comings.went(name);
      for (const name of came) comings.came(name);
    } else {
      if (people.count === 1) log.notice("Nobody else is here yet. Copy the link above to invite.");
      composer.focus();
    }
    composer.ready();
    showLine();
  },

  online(name) {
    if (people.add(name)) comings.came(name);
    showLine();
  },

  offline(name) {
    if (people.remove(name)) comings.went(name);
    showLine();
  },

  message(message) {
    log.message(message, visit.name, attention.away);
    if (message.from !== visit.name) attention.message();
  },
};

function report(event, value) {
  reports[event](value);
}

function showLine() {
  const count = people.count;
  const here = count === 1 ? "nobody else is here" : `${count} people here`;
  byId("room-me").textContent = visit.name;
  const isHere = room.phase === "in" || room.phase === "moving";
  byId("room-line").textContent = isHere ? here : "not connected";
}

let toastTimer = 0;
function toast(text) {
  byId("toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (byId("toast").textContent = ""), 4000);
}

byId("leave").addEventListener("click", leave);

byId("invite").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("Link copied: whoever opens it is invited.");
  } catch {
    toast("The address of this page is the invitation.");
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !people.closeDrawer()) composer.escape();
});

window.addEventListener("online", () => room.tryNow());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) room.tryNow();
});

const last = recall();
const invitation = invitedTo();
if (last.inside && (!invitation || invitation === last.room)) {
  visit = { name: last.name, room: last.room };
  openRoom();
  room.rejoin(last.name, last.room);
} else {
  form.open(last.name ?? "", invitation || (last.room ?? ""), null, invitation);
}
