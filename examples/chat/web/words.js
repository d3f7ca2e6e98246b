/** What the page says: the rules for names, and a clear text for everything that can go wrong. */

export const LONGEST_NAME = 20;
export const LONGEST_MESSAGE = 2000;

const ALLOWED = /^[A-Za-z0-9_\u4e00-\u9fa5]+$/;

/**
 * What is wrong with a name, or null.
 * @param {string} text
 * @param {"name" | "room"} what
 */
export function mistakeIn(text, what) {
  const it = what === "name" ? "Your name" : "The room";
  if (!text) return what === "name" ? "Please enter a name." : "Please enter a room.";
  if (text.length > LONGEST_NAME) {
    return `${it} is too long: ${LONGEST_NAME} characters at most.`;
  }
  if (!ALLOWED.test(text)) {
    return `${it} can only have letters, numbers, Chinese characters and _ (no spaces).`;
  }
  return null;
}

/** One text per kind of problem; see `Problem` in connection.js. */
const TEXTS = {
  gate: () => "The chat doesn’t answer. It may be down, or your network may be.",
  "no-server": () => "There is no server free to take you in. Please wait a moment.",
  connector: () => "The server that should take you in doesn’t answer.",
  duplicate: ({ name, room }) => `Somebody called ${name} is in ${room} already.`,
  refused: ({ room }) => `The server of ${room} is away.`,
  moved: () => "The server sends everybody to another one.",
  lost: () => "The connection was lost.",
  kicked: ({ reason }) => `The server ended your visit${reason ? `: ${reason}` : ""}.`,
  version: () => "This page is too old for the server. Please reload it.",
  offline: () => "You are not connected right now.",
  slow: () => "The server took too long to answer. Your message may not have arrived.",
  cut: () => "The connection was lost while sending. Your message may not have arrived.",
  "person-away": ({ target }) =>
    `${target} did not get this: they may have left, or the room’s server is away.`,
  "room-away": () => "Your message was not sent: the room’s server is away. Joining again…",
};

/** @param {{kind: string, detail?: object}} problem */
export function textOf({ kind, detail = {} }) {
  return TEXTS[kind]?.(detail) ?? "Something went wrong. Please try again.";
}

/** What to do about a problem, on the form for joining. */
export function adviceOn({ kind }) {
  if (kind === "duplicate") return "Please choose another name.";
  if (kind === "version" || kind === "no-server") return "";
  return "Please try again in a moment.";
}
