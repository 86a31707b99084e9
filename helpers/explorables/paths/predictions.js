// What is predicted after one position: the most likely tokens, and the right one.

import { css, shadeOf } from "../shared/cividis.js";
import { make } from "../shared/common.js";
import { decimal } from "../shared/formats.js";

const FEW = 5; // tokens listed, besides the right one

export function makePredictions() {
  const title = make("h4"), list = make("div", { class: "top", role: "img" });

  function draw({ labels, vocabulary, targets, d_vocab }, position, logits, probabilities) {
    const at = position * d_vocab, target = targets[position];
    const probability = (token) => probabilities[at + token];
    const order = Array.from({ length: d_vocab }, (_, token) => token)
      .sort((a, b) => logits[at + b] - logits[at + a]);
    const place = (token) => order.indexOf(token) + 1;
    const listed = order.slice(0, FEW);
    if (!listed.includes(target)) listed.push(target);
    title.textContent = `After position ${position} “${labels[position]}”`;
    const here = logits.subarray(at, at + d_vocab);
    if (here.every((logit) => logit === here[0])) {  // an order among equals would say something
      const words = `All ${d_vocab} tokens are alike: no term that is on prefers any. `
        + `The right one is “${vocabulary[target]}”.`;
      list.replaceChildren(make("p", { class: "alike" }, words));
      list.setAttribute("aria-label", `After position ${position}, ${labels[position]}: ${words}`);
      return;
    }
    const heads = ["most likely", "", "prob.", "logit"].map((head) => make("small", {}, head));
    list.replaceChildren(...heads, ...listed.flatMap((token) => predictionRow(
      `${place(token)}. ${vocabulary[token]}`, token === target, probability(token),
      logits[at + token])));
    list.setAttribute("aria-label", `After position ${position}, ${labels[position]}: the right `
      + `answer “${vocabulary[target]}” is number ${place(target)} with probability `
      + `${decimal(probability(target))}; first is “${vocabulary[order[0]]}” with `
      + decimal(probability(order[0])));
  }
  return { title, list, draw };
}

function predictionRow(words, isRight, probability, logit) {
  const fill = make("i");
  fill.setAttribute("style",
    `width: ${100 * probability}%; background: ${css(shadeOf(probability))}`);
  return [
    make("span", { class: `word ${isRight ? "right" : ""}` }, words + (isRight ? " ✓" : "")),
    make("span", { class: "track" }, fill),
    make("span", { class: "number" }, decimal(probability)),
    make("span", { class: "number" }, logit.toFixed(1)),
  ];
}
