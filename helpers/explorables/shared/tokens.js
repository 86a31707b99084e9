// A strip of tokens in reading order, on the dark end of cividis, so that attention is light.

import { SHADES, css, lightness } from "./cividis.js";
import { make } from "./common.js";
import { placeByKey } from "./keys.js";
import { clamp } from "./numbers.js";

const INK = SHADES.map((colour) => (lightness(colour) < 128 ? "#ffffff" : "#111111"));

// One element a token, which `chip(label)` makes. A label that ends a line of text can end the line
// here too: `lineEnd()` makes what does.
export function tokenRow(attributes, chip, lineEnd) {
  const element = make("div", attributes);
  let chips = [], labels = [];
  return {
    element,
    chips: () => chips,
    under: (event) => chips.findIndex((one) => one.contains(event.target)),
    set(told) {
      if (labels.length === told.length && labels.every((label, i) => label === told[i])) return;
      labels = told;
      chips = labels.map(chip);
      element.replaceChildren(...chips.flatMap((one, i) =>
        lineEnd && labels[i].includes("⏎") ? [one, lineEnd()] : [one]));
    },
  };
}

// The strip is one Tab stop: arrows, Home and End move along it, Enter presses. What it hears goes
// to `at(position, how)`, where `how` is "point" (position null when the pointer leaves), "press"
// or "move" (keys). `style`: its class, its elements, and how they get their colours.
export function tokenStrip(name, at, style = LIT) {
  const attributes = { class: style.kind, role: "listbox", "aria-label": name };
  const row = tokenRow(attributes, style.chip, style.lineEnd);
  let here = 0;

  const hear = (how) => (event) => {
    const position = row.under(event);
    if (position >= 0) at(position, how);
  };
  row.element.addEventListener("pointermove", hear("point"));
  row.element.addEventListener("click", hear("press"));
  row.element.addEventListener("pointerleave", () => at(null, "point"));
  row.element.addEventListener("keydown", (event) => {
    if (event.key === "Enter") at(here, "press");
    const to = event.shiftKey ? undefined : placeByKey(event, row.chips(), here);
    if (to === undefined) return;
    event.preventDefault(); // or the page scrolls
    at(to, "move");
    row.chips()[here].focus();
  });

  return {
    element: row.element,
    set: row.set,
    chips: row.chips,
    focus: () => row.chips()[here].focus(),
    reveal() { // where the strip scrolls, the chosen token comes into sight
      const { offsetTop, offsetHeight } = row.chips()[here], { clientHeight } = row.element;
      row.element.scrollTop = offsetTop - (clientHeight - offsetHeight) / 2;
    },
    // For each token `look(position)` gives: note, a short text beside it; mark, class names; says,
    // its name for a screen reader; and what its colours need: in a strip that is lit, shade, 0 to
    // 1, or null for one that cannot be seen. A click has `held` the chosen position, or not.
    paint({ chosen, held }, look) {
      here = chosen;
      row.chips().forEach((chip, i) => {
        const { mark = "", note = "", says, ...colours } = look(i);
        const chosenMark = held ? "chosen held" : "chosen";
        chip.className = `chip ${i === here ? chosenMark : ""} ${mark}`;
        chip.lastChild.textContent = note;
        chip.setAttribute("aria-label", says);
        style.colour(chip, colours);
        chip.tabIndex = i === here ? 0 : -1;
        chip.setAttribute("aria-selected", i === here);
      });
    },
  };
}

// Whether something that one looks at becomes another by what is next.
export const changes = (look, next) =>
  Object.entries(next).some(([name, value]) => look[name] !== value);

// A click holds its token, so that the pointer can read others beside it; the next lets go.
export const holds = ({ chosen, held }, position) => !held || position !== chosen;

// How a view that looks at one token, and may hold it, comes to look at another: `at` whatever is
// next, `hear` a strip's pointer or key. Escape lets go. What changes in `look` is drawn.
export function looking(el, look, draw) {
  function at(next) {
    if (!changes(look, next)) return; // the pointer also moves within a token
    Object.assign(look, next);
    draw();
  }
  function hear(position, how) {
    if (how === "press") at({ chosen: position, held: holds(look, position) });
    else if (position !== null && (how === "move" || !look.held)) at({ chosen: position });
  }
  el.addEventListener("keydown", (event) => {
    if (event.key === "Escape") at({ held: false });
  });
  return { at, hear };
}

export const makeChip = (label, after = "") =>
  make("div", { class: "chip", role: "option", tabindex: -1 },
    make("span", {}, label), after, make("small", {}));
const makeBreak = () => make("i", { class: "break" });

const LIT = { kind: "tokens", chip: (label) => makeChip(label), lineEnd: makeBreak, colour: light };

function light(chip, { shade }) {
  const value = Math.round(255 * clamp(shade ?? 0, 0, 1));
  chip.classList.toggle("unseen", shade === null);
  chip.style.background = value ? css(SHADES[value]) : "";
  chip.style.color = value ? INK[value] : "";
}
