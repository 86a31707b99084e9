// The pictures of Rotation. Each is made once and drawn anew from the numbers it is given; colours are the theme's.

import { SHADES, clamp, make, pointAt } from "../shared/common.js";

const GRAPH = { left: 66, right: 14, change: [20, 138], kurtosis: [172, 214], height: 234 }; // in pixels
const DECADES = [-8, 3]; // of the logits' change; what is smaller lies on the floor

const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const power = (exponent) => "10" + [...String(exponent)].map((sign) => SUPERSCRIPT[sign]).join("");
export function short(value) {
  if (value === 0) return "0";
  if (value >= 0.01) return value >= 10 ? value.toFixed(0) : value.toFixed(value >= 1 ? 1 : 2);
  const [digit, exponent] = value.toExponential(0).split("e");
  return `${digit} × ${power(+exponent)}`;
}

// ---- the flat line, and the kurtosis below it, over the angle

export function makeGraph(onAngle) {
  const svg = make("svg", { role: "img", class: "graph" });
  const point = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = svg.getBoundingClientRect(), width = box.width - GRAPH.left - GRAPH.right;
    onAngle(clamp(Math.round(((event.clientX - box.left - GRAPH.left) / width) * 720) / 2, 0, 360));
  };
  pointAt(svg, point);
  return svg;
}

export function drawGraph(svg, { width, angle, now, rounding, spread, null: nullLine, curves, key }) {
  const { left, right, change: [top, bottom], kurtosis: [above, below], height } = GRAPH;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.style.height = `${height}px`;
  const end = width - right, x = (degrees) => left + (degrees / 360) * (end - left);
  const share = (value) => (clamp(Math.log10(value), ...DECADES) - DECADES[0]) / (DECADES[1] - DECADES[0]);
  const y = (value) => (value === 0 ? bottom : bottom - share(value) * (bottom - top));
  const most = Math.max(nullLine + 1, ...[...curves.values()].flatMap((curve) => [...curve.values()].map((seen) => seen.kurtosis))) * 1.05;
  const k = (value) => below - (value / most) * (below - above);
  const text = (at, up, words, more = {}) => make("text", { x: at, y: up, ...more }, words);
  const line = (y1, more) => make("line", { x1: left, x2: end, y1, y2: y1, ...more });

  const parts = [
    make("rect", { x: left, y: y(rounding), width: end - left, height: bottom - y(rounding), class: "rounding" }),
    line(y(rounding), { class: "edge" }), line(y(spread), { class: "chance" }), line(bottom, { class: "rule" }),
    line(k(nullLine), { class: "chance" }), line(below, { class: "rule" }),
  ];
  const texts = [
    text(end - 4, bottom - 5, "float32 rounding", { "text-anchor": "end", class: "inside" }), text(end - 4, y(spread) + 11, "standard deviation of the logits", { "text-anchor": "end" }),
    text(0, 9, "largest change of a logit, log scale", { class: "title" }),
    text(0, above - 10, "kurtosis of the coordinates", { class: "title" }),
    text(end - 4, k(nullLine) + (below - k(nullLine) > 14 ? 11 : -4), `${nullLine.toFixed(2)} where no coordinate is special`, { "text-anchor": "end" }),
    text(left - 6, k(now.kurtosis) + 3, now.kurtosis.toFixed(1), { "text-anchor": "end", class: "value" }),
  ];
  for (let exponent = DECADES[0] + 2; exponent <= DECADES[1] - 1; exponent += 2)
    parts.push(text(left - 6, y(10 ** exponent) + 3, power(exponent), { "text-anchor": "end" }));
  for (const at of [0, 90, 180, 270, 360])
    parts.push(text(x(at), height - 6, `${at}°`, { "text-anchor": at === 360 ? "end" : "middle" }),
      make("line", { x1: x(at), x2: x(at), y1: bottom, y2: bottom + 4, class: "rule" }));
  for (const [of, curve] of curves)
    for (const [what, place] of [["change", y], ["kurtosis", k]])
      parts.push(make("path", { d: path(curve, what, x, place), class: `curve${of === key ? "" : " ghost"}${what === "change" && Math.max(...[...curve.values()].map((seen) => seen.change)) > rounding ? " broken" : ""}` }));
  parts.push(...texts);
  for (const [y1, y2] of [[top - 6, bottom], [above - 4, below]]) parts.push(make("line", { x1: x(angle), x2: x(angle), y1, y2, class: "now" }));
  parts.push(make("circle", { cx: x(angle), cy: y(now.change), r: 5, class: "now" }), make("circle", { cx: x(angle), cy: k(now.kurtosis), r: 4, class: "now" }));
  svg.replaceChildren(...parts);
}

