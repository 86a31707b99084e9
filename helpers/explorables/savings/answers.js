// What was expected at one token with the heads and without them, side by side.

import { css, shadeOf } from "../shared/cividis.js";
import { make } from "../shared/common.js";
import { asPercent, nats } from "../shared/formats.js";
import { shortName, themWords } from "./words.js";

const SIDES = { whole: "with", without: "without" };

export function makeAnswers() {
  const sides = Object.entries(SIDES).map(([key, word]) => ({
    key, word, name: make("b"), loss: make("span", { class: "number" }), same: make("i"),
    more: make("i", { class: "more" }), list: make("div", { class: "list", role: "img" }),
  }));
  const element = make("div", { class: "sides" }, ...sides.map(({ name, loss, same, more, list }) =>
    make("div", {}, make("div", { class: "loss" }, name, loss,
      make("span", { class: "track" }, same, more)), list)));

  // `end`: of the losses' scale, in nats.
  function draw({ vocabulary, heads }, read, end) {
    element.classList.toggle("nothing", !read);
    if (!read) return;
    const least = Math.min(read.whole.loss, read.without.loss), wide = (x) => `${(100 * x) / end}%`;
    for (const { key, word, name, loss, same, more, list } of sides) {
      const side = read[key];
      name.textContent = `${word} ${themWords(heads)}`;
      loss.textContent = `${nats(side.loss)} nats`;
      same.style.width = more.style.left = wide(least);
      more.style.width = wide(side.loss - least);
      list.replaceChildren(...side.answers.map((answer) => answerRow(vocabulary, answer)));
      const said = side.answers.map((answer) =>
        `${answer.place}. ${vocabulary[answer.token]} ${asPercent(answer.probability)}`
        + (answer.isRight ? ", the right one" : ""));
      list.setAttribute("aria-label", `${name.textContent}: ${said.join("; ")}`);
    }
  }
  return { element, draw };
}

function answerRow(vocabulary, { token, place, probability, isRight }) {
  const fill = make("i");
  fill.style.width = `${100 * probability}%`;
  fill.style.background = css(shadeOf(probability));
  return make("div", { class: isRight ? "answer right" : "answer" },
    make("small", {}, `${place}.`), make("span", { class: "word" }, shortName(vocabulary[token])),
    make("span", {}, isRight ? "✓" : ""),
    make("span", { class: "number" }, asPercent(probability)),
    make("span", { class: "track" }, fill));
}
