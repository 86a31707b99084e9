// What is there at one step: every head's scores, the chosen head's pattern, and the tokens that a
// row of it attends to.

import { caption, make, pointAt } from "../shared/common.js";
import { onArrows } from "../shared/keys.js";
import { clamp } from "../shared/numbers.js";
import { paintPattern, pointAtEntries } from "../shared/pattern.js";
import { tokenRow } from "../shared/tokens.js";
import { headName } from "../shared/words.js";
import { legend } from "./history.js";
import { BORN, sameHead } from "./training.js";
import { sentence } from "./words.js";

const STRONG = 0.45; // share of attention from which a token of the strip stands out

// `changed()` is called when the reader has chosen a head, or another row of the pattern.
export function makeMoment(training, el, changed) {
  let row = null, column; // that one points at; without a column, the one that is attended to most
  const size = () => training.shape().pos;
  const board = makeBoard(training, changed);
  const title = make("h4");
  const canvas = make("canvas", {
    tabindex: 0, role: "application", "aria-roledescription": "attention pattern",
  });
  const strip = tokenRow({ class: "strip", "aria-hidden": "true" },
    (label) => make("span", {}, label));
  const says = caption(el);
  const element = make("div", { class: "moment" }, board.element,
    make("div", { class: "pattern" }, title, canvas), strip.element);

  function look(atRow, atColumn) {
    if (!training.snapshots.length) return;
    if (atRow !== row) changed();
    [row, column] = [atRow, atColumn];
    drawRow();
  }
  const leave = () => look(null);
  pointAtEntries(canvas, canvas, size, { at: (entry) => look(entry.query, entry.key), leave });
  pointAt(strip.element, (event) => {
    const position = strip.under(event);
    if (position >= 0) look(position);
  }, leave);
  onArrows(canvas, ([right, down]) => {
    const to = clamp((row ?? size() - 1) + down, 0, size() - 1);
    look(to, right ? clamp((column ?? to) + right, 0, to) : undefined);
  });

  function draw() {
    board.draw();
    title.textContent = `Where ${headName(training.head)} looks in the test row below`;
    paintPattern(canvas, size(), (query, at) => training.attention(query, at), {
      faded: (query) => row !== null && query !== row,
    });
    drawRow();
  }

  // What one position attends to. Without a row in hand, the strip shows the last one.
  function drawRow() {
    const last = size() - 1, from = Math.min(row ?? last, last);
    strip.set(training.shape().labels);
    strip.chips().forEach((chip, at) => {
      const share = at <= from ? training.attention(from, at) : 0;
      const part = `${Math.round(42 * share)}%`; // words stay readable on it
      chip.style.background = `color-mix(in srgb, var(--ink) ${part}, transparent)`;
      chip.className = classOf(at, from, share);
    });
    says.textContent = sentence(training, row === null ? null : from, column);
    canvas.setAttribute("aria-label",
      `Attention pattern; arrow keys move the row and the column. ${says.textContent}`);
  }
  const forget = () => { row = null; };
  return { element, says, draw, forget };
}

function classOf(at, from, share) {
  if (at === from) return "from";
  if (at > from) return "later";
  return share > STRONG ? "strong" : "";
}

function makeBoard(training, changed) {
  const buttons = make("div", {
    class: "board", role: "group", "aria-label": "Heads: choose one to see its pattern",
  });
  const title = make("h4", {}, "Heads, at this step", legend("prefix matching", "match"), " over ",
    make("span", { class: "before" }, "previous token"));
  let built = ""; // for which model

  function build() {
    const { n_heads } = training.shape();
    buttons.style.gridTemplateColumns = `repeat(${n_heads}, minmax(0, 1fr))`;
    buttons.replaceChildren(...training.heads.map((head) => {
      const onclick = () => {
        training.pick(head);
        changed();
      };
      return make("button", { onclick }, make("small", {}, headName(head)), make("span"),
        make("br"), make("span"));
    }));
  }

  function draw() {
    const { n_layers, n_heads } = training.shape(), now = `${n_layers} ${n_heads}`;
    if (built !== now) build();
    built = now;
    training.heads.forEach((head, i) => drawHead(buttons.children[i], training, head));
  }
  return { element: make("div", {}, title, buttons), draw };
}

function drawHead(button, { here, head: chosen }, head) {
  const [layer, one] = head;
  const match = here.prefix_matching[layer][one], before = here.previous_token[layer][one];
  const [first, second] = button.querySelectorAll("span");
  first.textContent = match.toFixed(2);
  second.textContent = before.toFixed(2);
  first.className = match > BORN ? "match" : "";
  second.className = before > BORN ? "before" : "";
  button.setAttribute("aria-pressed", sameHead(head, chosen));
  button.setAttribute("aria-label", `layer ${layer}, head ${one}: prefix matching `
    + `${match.toFixed(2)}, previous token ${before.toFixed(2)}`);
}
