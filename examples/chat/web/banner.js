/** The strip that says how the connection is doing, while it isn't doing well. */
import { byId } from "./dom.js";
import { textOf } from "./words.js";

export class Banner {
  #actions;
  #action = null;
  #ticking = 0;
  /** @type {{kind: string} | null} */
  problem = null;

  /** @param {{tryNow: () => void, joinAgain: () => void, otherName: () => void}} actions */
  constructor(actions) {
    this.#actions = actions;
    byId("banner-button").addEventListener("click", () => this.#action?.());
  }

  /** @param {{phase: string, problem?: {kind: string}, delay?: number}} state */
  show({ phase, problem = null, delay = 0 }) {
    clearInterval(this.#ticking);
    this.problem = phase === "ended" ? problem : null;
    byId("banner").hidden = phase === "in" || phase === "out" || phase === "moving";
    this.#count(0);
    if (phase === "ended") {
      const [label, action] =
        problem.kind === "duplicate"
          ? ["Choose another name", this.#actions.otherName]
          : ["Join again", this.#actions.joinAgain];
      this.#say(textOf(problem), label, action);
    } else if (phase === "waiting" || phase === "entering") {
      this.#say(problem ? `${textOf(problem)} Trying again…` : "Joining…", "Try now");
      if (phase === "waiting") this.#wait(delay);
    } else {
      this.#say("", "");
    }
  }

  #say(text, label, action = null) {
    // A live region speaks whenever it is written to, the same words included.
    const spoken = byId("banner-text");
    if (spoken.textContent !== text) spoken.textContent = text;
    const button = byId("banner-button");
    button.textContent = label;
    button.disabled = !action;
    this.#action = action;
  }

  #wait(delay) {
    const end = performance.now() + delay;
    const tick = () => this.#count(Math.ceil((end - performance.now()) / 1000));
    this.#ticking = setInterval(tick, 1000);
    tick();
    byId("banner-button").disabled = false;
    this.#action = this.#actions.tryNow;
  }

  #count(seconds) {
    byId("banner-countdown").textContent = seconds > 0 ? `(in ${seconds} s)` : "";
  }
}