// A line through the angles seen, in their order, and a dot for one without a neighbour: nothing is guessed in between. A
// change that is exactly zero has no logarithm and is left out.
const NEIGHBOURS = 15; // degrees

function path(curve, what, x, place) {
  const seen = [...curve].filter(([, { change }]) => what !== "change" || change > 0).sort(([a], [b]) => a - b);
  return seen.map(([degrees, values], i) => {
    const follows = i && degrees - seen[i - 1][0] <= NEIGHBOURS;
    return `${follows ? "L" : "M"}${x(degrees).toFixed(1)} ${place(values[what]).toFixed(1)}${follows ? "" : "h0"}`;
  }).join("") || "M0 0";
}

// ---- one plane that turns: a coordinate, and the direction that the path turns it to; every token a point on its circle

const HALF = 150; // of the square, in its own units

export function makeOrbits(onToken) {
  const layers = ["orbit", "tail far", "tail near", "off", "point", "orbit chosen", "arm", "off chosen"];
  const svg = make("svg", { viewBox: `${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}`, role: "img", class: "dial" },
    make("line", { x1: -HALF, x2: HALF, y1: 0, y2: 0, class: "rule" }), make("line", { x1: 0, x2: 0, y1: -HALF, y2: HALF, class: "rule" }),
    make("text", { x: HALF - 2, y: -5, "text-anchor": "end" }), make("text", { x: 5, y: -HALF + 10 }),
    ...layers.map((name) => make("path", { class: name })), make("circle", { r: 6, class: "now" }));
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect(), unit = (2 * HALF) / box.width;
    onToken((event.clientX - box.left) * unit - HALF, (event.clientY - box.top) * unit - HALF);
  });
  return svg;
}

// Where the path takes each token's point from what it is at 0 degrees: `at(token, t)`; and where a stream has it: `of`.
export function orbitsOf({ rows, once, twice }, J, d, coordinate) {
  const second = J.subarray(coordinate * d, (coordinate + 1) * d);
  const length = Math.hypot(...second) || 1; // 0 for a coordinate that the path leaves alone
  const point = (values, row) => {
    let across = 0;
    for (let i = 0; i < d; i++) across += (values[row + i] * second[i]) / length;
    return [values[row + coordinate], across];
  };
  const count = rows.length / d, parts = Array.from({ length: count }, (_, token) => [rows, once, twice].map((values) => point(values, token * d)));
  const along = (token, t) => [0, 1].map((axis) => parts[token][0][axis] + Math.sin(t) * parts[token][1][axis] + (1 - Math.cos(t)) * parts[token][2][axis]);
  const reach = Math.max(...parts.flatMap((_, token) => [0, 1, 2, 3, 4, 5, 6].map((t) => Math.hypot(...along(token, t)))), 1e-9);
  const place = ([x, y]) => {
    const radius = Math.hypot(x, y) / reach, shown = radius < 1 ? 0.8 : 0.98 - 0.18 / radius; // far ones are drawn nearer
    return [x, -y].map((value) => (value / reach) * HALF * (radius < 1 ? 0.8 : shown / radius));
  };
  return { count, at: (token, t) => place(along(token, t)), of: (stream, token) => place(point(stream, token * d)) };
}

