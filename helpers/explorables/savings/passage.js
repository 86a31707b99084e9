// The passage as it stands in a file, each token on a ground of what is saved there; and threads
// from where the heads looked to what they saw.

import { make } from "../shared/common.js";
import { spot } from "../shared/graph.js";
import { makeChip } from "../shared/tokens.js";

export const CODE = {
  kind: "passage",
  chip: makePiece,
  colour: (chip, { share }) => chip.style.setProperty("--share", `${100 * share}%`),
};

// A token that ends a line may go on with the blanks of the next one. The first, which opens the
// passage, has a line of its own.
function makePiece(label, i) {
  const text = label.replaceAll("·", " ").replace(/⏎(?!$)/g, "⏎\n");
  return makeChip(text, i === 0 || label.endsWith("⏎") ? "\n" : "");
}

// Curves over the passage. `draw(from, ends)`: from one of its elements to others, each with a
// weight.
export function makeThreads(passage) {
  const svg = make("svg", { class: "threads", "aria-hidden": true, "aria-label": "threads" });

  function draw(from, ends) {
    passage.append(svg); // its elements may be new
    if (!passage.getClientRects().length) return; // it is not on a page yet, or hidden there
    const corner = svg.getBoundingClientRect();
    const box = (element) => {
      const [first] = element.firstChild.getClientRects(); // a line's end goes on in the next one
      const x = first.left + first.width / 2 - corner.left, y = first.top - corner.top;
      return { x, top: y, bottom: y + first.height };
    };
    svg.replaceChildren(...ends.map(([end, weight]) => make("path", {
      d: curve(box(from), box(end)), "stroke-width": 1 + 2 * weight, opacity: 0.25 + 0.6 * weight,
    })));
  }
  return { draw };
}

function curve(from, end) {
  const isAbove = end.bottom <= from.top + 1;
  const y = isAbove ? end.bottom : end.top;
  const bend = isAbove ? (from.top - y) / 2 : Math.min(16, 6 + Math.abs(end.x - from.x) / 12);
  const towards = isAbove ? y + bend : y - bend;
  return `M ${spot(from.x, from.top)} C ${spot(from.x, from.top - bend)}, ${spot(end.x, towards)}, `
    + spot(end.x, y);
}
