/** Saying who comes and goes, but not of those who are only moved from one server to another. */
const PATIENCE = 3_000;

const realClock = {
  setTimeout: (fn, delay) => setTimeout(fn, delay),
  clearTimeout: (timer) => clearTimeout(timer),
};

export class Comings {
  #say;
  #clock;
  #going = new Map();

  /** @param {(text: string) => void} say */
  constructor(say, clock = realClock) {
    this.#say = say;
    this.#clock = clock;
  }

  came(name) {
    if (!this.#stays(name)) this.#say(`${name} is online now.`);
  }

  /** Somebody went; it is said unless they are back in a moment. */
  went(name) {
    this.#stays(name);
    const gone = () => {
      this.#going.delete(name);
      this.#say(`${name} is offline now.`);
    };
    this.#going.set(name, this.#clock.setTimeout(gone, PATIENCE));
  }

  /** Nobody looks at that room any more. */
  forget() {
    for (const name of [...this.#going.keys()]) this.#stays(name);
  }

  #stays(name) {
    this.#clock.clearTimeout(this.#going.get(name));
    return this.#going.delete(name);
  }
}