export function drawOrbits(svg, { orbits, stream, radians, token, names }) {
  const spot = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  const arc = (of, from, to, steps) => Array.from({ length: steps + 1 }, (_, step) =>
    `${step ? "L" : "M"}${spot(orbits.at(of, from + ((to - from) * step) / steps))}`).join("");
  const every = Array.from({ length: orbits.count }, (_, of) => of), is = every.map((of) => orbits.of(stream, of));
  const since = (angle) => Math.max(radians - angle, 0);
  const drawn = {
    "tail far": every.map((of) => arc(of, since(0.8), radians, 9)), "tail near": every.map((of) => arc(of, since(0.35), radians, 5)),
    off: every.map((of) => `M${spot(orbits.at(of, radians))}L${spot(is[of])}`), point: every.map((of) => `M${spot(is[of])}h0`),
    arm: [`M0 0L${spot(is[token])}`], "orbit chosen": [arc(token, 0, 2 * Math.PI, 72)],
    "off chosen": [`M${spot(orbits.at(token, radians))}L${spot(is[token])}`],
  };
  if (svg.orbits !== orbits) drawn.orbit = every.map((of) => arc(of, 0, 2 * Math.PI, 48));
  svg.orbits = orbits;
  for (const layer of svg.querySelectorAll("path")) {
    const lines = drawn[layer.getAttribute("class")];
    if (lines) layer.setAttribute("d", lines.join(""));
  }
  svg.querySelector("circle").setAttribute("cx", is[token][0]);
  svg.querySelector("circle").setAttribute("cy", is[token][1]);
  svg.querySelectorAll("text").forEach((label, axis) => { label.textContent = names[axis]; });
}

// ---- maps: rows of coordinates, signed; and attention

// Signed values show as two colours over the paper, fainter towards zero, so that both themes can read them.
const BELOW = [0, 114, 178], ABOVE = [213, 94, 0]; // blue and vermilion

export function drawRows(canvas, values, d, scale, chosen) {
  const rows = values.length / d, context = canvas.getContext("2d");
  if (canvas.width !== d || canvas.height !== rows) [canvas.width, canvas.height] = [d, rows];
  const image = context.createImageData(d, rows);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] / scale, [red, green, blue] = value < 0 ? BELOW : ABOVE;
    image.data[4 * i] = red;
    image.data[4 * i + 1] = green;
    image.data[4 * i + 2] = blue;
    image.data[4 * i + 3] = 255 * Math.min(Math.abs(value), 1);
  }
  context.putImageData(image, 0, 0);
  if (canvas.mark && chosen !== undefined) canvas.mark.style.top = `${(100 * chosen) / rows}%`;
}

export function drawPattern(canvas, pattern, pos, head) {
  if (canvas.width !== pos) canvas.width = canvas.height = pos;
  const context = canvas.getContext("2d"), image = context.createImageData(pos, pos);
  for (let row = 0; row < pos; row++)
    for (let column = 0; column <= row; column++) {
      const [red, green, blue] = SHADES[Math.round(255 * Math.min(pattern[(head * pos + row) * pos + column], 1))];
      image.data.set([red, green, blue, 255], 4 * (row * pos + column));
    }
  context.putImageData(image, 0, 0);
}

export function makeBars() {
  return make("svg", { role: "img", class: "bars", preserveAspectRatio: "none" }, ...["below", "above", "start"].map((name) => make("path", { class: name })));
}

export function drawBars(svg, values, start, scale) {
  svg.setAttribute("viewBox", `0 -1 ${values.length} 2`);
  const up = (value) => clamp(-value / scale, -1, 1).toFixed(3);
  const bars = (sign) => [...values].map((value, i) => (sign * value > 0 ? `M${i + 0.1} 0V${up(value)}h.8V0z` : "")).join("");
  const [below, above, outline] = svg.children;
  below.setAttribute("d", bars(-1));
  above.setAttribute("d", bars(1));
  outline.setAttribute("d", [...start].map((value, i) => `${i ? "L" : "M"}${i} ${up(value)}h1`).join(""));
}

// ---- predictions: a bar a token, filled as it is now, outlined as it was at 0 degrees

export function drawPredictions(box, now, start, count = 5) {
  const ids = [...start.keys()].sort((a, b) => start[b] - start[a]).slice(0, count);
  const top = now.indexOf(Math.max(...now));
  if (!ids.includes(top)) ids[count - 1] = top;
  box.replaceChildren(...ids.map((id) => make("div", { class: id === top && top !== ids[0] ? "guess usurper" : "guess" },
    make("span", {}, String(id)),
    make("span", { class: "track" }, make("i", { class: "is", style: `width:${100 * now[id]}%` }), make("i", { class: "was", style: `width:${100 * start[id]}%` })),
    make("span", {}, now[id].toFixed(3)))));
}
