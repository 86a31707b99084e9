// The numbers that Attention shows: the patterns of its heads, and the lengths of their value
// vectors. Needs no page.

import { clamp, numbersIn } from "../shared/numbers.js";
import { headName } from "../shared/words.js";

// From the scene to a function that gives the head at one place of the board, weighted by value or
// not: the strength of each of its entries, and `top`, the strength at which its colours end.
export function readPatterns(scene) {
  const { heads, pos } = scene;
  const pattern = numbersIn(scene.pattern, Uint16Array);
  const lengths = numbersIn(scene.v_norm, Float32Array);
  const tops = topsOf(pattern, lengths, pos);
  return (at, weighted) => {
    const attention = (query, key) => pattern[(at * pos + query) * pos + key] / 65535;
    const length = (key) => lengths[at * pos + key];
    const product = (query, key) => attention(query, key) * length(key);
    const strength = weighted ? product : attention, top = weighted ? tops[at] || 1 : 1;
    return { name: headName(heads[at]), weighted, attention, length, strength, top };
  };
}

// The largest weighted entry of each head.
function topsOf(pattern, lengths, pos) {
  const tops = new Float32Array(lengths.length / pos);
  pattern.forEach((share, entry) => {
    const head = Math.floor(entry / pos ** 2), key = entry % pos;
    tops[head] = Math.max(tops[head], (share / 65535) * lengths[head * pos + key]);
  });
  return tops;
}

// ---- what the reader looks at: a chosen position, perhaps another, and in which direction

export const FROM = "from";
export const TO = "to";

// The entry between the chosen position and another.
export const entryOf = (direction, chosen, other) =>
  direction === FROM ? { query: chosen, key: other } : { query: other, key: chosen };

// What comes later cannot be seen.
export const isMasked = ({ query, key }) => key > query;

export function atEntry(direction, entry) {
  const [chosen, other] = direction === FROM ? [entry.query, entry.key] : [entry.key, entry.query];
  return { chosen, other: isMasked(entry) ? null : other };
}

// One step of an arrow key over the pattern: the chosen position moves along its axis, the other
// one along the other, as far as it can be seen.
export function stepped({ direction, chosen, other }, [right, down], pos) {
  const [along, across] = direction === FROM ? [down, right] : [right, down];
  const at = clamp(chosen + along, 0, pos - 1);
  if (other === null && !across) return { chosen: at, other };
  const to = (other ?? at) + across;
  return { chosen: at, other: direction === FROM ? clamp(to, 0, at) : clamp(to, at, pos - 1) };
}

// One step of an arrow key over the board, whose last row may end early: the place it leads to.
export function nextOnBoard(at, [right, down], { heads, columns }) {
  const last = heads.length - 1, lastRow = Math.floor(last / columns);
  const row = clamp(Math.floor(at / columns) + down, 0, lastRow);
  const column = clamp((at % columns) + right, 0, columns - 1);
  return Math.min(row * columns + column, last);
}

// The place of a head on the board; -1 if it is not shown.
export const placeOf = ({ heads }, [layer, head]) =>
  heads.findIndex((shown) => shown[0] === layer && shown[1] === head);
