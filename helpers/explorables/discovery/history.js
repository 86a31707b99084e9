// What happens over the training: graphs with one axis, each under a heading that is its key, and
// the scrubber on that axis. Composition and eigenvalues are there for whoever asks for more.

import { make, options } from "../shared/common.js";
import { scrubAlong } from "../shared/graph.js";
import { headCalled, headName } from "../shared/words.js";
import {
  HEIGHTS, MARGINS, compositionGraph, copyingGraph, drawGraph, lossGraph, scoresGraph,
} from "./graphs.js";

export const legend = (words, colour) =>
  make("span", { class: "key", style: `color: var(--${colour}-text, var(--${colour}))` }, words);

// `changed()` is called when the reader has scrubbed along a graph, or chosen a pair of heads.
export function makeHistory(training, scrubber, changed) {
  const graphs = Object.fromEntries(Object.entries(HEIGHTS).map(([name, height]) =>
    [name, make("svg", { role: "img", height })]));
  for (const svg of Object.values(graphs))
    scrubAlong(svg, MARGINS, (share) => {
      training.goToShare(share);
      changed();
    });
  const pair = makePair(training, changed);
  const copyingTitle = make("h4");
  const more = makeMore(changed, pair.element, graphs.composition, copyingTitle, graphs.copying);
  const element = make("div", {},
    make("h4", {}, "Loss in nats, where the token", legend("— came before", "ink"),
      legend("‒ ‒ is new", "faint")), graphs.loss,
    make("h4", {}, "Every head", legend("— prefix matching", "match"),
      legend("‒ ‒ previous token", "before")), graphs.scores, scrubber.element, more);

  function draw() {
    drawGraph(graphs.loss, training, lossGraph(training));
    drawGraph(graphs.scores, training, scoresGraph(training));
    scrubber.draw(training);
    if (more.open) drawMore();
  }

  function drawMore() {
    const paired = training.shape().n_layers > 1; // in one layer there is nobody to read
    for (const part of [pair.element, graphs.composition])
      part.style.display = paired ? "" : "none";
    if (paired) {
      pair.draw();
      drawGraph(graphs.composition, training, compositionGraph(training));
    }
    copyingTitle.replaceChildren(`Copying eigenvalues of head ${headName(training.head)}`,
      legend("— share that is positive, less the negative", "copy"));
    drawGraph(graphs.copying, training, copyingGraph(training));
  }
  return { element, draw };
}

// What stands here once it has been asked for, and not before.
function makeMore(changed, ...parts) {
  const more = make("details", { class: "more", ontoggle: () => {
    if (more.open) more.append(...parts);
    else for (const part of parts) part.remove();
    changed();
  } }, make("summary", {}, "More: who reads whom, and who copies"));
  return more;
}

// The heading that asks who reads whom.
function makePair(training, changed) {
  const chooser = (name, pick) => {
    const select = make("select", { "aria-label": name, onchange: () => {
      pick(headCalled(select.value));
      changed();
    } });
    return select;
  };
  const writer = chooser("Head that writes", (head) => training.pickWriter(head));
  const reader = chooser("Head that reads", (head) => training.pickReader(head));
  const element = make("h4", {}, "K-composition: head ", reader, " reads what ", writer, " wrote",
    legend("‒ ‒ 1 in 20 by chance", "faint"));

  function draw() {
    const { n_heads } = training.shape(), { heads } = training;
    offer(reader, heads.slice(n_heads), training.reader);
    offer(writer, heads.slice(0, -n_heads), training.writer);
  }
  return { element, draw };
}

function offer(select, heads, chosen) {
  const names = heads.map(headName), offered = [...select.options].map(({ value }) => value);
  if (names.join() !== offered.join()) select.replaceChildren(...options(names));
  select.value = headName(chosen);
}
