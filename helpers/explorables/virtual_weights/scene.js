// The whole model: the stream in the middle, writers on its left, readers on its right, and every
// link between them; beside it the matrix of the lit link. Where all of it stands, in the pixels of
// the view at zoom 1. Needs no page.

import { clamp, indexOfSmallest } from "../shared/numbers.js";
import { KINDS, headOf, isStrong, kindOf, readsAs } from "./links.js";

const TOP = 44, BOTTOM = 20, BETWEEN = 0.7; // in pixels; between layers, in rows
const NARROW = 480; // pixels of width, below which the matrix stands under the diagram
const AROUND = 84, BESIDE = 20; // pixels above and below a matrix together, and right of it

export function layOut(told, width) {
  const extra = BETWEEN * (told.n_layers + 1), rows = told.writers.length + extra;
  const tall = clamp((rows + 1) * 22 + TOP + BOTTOM, Math.min(416, width * 0.56), 980);
  const room = tall - TOP - BOTTOM, gap = Math.min(room / rows, 56), isNarrow = width < NARROW;
  const left = clamp(width * 0.2, Math.min(176, width * 0.33), 220);
  const right = width * 0.56, centre = (left + right) / 2;
  const tile = Math.min(width * (isNarrow ? 0.5 : 0.22), tall * 0.38);
  const scene = {
    width, gap, left, right, centre, isNarrow, tile, // `tile`: the side of the largest matrix
    height: isNarrow ? tall + tile + AROUND : tall,
    tileAt: isNarrow ? [width / 2, tall + AROUND / 3 + tile / 2]
      : [width - BESIDE - tile / 2, tall / 2],
    bank: (right - left) * 0.25, // half the width of the stream
    port: clamp(gap * 0.27, 4.5, 8), // the radius of what a link ends in
  };
  const first = TOP + (room - gap * rows) / 2;
  Object.assign(scene, placeEnds(told, scene, (row) => first + row * gap));
  scene.curves = told.links.map((link) => curveOf(scene, link));
  return scene;
}

// A node an end, `y(row)` down; and a band a layer.
function placeEnds(told, { left, right, gap }, y) {
  const nodes = [], bands = [];
  let row = 0;
  const place = (side, end) =>
    nodes.push({ side, end, x: side === "writer" ? left : right, y: y(row) });
  for (const writer of told.writers.filter((end) => end.layer < 0)) {
    place("writer", writer);
    row += 1;
  }
  for (let layer = 0; layer < told.n_layers; layer++) {
    row += BETWEEN;
    const from = y(row) - gap * 0.85;
    for (const head of told.writers.filter((end) => end.layer === layer)) {
      place("writer", head);
      place("reader", head);
      row += 1;
    }
    bands.push({ layer, from });
  }
  row += BETWEEN;
  place("reader", told.readers.at(-1));
  return { nodes, bands };
}

const findNode = ({ nodes }, side, name) =>
  nodes.find((node) => node.side === side && node.end.name === name);

// Where links end in a reader: in three ports, or in one.
export function portsOf({ port: step }, { end, x, y }) {
  if (end.name === "unembed") return [{ kind: "", x: x + 2 * step, y }];
  return KINDS.map((kind, i) =>
    ({ kind, x: x + 2 * step * i * 1.15, y: y + (i - 1) * step * 0.95 }));
}

// A link's way from its writer to its reader's port: a cubic curve through the stream.
function curveOf(scene, link) {
  const { centre, port: step } = scene;
  const from = findNode(scene, "writer", link.writer);
  const to = findNode(scene, "reader", headOf(link.reader));
  const port = portsOf(scene, to).find((one) => one.kind === kindOf(link.reader));
  const [start, end] = [from.x + step, port.x - step];
  const points = [start, from.y, centre, from.y, centre, port.y, end, port.y];
  return { link, points, from, to };
}

export function onCurve([x0, y0, x1, y1, x2, y2, x3, y3], t) {
  const a = (1 - t) ** 3, b = 3 * t * (1 - t) ** 2, c = 3 * t * t * (1 - t), d = t ** 3;
  return [a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3];
}

// ---- what lies under a point of the world: a writer, a reader (with its port), or a strong link,
// by its place

export function whatIsAt(scene, place, reach, kind, told) {
  for (const node of scene.nodes) {
    const found = nodeAt(scene, node, place, reach);
    if (found) return found;
  }
  let nearest = null, distance = reach;
  scene.curves.forEach(({ link, points }, index) => {
    if (!isStrong(link, told) || !readsAs(link, kind)) return;
    for (let t = 0; t <= 1; t += 0.02) {
      const away = apart(onCurve(points, t), place);
      if (away < distance) [distance, nearest] = [away, index];
    }
  });
  return { link: nearest };
}

const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

function nodeAt(scene, node, [x, y], reach) {
  if (Math.abs(y - node.y) > Math.max(scene.gap * 0.5, reach)) return null;
  const margin = scene.port * 2;
  if (node.side === "writer")
    return x < node.x + margin && x > node.x - scene.left ? { node } : null;
  if (x <= node.x - margin) return null;
  const ports = portsOf(scene, node), away = (port) => apart([port.x, port.y], [x, y]);
  const nearest = ports[indexOfSmallest(ports, away)];
  return { node, port: away(nearest) < scene.port * 1.3 ? nearest.kind : undefined };
}
