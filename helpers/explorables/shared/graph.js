// Line graphs: from values to pixels and back, and the lines, words and dots of a graph.

import { make, pointAt } from "./common.js";

// Takes values between `from` and `to` to pixels between `start` and `end`.
export const scale = ([from, to], [start, end]) => (value) =>
  start + ((value - from) / (to - from)) * (end - start);

export const spot = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;

export const levelLine = (y, [x1, x2], more) => make("line", { x1, x2, y1: y, y2: y, ...more });
export const uprightLine = (x, [y1, y2], more) => make("line", { x1: x, x2: x, y1, y2, ...more });
export const wordsAt = (x, y, words, more) => make("text", { x, y, ...more }, words);
export const dotAt = (cx, cy, r, more) => make("circle", { cx, cy, r, ...more });

export function fillGraph(svg, width, height, parts) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...parts);
}

// Scrub along a graph: press, drag or tap, and `at` gets the share of the way from one margin to
// the other, which is below 0 or above 1 beside them.
export function scrubAlong(svg, { left, right }, at) {
  pointAt(svg, (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = svg.getBoundingClientRect();
    at((event.clientX - box.left - left) / (box.width - left - right));
  });
}
