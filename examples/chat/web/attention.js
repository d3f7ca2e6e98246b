/** What a page in the background shows: the number of unread messages, in the title and the icon. */
import { byId } from "./dom.js";

const NAME = "chatcore";

export class Attention {
  #unread = 0;
  #room = "";
  #onSeen;

  /** @param {() => void} onSeen  called when somebody looks at the page again */
  constructor(onSeen) {
    this.#onSeen = onSeen;
    for (const event of ["visibilitychange", "focus"]) {
      (event === "focus" ? window : document).addEventListener(event, () => this.#look());
    }
  }

  get away() {
    return document.hidden || !document.hasFocus();
  }

  in(room) {
    this.#room = room;
    this.#unread = 0;
    this.#show();
  }

  message() {
    if (!this.away) return;
    this.#unread += 1;
    this.#show();
  }

  #look() {
    if (this.away || !this.#unread) return;
    this.#unread = 0;
    this.#show();
    this.#onSeen();
  }

  #show() {
    const title = this.#room ? `${this.#room} · ${NAME}` : `${NAME} chat`;
    document.title = this.#unread ? `(${this.#unread}) ${title}` : title;
    const icon = this.#unread ? "icon-unread.svg" : "icon.svg";
    if (byId("favicon").getAttribute("href") !== icon) byId("favicon").setAttribute("href", icon);
  }
}
