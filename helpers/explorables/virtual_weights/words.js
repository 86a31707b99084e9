// The sentences about the lit link, its matrix and one entry of it. Needs no page.

import { signed } from "../shared/formats.js";
import { indexOfLargest } from "../shared/numbers.js";
import {
  END_WORDS, KIND_WORDS, headOf, isHead, isStrong, kindOf, makesScore, roleWords, shareOfCeiling,
} from "./links.js";

// The ends of a link in a few words, as a title.
export const linkTitle = ({ writer, reader }) => `${END_WORDS[writer] ?? writer} → `
  + (END_WORDS[reader] ?? `${headOf(reader)} ${kindOf(reader)}`);

export function linkWords(told, link) {
  const kind = kindOf(link.reader), writer = endWords(told, link.writer);
  const reads = kind ? `The ${KIND_WORDS[kind]} of ${endWords(told, headOf(link.reader))} read`
    : "The unembedding reads";
  const what = isHead(link.writer) ? `what ${writer} writes` : writer;
  const ofIt = link.share > 0.995 ? "all of" : `${percent(link.share)} of`;
  return `${reads} ${ofIt} ${what}; ${unrelated(link)}. ${verdict(told, link)}.`;
}

const percent = (share) => `${(100 * share).toFixed(0)}%`;

const unrelated = ({ share_by_chance: share }) => (share > 0.995
  ? "it reads every direction there is" : `unrelated ones would read ${percent(share)}`);

function verdict(told, link) {
  if (isStrong(link, told))
    return `Above chance, ${percent(shareOfCeiling(link))} of the way to the most it could be`;
  return link.z < -3 ? "Less than chance: they keep out of each other's way"
    : "No more than chance";
}

// The score itself, for those who ask how sure that is.
export const scoreWords = (told, link) => `${link.score.toFixed(3)}, chance `
  + `${link.mean.toFixed(3)}; ${chanceWords(link.p, told.draws)} among ${told.links.length} links`;

// A p-value; the smallest that so many draws can show is a bound.
function chanceWords(p, draws) {
  const least = 1 / (draws + 1);
  return p <= least + 1e-9 ? `p ≤ ${least.toFixed(3)}` : `p = ${p.toFixed(p < 0.1 ? 3 : 2)}`;
}

function endWords(told, name) {
  if (name === "pos") return "the positions";
  if (END_WORDS[name]) return `the ${END_WORDS[name]}`;
  const role = roleWords(told.readers.find((reader) => reader.name === name));
  return `head ${name}` + (role && ` (${role})`);
}

// What wins in the matrix, query by query (or source by source).
export function matrixWords(link, matrix) {
  if (matrix.bare) return `The bare product has ${matrix.rows} × ${matrix.columns} numbers; an `
    + "axis inside a head may be turned freely, so only sizes mean something.";
  if (link.rows !== link.columns) return "";
  const back = distancesBack(link, matrix);
  if (link.rows === "position") return positionWords(back);
  const own = `${back.filter((distance) => distance === 0).length} of ${back.length}`;
  if (makesScore(link)) return `For ${own} query tokens the best match is the token itself.`;
  return `${own} tokens raise their own logit most.`;
}

// How far back from each query the key stands that wins. A position sees none that come later, and
// the first has no choice.
function distancesBack(link, { rows, columns, values }) {
  const byColumn = kindOf(link.reader) === "K"; // the queries are columns then
  const [queries, keys] = byColumn ? [columns, rows] : [rows, columns];
  const value = (query, key) =>
    values[byColumn ? key * columns + query : query * columns + key];
  const causal = link.rows === "position";
  return [...Array(queries).keys()].slice(causal ? 1 : 0).map((query) => {
    const seen = causal ? Math.min(query + 1, keys) : keys;
    return query - indexOfLargest(Array.from({ length: seen }, (_, key) => value(query, key)));
  });
}

function positionWords(back) {
  const times = (distance) => back.filter((one) => one === distance).length;
  const distances = [...new Set(back)], distance = distances[indexOfLargest(distances, times)];
  const where = { 0: "the position itself", 1: "the position before" }[distance]
    ?? `${distance} positions back`;
  return `For ${times(distance)} of ${back.length} query positions the best key is ${where}.`;
}

export function entryWords(link, matrix, { row, column }) {
  const { rows, columns, values, unit } = matrix, byColumn = kindOf(link.reader) === "K";
  const value = values[row * columns + column];
  const line = byColumn ? [...Array(rows).keys()].map((i) => values[i * columns + column])
    : [...values.subarray(row * columns, (row + 1) * columns)];
  const larger = line.filter((other) => other > value).length;
  const rank = larger ? `number ${larger + 1}` : "the largest";
  return `Entry: ${matrix.rowTitle} ${matrix.rowNames[row]}, ${matrix.columnTitle} `
    + `${matrix.columnNames[column]}: ${signed(value)}` + (unit && ` to the ${unit}`)
    + `, ${rank} in its ${byColumn ? "column" : "row"}.`;
}
