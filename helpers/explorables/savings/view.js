// The view of Savings. Everything it draws was sent once; pointer and keys ask nothing of the
// kernel.

import { begin, caption, heed, make } from "../shared/common.js";
import { decimal } from "../shared/formats.js";
import { clamp, indexOfLargest, largest } from "../shared/numbers.js";
import { looking, tokenStrip } from "../shared/tokens.js";
import { makeAnswers } from "./answers.js";
import { makeKinds } from "./kinds.js";
import { CODE, makeThreads } from "./passage.js";
import { readToken, savedIn, sumsOf } from "./scores.js";
import {
  HINT, headingWords, meanWords, savedWords, sentence, titleWords, tokenWords,
} from "./words.js";

function render({ model, el }) {
  let scene, saved; // saved: nats, of each token but the first
  const look = { chosen: 0, held: false, kind: null };

  // ---- the page

  const { at, hear } = looking(el, look, draw);
  const strip = tokenStrip("Passage: choose a token", hear, CODE);
  const threads = makeThreads(strip.element), answers = makeAnswers();
  const kinds = makeKinds((kind) => at({ kind }));
  const heading = make("h4"), legend = makeLegend();
  const title = make("span"), worth = make("b"), says = caption(el);
  const mean = make("p", { class: "mean" });
  begin(el, "savings");
  el.append(make("div", { class: "row head" }, heading, legend.element),
    make("div", { class: "views" }, strip.element,
      make("div", { class: "reading" }, make("h4", { class: "titled" }, title, worth),
        answers.element, says, make("p", { class: "hint" }, HINT)),
      make("div", { class: "sums" }, mean, kinds.element)));

  // ---- drawing

  function draw() {
    const { chosen, kind } = look, here = readToken(scene, chosen);
    const weights = new Map(here?.looks);
    strip.paint(look, (i) => {
      const value = i ? saved[i - 1] : null;
      const isCopy = here && i && i < here.row && scene.tokens[i] === scene.tokens[here.row];
      const marks = {
        helps: value > 0, harms: value < 0, large: Math.abs(value) >= scene.large,
        query: i === here?.row, copy: isCopy, looked: weights.has(i),
        aside: kind && scene.kinds[i - 1] !== kind,
      };
      return {
        share: clamp(Math.abs(value) / scene.end, 0, 1),
        mark: Object.keys(marks).filter((name) => marks[name]).join(" "),
        note: weights.has(i) ? decimal(weights.get(i)) : "",
        says: tokenWords(scene, value, i, weights.get(i)),
      };
    });
    title.textContent = titleWords(scene, chosen);
    worth.textContent = here ? savedWords(here.saved) : "";
    worth.className = here?.saved < 0 ? "before" : "match";
    answers.draw(scene, here, largest([...scene.whole.loss, ...scene.without.loss]));
    kinds.mark(here?.kind);
    says.textContent = sentence(scene, chosen, here);
    drawThreads();
  }

  function drawThreads() {
    const chips = strip.chips(), { row, looks } = readToken(scene, look.chosen) ?? { looks: [] };
    threads.draw(chips[row], looks.map(([key, weight]) => [chips[key], weight]));
  }

  // ---- what comes from Python

  function read() {
    scene = model.get("scene");
    saved = savedIn(scene);
    strip.set(scene.tokens.map((token) => scene.vocabulary[token]));
    strip.element.classList.toggle("ids", !scene.named);
    heading.textContent = headingWords(scene.heads);
    legend.draw(scene);
    mean.textContent = meanWords(scene);
    kinds.set(sumsOf(scene, saved));
    Object.assign(look, { chosen: 1 + indexOfLargest(saved), held: false });
    draw();
    strip.reveal();
  }

  const resized = new ResizeObserver(drawThreads);
  const deafen = heed(model, { "change:scene": read });
  read();
  resized.observe(strip.element);
  return () => {
    deafen();
    resized.disconnect();
  };
}

// The scale of the grounds, and the marks beside them.
function makeLegend() {
  const low = make("span"), high = make("span"), helps = make("u", { class: "helps large" });
  const harms = make("u", { class: "harms large" });
  const element = make("div", { class: "legend" }, low, make("i"), high, helps, harms);
  function draw({ end, large }) {
    low.textContent = `−${end}`;
    high.textContent = `+${end} nats`;
    helps.textContent = `saves ${large} or more`;
    harms.textContent = `costs ${large} or more`;
  }
  return { element, draw };
}

export default { render };
