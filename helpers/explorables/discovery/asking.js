// The reader's own row, and what the model says comes next, at the step on show.

import { make } from "../shared/common.js";
import { asPercent } from "../shared/formats.js";
import { trickWords } from "./words.js";

const TYPED_OUT = 350; // milliseconds after the last key, then the row is put to the model
const LONG = 24; // letters, from which the row gets a line of its own, so that its end is seen

export function makeAsking(ask) {
  let timer = 0;
  const put = () => {
    clearTimeout(timer);
    ask(input.value);
  };
  const input = make("input", {
    type: "text", spellcheck: "false", autocomplete: "off",
    onchange: put,
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(put, TYPED_OUT);
    },
  });
  const answers = make("ol", { "aria-label": "The model's three best answers" });
  const trick = make("p");
  const element = make("div", { class: "asking" },
    make("label", {}, "Your row", input), make("span", { class: "next" }, "comes next:"), answers,
    trick);

  // What was typed stays while one types, and when it was refused: the answers below it are then
  // to another row, and stand back.
  function follow({ typed }, trouble) {
    const mine = document.activeElement === input, isRefused = trouble && input.value !== typed;
    if (!mine && !isRefused) input.value = typed;
    element.classList.toggle("stale", Boolean(isRefused));
    element.classList.toggle("long", typed.length >= LONG);
    input.setAttribute("aria-invalid", Boolean(isRefused));
  }

  function draw(training) {
    const { best, copied } = training.answers, row = training.row();
    answers.replaceChildren(...best.map(([name, share]) => answer(name, share, row.copied)));
    trick.replaceChildren(...trickWords(row.copied, copied).map(([words, mark]) =>
      make("span", { class: mark }, words)));
  }
  return { element, follow, draw };
}

function answer(name, share, copied) {
  const mark = name === copied ? "match" : "";
  return make("li", { class: mark, "aria-label": `${name}, ${asPercent(share)}` },
    make("b", {}, name),
    make("i", { class: "track" }, make("i", { style: `width: ${(100 * share).toFixed(1)}%` })),
    make("span", {}, asPercent(share)));
}
