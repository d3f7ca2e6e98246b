/** What a reload must not lose, and what a link to a room says. */

const KEY = "chatcore.visit";

/** @returns {{name?: string, room?: string, inside?: boolean}} */
export function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

export function remember(visit) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(visit));
  } catch {
    // A browser that keeps nothing still chats; a reload then asks again.
  }
}

export const invitedTo = () => new URLSearchParams(location.search).get("room") ?? "";

/** The page's address becomes a link to the room. */
export function showInAddress(room) {
  const url = new URL(location.href);
  url.searchParams.set("room", room);
  history.replaceState(null, "", url);
}
