// What is saved at each kind of token: a row a kind, which can be pressed to see its tokens alone.

import { make } from "../shared/common.js";
import { signed } from "../shared/formats.js";
import { largest } from "../shared/numbers.js";

// `choose(kind)`: null where the one that is chosen is pressed again.
export function makeKinds(choose) {
  const element = make("div", { class: "kinds", role: "group", "aria-label": "Kinds of tokens" });
  let chosen = null;

  function press(kind) {
    chosen = kind === chosen ? null : kind;
    [...element.children].forEach((button) =>
      button.setAttribute("aria-pressed", button.value === chosen));
    choose(chosen);
  }

  function set(sums) {
    const end = largest(sums.map(({ sum }) => Math.abs(sum))) || 1;
    element.replaceChildren(...sums.map(({ kind, count, sum }) => {
      const fill = make("i", { class: sum < 0 ? "harms" : "helps" });
      fill.style.width = `${(100 * Math.abs(sum)) / end}%`;
      return make("button", {
        value: kind, "aria-pressed": kind === chosen, onclick: () => press(kind),
      }, make("span", {}, kind), make("b", {}, signed(sum)),
      make("span", { class: "track" }, fill),
      make("small", {}, `${count} tokens` + (count ? `, ${signed(sum / count)} each` : "")));
    }));
  }
  // The kind of the token that is read, if any.
  const mark = (kind) => [...element.children].forEach((button) =>
    button.classList.toggle("own", button.value === kind));
  return { element, set, mark };
}
