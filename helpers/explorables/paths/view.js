// The view of Paths. Every term's logits were sent once; each switch takes the sum again, here.

import { begin, caption, heed, make } from "../shared/common.js";
import { decimal, nats } from "../shared/formats.js";
import { looking, tokenStrip } from "../shared/tokens.js";
import { makeLosses } from "./losses.js";
import { makePredictions } from "./predictions.js";
import { Sums, switched } from "./sums.js";
import { makeSwitches, termName } from "./switches.js";

const WORTH_A_NUMBER = 0.05; // probability from which a token carries it as a number

function render({ model, el }) {
  let scene, sums, switches;
  let on, pointed = null, bySize = false; // pointed: the term under pointer or focus
  const look = { chosen: 0, held: false }; // at a position
  let logits, probabilities, loss, worths; // of what is on; worths are null while being computed
  let later; // the timer of what can wait for the next frame

  // ---- the page

  const { hear } = looking(el, look, drawTokens);
  const strip = tokenStrip("Tokens: choose one to see what is predicted after it", hear);
  const losses = makeLosses(), predictions = makePredictions();
  const lossTitle = make("h4"), says = caption(el), hint = make("p", { class: "hint" });
  const groups = make("div", { class: "groups" });
  const sort = make("button", { onclick: () => {
    bySize = !bySize && Boolean(worths);
    arrange();
  } });
  const quick = (label, wanted) =>
    make("button", { onclick: () => set(scene.terms.map((_, term) => wanted(term))) }, label);
  const controls = make("div", { class: "row" }, quick("All on", () => true),
    quick("All off", () => false),
    quick("Direct path alone", (term) => scene.orders[term] === 0), sort);
  begin(el, "paths");
  el.append(strip.element, hint, make("div", { class: "views" },
    make("div", { class: "sums" }, lossTitle, losses.element, says, predictions.title,
      predictions.list),
    make("div", {}, controls, groups, explanation())));

  // ---- what pointer and keys do

  function set(wanted) {
    on = wanted;
    settle();
    model.set("on", scene.terms.filter((_, term) => on[term]));
    model.save_changes();
  }

  function arrange() {
    sort.setAttribute("aria-pressed", bySize);
    sort.textContent = bySize ? "Sort by name" : "Sort by size";
    switches.arrange(bySize ? worths : null);
  }

  // ---- the sums

  function settle() {
    logits = sums.of(on);
    loss = { ...loss, now: sums.loss(logits) };
    probabilities = sums.probabilities(logits);
    worths = null;
    draw();
    clearTimeout(later);
    later = setTimeout(() => {
      worths = sums.worths(on, switches.members);
      draw();
    });
  }

  // ---- drawing

  function draw() {
    groups.setAttribute("aria-busy", !worths);
    switches.draw(on, worths);
    drawLoss();
    drawTokens();
  }

  function drawLoss() {
    const counted = scene.rows.filter(Boolean).length;
    lossTitle.textContent = `Loss, in nats, over ${counted} of ${scene.pos} rows`;
    const would = pointed === null || !worths ? null : otherwise(pointed);
    losses.draw(loss, would);
    says.textContent = would === null
      ? `${on.filter(Boolean).length} of ${on.length} terms are on, and the loss is `
        + `${nats(loss.now)} nats.`
      : `${on[pointed] ? "Without" : "With"} ${termName(scene.terms[pointed])} the loss would be `
        + `${nats(would)} instead of ${nats(loss.now)} nats.`;
  }

  // The loss with one term switched.
  const otherwise = (term) => loss.now + (on[term] ? worths.terms[term] : -worths.terms[term]);

  function drawTokens() {
    const { d_vocab, targets, rows, labels } = scene, everywhere = rows.every(Boolean);
    strip.paint(look, (i) => {
      const right = probabilities[i * d_vocab + targets[i]];
      return {
        shade: right,
        note: right >= WORTH_A_NUMBER || i === look.chosen ? decimal(right) : "",
        mark: rows[i] && !everywhere ? "counted" : "",
        says: `position ${i}, token ${labels[i]}${rows[i] ? ", counted" : ""}: right answer `
          + decimal(right),
      };
    });
    predictions.draw(scene, look.chosen, logits, probabilities);
  }

  // ---- what comes from Python

  function read() {
    scene = model.get("scene");
    sums = new Sums(scene);
    loss = {
      now: 0,
      all: sums.lossWith(scene.terms.map(() => true)),
      direct: sums.lossWith(scene.orders.map((order) => order === 0)),
      none: sums.lossWith(scene.terms.map(() => false)),
    };
    look.chosen = scene.rows.lastIndexOf(true);
    hint.textContent = hintWords(scene);
    strip.set(scene.labels);
    on = told();
    switches = makeSwitches(scene, {
      set: (terms, is) => set(switched(on, terms, is)),
      point: (term) => {
        pointed = term;
        drawLoss();
      },
    });
    groups.replaceChildren(...switches.elements);
    arrange();
    settle();
  }

  const told = () => scene.terms.map((name) => model.get("on").includes(name));
  function follow() {
    const wanted = told();
    if (on.every((is, term) => is === wanted[term])) return;
    on = wanted;
    settle();
  }
  const deafen = heed(model, { "change:on": follow });
  read();
  return () => {
    clearTimeout(later);
    deafen();
  };
}

const hintWords = ({ rows }) => "Each token is lit by the probability that the terms switched on "
  + "give to the right next token. "
  + (rows.every(Boolean) ? "" : "Underlined: the rows that the loss counts. ")
  + "Point at one, or use ← and →; a click or Enter holds it, Esc lets go.";

const explanation = () => make("p", { class: "hint" },
  make("b", {}, "What a number says: "), "by how much the loss rises without this term, or falls "
    + "with it, all others as they are; orange (+) helps, blue (−) harms. ",
  make("b", {}, "What is frozen: "), "the patterns. Every head looks where it looked in the whole "
    + "model, whatever you switch. So a term that is off stops bringing its values and no more: "
    + "what its head does through other heads' queries and keys goes on. Removing the head and "
    + "computing everything again is another question, with another answer.");

export default { render };
