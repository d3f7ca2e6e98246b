/** The conversation on screen: messages, notices, and what is new below or since one looked away. */
import { byId, face, hueOf, icon, make } from "./dom.js";

const MOST_LINES = 600;
const SAME_BREATH = 3 * 60_000;
const NEAR_THE_END = 80;
const LINK = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g;

const hour = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });

function timeNow() {
  const now = new Date();
  const element = make("time", "", hour.format(now));
  element.dateTime = now.toISOString();
  return element;
}

function withLinks(text) {
  const parts = [];
  let at = 0;
  for (const { 0: address, index } of text.matchAll(LINK)) {
    const link = make("a", "", address);
    link.href = address;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    parts.push(text.slice(at, index), link);
    at = index + address.length;
  }
  return [...parts, text.slice(at)];
}

export class Log {
  #list = byId("log");
  #scroller = byId("scroller");
  #newest = byId("newest");
  #last = null;
  #fresh = null;
  #below = 0;
  #atEnd = true;

  constructor() {
    this.#scroller.addEventListener("scroll", () => {
      this.#atEnd = this.#distance() < NEAR_THE_END;
      if (this.#atEnd) this.#showBelow(0);
    });
    this.#newest.addEventListener("click", () => {
      this.toEnd();
      byId("entry").focus();
    });
    // Whatever changes the room there is (a keyboard on screen, a banner), the end stays in sight.
    new ResizeObserver(() => this.#atEnd && this.toEnd()).observe(this.#scroller);
  }

  clear() {
    this.#list.replaceChildren();
    this.#last = this.#fresh = null;
    this.#showBelow(0);
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#showBelow(0);
  }

  /** A quiet line between the messages. */
  notice(text) {
    this.#last = null;
    this.#add(make("li", "notice", text));
  }

  /**
   * @param {{from: string, target: string, text: string}} message
   * @param {string} me
   * @param {boolean} unseen  nobody is looking at the page
   */
  message({ from, target, text }, me, unseen) {
    const mine = from === me;
    if (unseen && !mine) this.#markFresh();
    const isPrivate = target !== "*";
    const now = Date.now();
    const last = this.#last;
    const follows =
      last && last.from === from && last.target === target && now - last.at < SAME_BREATH;
    this.#last = { from, target, at: now };

    const line = make("li", `message ${hueOf(from)}`);
    line.classList.toggle("mine", mine);
    line.classList.toggle("private", isPrivate);
    line.classList.toggle("follows", Boolean(follows));
    const by = make("p", follows ? "visually-hidden" : "by", make("b", "", mine ? "You" : from));
    if (isPrivate) {
      const to = target === me ? "to you only" : `to ${target} only`;
      by.append(" ", make("span", "private-mark", icon("lock"), to));
    }
    by.append(" ", timeNow());
    if (!mine && !follows) line.append(face(from));
    line.append(by, make("p", "text", ...withLinks(text)));
    this.#add(line, mine);
    if (!this.#atEnd && !mine) this.#showBelow(this.#below + 1);
  }

  /** A line above the first message that came while nobody was looking. */
  #markFresh() {
    if (this.#fresh) return;
    this.#last = null;
    this.#fresh = make("li", "notice fresh", "New messages");
    this.#add(this.#fresh);
  }

  /** Somebody has looked: the next unseen message gets a line of its own. */
  seen() {
    this.#fresh = null;
    for (const old of [...this.#list.querySelectorAll(".fresh")].slice(0, -1)) old.remove();
  }

  #distance() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  #add(line, follow = false) {
    this.#list.append(line);
    while (this.#list.children.length > MOST_LINES) this.#list.firstElementChild.remove();
    if (this.#atEnd || follow) this.toEnd();
  }

  #showBelow(count) {
    this.#below = count;
    this.#newest.hidden = count === 0;
    const messages = count === 1 ? "1 new message" : `${count} new messages`;
    byId("newest-text").textContent = count ? messages : "";
  }
}
