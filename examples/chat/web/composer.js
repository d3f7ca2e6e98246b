/** Writing: Enter sends, Shift and Enter begin a new line, and no text is ever lost. */
import { byId } from "./dom.js";
import { EVERYONE } from "./people.js";
import { LONGEST_MESSAGE, textOf } from "./words.js";

export class Composer {
  #entry = byId("entry");
  #error = byId("send-error");
  #people;
  #send;

  constructor({ people, send }) {
    this.#people = people;
    this.#send = send;
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#entry.addEventListener("keydown", (event) => {
      // While an input method is composing, Enter chooses a word.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#entry.addEventListener("input", () => this.#fit());
  }

  /** The room is there: what stood in the way is over. */
  ready() {
    this.#error.textContent = "";
  }

  /** Begin to write; where that brings up a keyboard on the screen, the person decides when. */
  focus() {
    if (!matchMedia("(pointer: coarse)").matches) this.#entry.focus();
  }

  /** Back to writing to everyone. */
  escape() {
    if (this.#people.target !== EVERYONE) this.#people.choose(EVERYONE);
    this.#error.textContent = "";
  }

  async #submit() {
    const text = this.#entry.value.trim();
    const { target } = this.#people;
    this.#error.textContent = "";
    if (!text) return;
    if (text.length > LONGEST_MESSAGE) {
      const count = `${text.length} characters, ${LONGEST_MESSAGE} at most`;
      this.#error.textContent = `This is too long: ${count}.`;
      return;
    }
    this.#entry.value = "";
    this.#fit();
    try {
      await this.#send(text, target);
    } catch (problem) {
      const kept = this.#giveBack(text, target);
      this.#error.textContent = kept ? textOf(problem) : `${textOf(problem)} (“${text}”)`;
    }
  }

  /**
   * Text that didn't arrive returns to the field, and to whom it was meant for; unless something
   * for somebody else stands there by now, as the two must not get mixed up.
   */
  #giveBack(text, target) {
    const since = this.#entry.value;
    const other = this.#people.target !== target;
    if (since && other) return false;
    this.#entry.value = since ? `${text}\n${since}` : text;
    this.#fit();
    if (other) this.#people.choose(target);
    return true;
  }

  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#entry.rows = Math.min(6, this.#entry.value.split("\n").length);
  }
}
