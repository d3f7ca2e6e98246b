/** The form for joining. */
import { byId } from "./dom.js";
import { adviceOn, mistakeIn, textOf } from "./words.js";

export class JoinForm {
  #name = byId("name");
  #room = byId("room");
  #error = byId("join-error");
  #button = byId("join-button");

  /** @param {(name: string, room: string) => void} join */
  constructor(join) {
    byId("join-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#button.disabled && this.#check()) join(this.#name.value, this.#room.value);
    });
  }

  set busy(busy) {
    this.#button.disabled = busy;
    this.#button.textContent = busy ? "Joining…" : "Join the room";
  }

  /**
   * @param {string} name
   * @param {string} room
   * @param {{kind: string} | null} problem  why the person is here again
   * @param {string} [invitation]  the room a link named
   */
  open(name, room, problem, invitation = "") {
    this.#name.value = name;
    this.#room.value = room;
    if (invitation) {
      byId("invitation").textContent = `You are invited to ${invitation}. All it takes is a name.`;
    }
    this.#say("");
    if (problem) this.refuse(problem);
    else (invitation || !name ? this.#name : this.#room).focus();
  }

  refuse(problem) {
    this.#say(`${textOf(problem)} ${adviceOn(problem)}`.trim());
    if (problem.kind === "duplicate") this.#point(this.#name);
    else this.#button.focus();
  }

  #check() {
    this.#say("");
    for (const [input, what] of [[this.#name, "name"], [this.#room, "room"]]) {
      input.value = input.value.trim();
      const mistake = mistakeIn(input.value, what);
      if (mistake) {
        this.#say(mistake);
        this.#point(input);
        return false;
      }
    }
    return true;
  }

  #say(text) {
    this.#error.textContent = text;
    for (const input of [this.#name, this.#room]) input.removeAttribute("aria-invalid");
  }

  #point(input) {
    input.setAttribute("aria-invalid", "true");
    input.focus();
    input.select();
  }
}
