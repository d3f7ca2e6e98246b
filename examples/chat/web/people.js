/** Who is there, and to whom one writes: the list (a drawer on phones) and the choice beside the text. */
import { byId, face, make } from "./dom.js";

export const EVERYONE = "*";

export class People {
  #list = byId("people-list");
  #select = byId("target");
  #aside = byId("people");
  #open = byId("people-open");
  #names = new Set();
  #me = "";
  #target = EVERYONE;

  constructor() {
    this.#select.addEventListener("change", () => this.choose(this.#select.value));
    this.#open.addEventListener("click", () => this.#drawer(true));
    byId("people-close").addEventListener("click", () => this.closeDrawer());
    byId("shade").addEventListener("click", () => this.closeDrawer());
  }

  /** The name one writes to, or EVERYONE. */
  get target() {
    return this.#target;
  }

  get count() {
    return this.#names.size;
  }

  /** Whether whoever one writes to is in the room. */
  get targetIsHere() {
    return this.#target === EVERYONE || this.#names.has(this.#target);
  }

  /**
   * Replace the list.
   * @param {string[]} names
   * @param {string} me
   * @returns {{came: string[], went: string[]}}  what is different from the list before
   */
  replace(names, me) {
    const before = this.#names;
    this.#me = me;
    this.#names = new Set([me, ...names]);
    this.#draw();
    return {
      came: [...this.#names].filter((name) => !before.has(name)),
      went: [...before].filter((name) => !this.#names.has(name)),
    };
  }

  /** @returns {boolean}  whether that is news */
  add(name) {
    if (this.#names.has(name)) return false;
    this.#names.add(name);
    this.#draw();
    return true;
  }

  /** @returns {boolean}  whether that is news */
  remove(name) {
    if (name === this.#me || !this.#names.delete(name)) return false;
    this.#draw();
    return true;
  }

  clear() {
    this.#names = new Set();
    this.#target = EVERYONE;
    this.closeDrawer();
    this.#draw();
  }

  choose(target) {
    this.#target = target;
    this.#draw();
    this.closeDrawer();
    byId("entry").focus();
  }

  /** @returns {boolean}  whether it was open */
  closeDrawer() {
    const wasOpen = this.#aside.classList.contains("open");
    if (wasOpen) this.#drawer(false);
    return wasOpen;
  }

  #drawer(open) {
    this.#aside.classList.toggle("open", open);
    this.#open.setAttribute("aria-expanded", String(open));
    byId("shade").hidden = !open;
    document.querySelector(".talk").inert = open;
    (open ? byId("people-close") : this.#open).focus();
  }

  #draw() {
    const others = [...this.#names].filter((name) => name !== this.#me);
    others.sort((a, b) => a.localeCompare(b));
    const focused = document.activeElement?.dataset?.name;
    this.#list.replaceChildren();
    if (this.#names.size) this.#list.append(make("li", "", this.#myRow()));
    for (const name of others) this.#list.append(make("li", "", this.#row(name)));
    if (focused) this.#list.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
    this.#drawTargets(others);
    const count = String(this.#names.size);
    byId("people-count").textContent = byId("people-badge").textContent = count;
    byId("composer").classList.toggle("is-private", this.#target !== EVERYONE);
    const to = this.#target === EVERYONE ? "everyone" : `${this.#target} only`;
    byId("entry").placeholder = `Message to ${to}`;
  }

  #myRow() {
    const label = make("span", "", `${this.#me} `, make("small", "", "you"));
    return make("div", "person", face(this.#me), label);
  }

  #row(name) {
    const button = make("button", "person", face(name), make("span", "", name));
    const chosen = this.#target === name;
    button.type = "button";
    button.dataset.name = name;
    button.title = `Write to ${name} only`;
    button.setAttribute("aria-pressed", String(chosen));
    button.addEventListener("click", () => this.choose(chosen ? EVERYONE : name));
    return button;
  }

  // Somebody who left stays chosen: what was meant for one must not go to all by itself.
  #drawTargets(others) {
    const options = [new Option("everyone", EVERYONE)];
    for (const name of others) options.push(new Option(name, name));
    if (!this.targetIsHere || this.#target === this.#me) {
      options.push(new Option(`${this.#target} (left)`, this.#target));
    }
    this.#select.replaceChildren(...options);
    this.#select.value = this.#target;
  }
}
