// What Rotation shows of the numbers themselves: rows of coordinates as colours, one row as bars,
// and the predictions that follow.

import { make } from "../shared/common.js";
import { clamp, indexOfLargest } from "../shared/numbers.js";

// Signed values show as two colours over the paper, fainter towards zero, so that both themes can
// read them.
const BELOW = [0, 114, 178], ABOVE = [213, 94, 0]; // blue and vermilion

export function makeMap(height) {
  const canvas = make("canvas", { role: "img" }), style = height ? `height:${height}px` : undefined;
  return { canvas, box: make("div", { class: "map", style }, canvas) };
}

export function drawRows(canvas, values, d, size) {
  const rows = values.length / d, context = canvas.getContext("2d");
  if (canvas.width !== d || canvas.height !== rows) [canvas.width, canvas.height] = [d, rows];
  const image = context.createImageData(d, rows);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] / size, [red, green, blue] = value < 0 ? BELOW : ABOVE;
    image.data[4 * i] = red;
    image.data[4 * i + 1] = green;
    image.data[4 * i + 2] = blue;
    image.data[4 * i + 3] = 255 * Math.min(Math.abs(value), 1);
  }
  context.putImageData(image, 0, 0);
}

// ---- bars: filled as the coordinates are now, outlined as they were at 0 degrees

export const makeBars = () => make("svg", {
  role: "img", class: "bars", preserveAspectRatio: "none",
}, ...["below", "above", "start"].map((name) => make("path", { class: name })));

export function drawBars(svg, values, start, most) {
  svg.setAttribute("viewBox", `0 -1 ${values.length} 2`);
  const up = (value) => clamp(-value / most, -1, 1).toFixed(3);
  const bars = (sign) => [...values].map((value, i) =>
    (sign * value > 0 ? `M${i + 0.1} 0V${up(value)}h.8V0z` : "")).join("");
  const [below, above, outline] = svg.children;
  below.setAttribute("d", bars(-1));
  above.setAttribute("d", bars(1));
  outline.setAttribute("d", [...start].map((value, i) =>
    `${i ? "L" : "M"}${i} ${up(value)}h1`).join(""));
}

// ---- predictions: a bar a token, filled as it is now, outlined as it was at 0 degrees

const FEW = 5;

export function drawPredictions(box, now, start) {
  const ids = [...start.keys()].sort((a, b) => start[b] - start[a]).slice(0, FEW);
  const best = ids[0], top = indexOfLargest(now);
  if (!ids.includes(top)) ids[FEW - 1] = top;
  const bar = (name, share) => make("i", { class: name, style: `width:${100 * share}%` });
  box.replaceChildren(...ids.map((id) =>
    make("div", { class: id === top && top !== best ? "guess usurper" : "guess" },
      make("span", {}, String(id)),
      make("span", { class: "track" }, bar("is", now[id]), bar("was", start[id])),
      make("span", {}, now[id].toFixed(3)))));
}
