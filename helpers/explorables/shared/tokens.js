// A strip of tokens in reading order, on the dark end of cividis, so that attention is light.
// It is one Tab stop: arrows, Home and End move along it. What it hears goes to `at(position, how)`, where `how` is
// "point" (position null when the pointer leaves), "press" or "move" (keys).

import { SHADES, clamp, make } from "./common.js";

const INK = SHADES.map(([red, green, blue]) => (0.299 * red + 0.587 * green + 0.114 * blue < 128 ? "#ffffff" : "#111111"));
export const shown = (number) => (number >= 99.95 ? number.toFixed(0) : number >= 9.995 ? number.toFixed(1) : number.toFixed(2));

// Among elements that wrap into lines: which is the nearest to element `from` one line up (step -1) or down (1)?
export function aboveOrBelow(elements, from, step) {
  const tops = [...new Set(elements.map((element) => element.offsetTop))].sort((a, b) => a - b);
  const top = tops[tops.indexOf(elements[from].offsetTop) + step];
  const middle = (element) => element.offsetLeft + element.offsetWidth / 2;
  const away = (i) => Math.abs(middle(elements[i]) - middle(elements[from]));
  const there = elements.flatMap((element, i) => (element.offsetTop === top ? [i] : []));
  return there.reduce((best, i) => (away(i) < away(best) ? i : best), there[0] ?? from);
}

export function tokenStrip(name, at) {
  const strip = make("div", { class: "tokens", role: "listbox", "aria-label": name });
  let chips = [], here = 0;

  const under = (event) => chips.indexOf(event.target.closest?.(".chip"));
  strip.addEventListener("pointermove", (event) => { if (under(event) >= 0) at(under(event), "point"); });
  strip.addEventListener("pointerleave", () => at(null, "point"));
  strip.addEventListener("click", (event) => { if (under(event) >= 0) at(under(event), "press"); });
  strip.addEventListener("keydown", (event) => {
    const to = event.shiftKey ? undefined : { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: chips.length - 1,
      ArrowUp: aboveOrBelow(chips, here, -1), ArrowDown: aboveOrBelow(chips, here, 1) }[event.key];
    if (to === undefined) return;
    event.preventDefault(); // or the page scrolls
    at(clamp(to, 0, chips.length - 1), "move");
    chips[here].focus();
  });

  return {
    element: strip,
    // New tokens, all dark. A label that ends a line of text ends the line here too.
    set(labels) {
      chips = labels.map((label) => make("div", { class: "chip", role: "option", tabindex: -1 }, make("span", {}, label), make("small", {})));
      strip.replaceChildren(...chips.flatMap((chip, i) => (labels[i].includes("⏎") ? [chip, make("i", { class: "break" })] : [chip])));
      here = 0;
    },
    // For each token `look(position)` gives: shade 0 to 1, or null for one that cannot be seen; note, a short text
    // below it; mark, class names; says, its name for a screen reader.
    paint(position, look) {
      here = position;
      chips.forEach((chip, i) => {
        const { shade, note = "", mark = "", says } = look(i);
        const value = Math.round(255 * clamp(shade ?? 0, 0, 1));
        chip.className = `chip ${mark} ${shade === null ? "unseen" : ""}`;
        chip.style.background = value ? `rgb(${SHADES[value].map(Math.round)})` : "";
        chip.style.color = value ? INK[value] : "";
        chip.lastChild.textContent = note;
        chip.tabIndex = i === here ? 0 : -1;
        chip.setAttribute("aria-selected", i === here);
        chip.setAttribute("aria-label", says);
      });
    },
  };
}
