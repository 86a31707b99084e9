// How near one is, and where the camera stands for each level. Needs no page.

import { clamp } from "../shared/numbers.js";
import { middleOf } from "./matrix.js";

export const LEVELS = ["whole model", "pair", "matrix", "entry"];
const ENTRY_PIXELS = 75; // of a cell, from which one is at an entry

export function levelOf(camera, tile) {
  if (tile.cell * camera.k > ENTRY_PIXELS) return 3;
  if (sideOf(tile) * camera.k > 0.56 * Math.min(camera.width, camera.height)) return 2;
  return camera.k > 1.2 ? 1 : 0;
}

export const sideOf = (tile) => Math.max(tile.width, tile.height);

// The place in the middle of the view, and its zoom.
export function viewOf(level, { height }, scene, curve, tile, entry) {
  if (level === 0) return { place: [scene.width / 2, scene.height / 2], k: 1 };
  if (level === 1) return pairView(scene, curve, tile);
  if (level === 3) return { place: middleOf(tile, entry), k: 140 / tile.cell };
  const place = [tile.middle[0] - 0.02 * scene.tile, tile.middle[1]]; // names stand on the left
  return { place, k: (0.7 * height) / sideOf(tile) };
}

// The writer with its name, the reader and their matrix.
function pairView(scene, { from, to }, tile) {
  const left = from.x - 6 * scene.port, right = Math.max(tile.x + tile.width, to.x) + scene.gap;
  const [top, bottom] = [Math.min(from.y, tile.y), Math.max(to.y, tile.y + tile.height)];
  const fits = Math.min(scene.width / (right - left), scene.height / (bottom - top + scene.gap));
  return { place: [(left + right) / 2, (top + bottom) / 2], k: clamp(fits, 1.22, 1.6) };
}
