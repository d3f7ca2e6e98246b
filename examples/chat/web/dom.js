/** The few things every part of the page does with the DOM. Text only ever becomes text. */

/** @type {(id: string) => any} */
export const byId = (id) => document.getElementById(id);

/**
 * A new element: `make("b", "name", "alice")`.
 * @param {string} tag
 * @param {string} [className]
 * @param {...(Node | string)} children
 */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** One of the drawings at the top of index.html. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** The class that colours a name, the same one on every screen. */
export function hueOf(name) {
  let sum = 7;
  for (const sign of name) sum = (sum * 31 + sign.codePointAt(0)) % 9973;
  return `hue-${sum % 8}`;
}

/** A name's first sign in its colour. */
export function face(name) {
  const [first = "?"] = name;
  const element = make("span", `face ${hueOf(name)}`, first.toUpperCase());
  element.setAttribute("aria-hidden", "true");
  return element;
}
