// One plane that turns: a coordinate, and the direction that the path turns it to. Every token is a
// point on its circle.

import { make } from "../shared/common.js";
import { levelLine, spot, uprightLine, wordsAt } from "../shared/graph.js";
import { largest } from "../shared/numbers.js";

const HALF = 150; // of the square, in its own units
const LAYERS = [
  "orbit", "tail far", "tail near", "off", "point", "orbit chosen", "arm", "off chosen",
];

// ---- where the points are

// Where the path takes each token's point from what it is at 0 degrees: `at(token, radians)`; and
// where a stream has it: `of(stream, token)`.
export function orbitsOf({ rows, once, twice }, J, d, coordinate) {
  const second = J.subarray(coordinate * d, (coordinate + 1) * d);
  const length = Math.hypot(...second) || 1; // 0 for a coordinate that the path leaves alone
  const point = (values, row) => {
    let across = 0;
    for (let i = 0; i < d; i++) across += (values[row + i] * second[i]) / length;
    return [values[row + coordinate], across];
  };
  const parts = Array.from({ length: rows.length / d }, (_, token) =>
    [rows, once, twice].map((values) => point(values, token * d)));
  const along = (token, t) => {
    const [begun, sine, rest] = parts[token];
    return [0, 1].map((i) => begun[i] + Math.sin(t) * sine[i] + (1 - Math.cos(t)) * rest[i]);
  };
  const place = placeWithin(reachOf(parts.length, along));
  return {
    count: parts.length,
    at: (token, t) => place(along(token, t)),
    of: (stream, token) => place(point(stream, token * d)),
  };
}

// How far out any point gets on its way.
function reachOf(count, along) {
  const ways = Array.from({ length: count }, (_, token) =>
    [0, 1, 2, 3, 4, 5, 6].map((t) => Math.hypot(...along(token, t))));
  return largest(ways.flat(), 1e-9);
}

// Within `reach` places are true; those farther out are drawn nearer, so that they stay in sight.
const placeWithin = (reach) => ([x, y]) => {
  const radius = Math.hypot(x, y) / reach;
  const share = radius < 1 ? 0.8 : (0.98 - 0.18 / radius) / radius;
  return [x, -y].map((value) => (value / reach) * HALF * share);
};

// ---- how they are drawn

// `onPlace(x, y)` in the square's units, its middle at 0.
export function makeOrbits(onPlace) {
  const svg = make("svg", {
    viewBox: `${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}`, role: "img", class: "dial",
  },
  levelLine(0, [-HALF, HALF], { class: "rule" }), uprightLine(0, [-HALF, HALF], { class: "rule" }),
  wordsAt(HALF - 2, -5, "", { "text-anchor": "end" }), wordsAt(5, -HALF + 10, ""),
  ...LAYERS.map((name) => make("path", { class: name })), make("circle", { r: 6, class: "now" }));
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect(), unit = (2 * HALF) / box.width;
    onPlace((event.clientX - box.left) * unit - HALF, (event.clientY - box.top) * unit - HALF);
  });
  return svg;
}

export function drawOrbits(svg, { orbits, stream, radians, token, names }) {
  const is = Array.from({ length: orbits.count }, (_, of) => orbits.of(stream, of));
  const lines = linesOf(orbits, is, radians, token);
  if (svg.orbits === orbits) delete lines.orbit; // as it stands
  svg.orbits = orbits;
  for (const layer of svg.querySelectorAll("path")) {
    const drawn = lines[layer.getAttribute("class")];
    if (drawn) layer.setAttribute("d", drawn().join(""));
  }
  const [x, y] = is[token], circle = svg.querySelector("circle");
  circle.setAttribute("cx", x);
  circle.setAttribute("cy", y);
  svg.querySelectorAll("text").forEach((label, axis) => { label.textContent = names[axis]; });
}

// The lines of each layer. `is`: where the points are, which is off their circles if something
// breaks.
function linesOf(orbits, is, radians, token) {
  const every = [...is.keys()], since = (angle) => Math.max(radians - angle, 0);
  const arc = (of, from, to, steps) => Array.from({ length: steps + 1 }, (_, step) =>
    `${step ? "L" : "M"}${spot(...orbits.at(of, from + ((to - from) * step) / steps))}`).join("");
  const off = (of) => `M${spot(...orbits.at(of, radians))}L${spot(...is[of])}`;
  return {
    orbit: () => every.map((of) => arc(of, 0, 2 * Math.PI, 48)),
    "tail far": () => every.map((of) => arc(of, since(0.8), radians, 9)),
    "tail near": () => every.map((of) => arc(of, since(0.35), radians, 5)),
    off: () => every.map(off),
    point: () => every.map((of) => `M${spot(...is[of])}h0`),
    "orbit chosen": () => [arc(token, 0, 2 * Math.PI, 72)],
    arm: () => [`M0 0L${spot(...is[token])}`],
    "off chosen": () => [off(token)],
  };
}
