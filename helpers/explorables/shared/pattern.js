// An attention pattern: queries down, keys across, drawn in cividis; what is pointed at in it; and
// marks that lie over it.

import { SHADES } from "./cividis.js";
import { pointAt } from "./common.js";
import { clamp } from "./numbers.js";

// As a pixel's bytes stand in memory, without its opacity.
const PIXELS = SHADES.map(([red, green, blue]) => (blue << 16) | (green << 8) | red);

// Of a square of `size` entries, of which those above the diagonal cannot be: the largest entry of
// each block, when at most `most` blocks stand on a side. One entry a block where all fit.
export function largestOfBlocks(size, most, entry) {
  const block = Math.ceil(size / most), side = Math.ceil(size / block);
  const values = new Float32Array(side * side);
  for (let query = 0; query < size; query++)
    for (let key = 0; key <= query; key++) {
      const at = Math.floor(query / block) * side + Math.floor(key / block);
      values[at] = Math.max(values[at], entry(query, key));
    }
  return { side, values };
}

// `entry(query, key)` as a share of `top`, one pixel an entry, or a block of entries where there
// are more than `most`; rows `faded(row)` let the paper through.
export function paintPattern(canvas, size, entry, { top = 1, most = size, faded } = {}) {
  const { side, values } = largestOfBlocks(size, most, entry);
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d"), image = context.createImageData(side, side);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < side; row++) {
    const opacity = (faded?.(row) ? 110 : 255) << 24;
    for (let at = row * side; at <= row * side + row; at++)
      pixels[at] = opacity | PIXELS[Math.round((values[at] / top) * 255)];
  }
  context.putImageData(image, 0, 0);
}

// The entry under a pointer, and the nearest one where the pointer is beside the canvas.
export function entryUnder({ clientX, clientY }, canvas, size) {
  const box = canvas.getBoundingClientRect();
  const place = (share) => clamp(Math.floor(share * size), 0, size - 1);
  const query = place((clientY - box.top) / box.height);
  return { query, key: place((clientX - box.left) / box.width) };
}

// Point at the entries of a canvas that `element` shows: `at({ query, key })` and `leave()`, which
// Escape calls as well.
export function pointAtEntries(element, canvas, size, { at, leave }) {
  pointAt(element, (event) => at(entryUnder(event, canvas, size())), leave);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
  });
}

// Lay an element over `rows` by `columns` of a pattern's entries.
export function layOver(element, size, { query, key, rows = 1, columns = 1 }) {
  const part = (count) => `${(100 * count) / size}%`;
  Object.assign(element.style, {
    top: part(query), left: part(key), height: part(rows), width: part(columns),
  });
}
