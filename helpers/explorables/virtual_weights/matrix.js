// The lit pair's matrix: its numbers, the names of its rows and columns, and where it lies in the
// stream. Needs no page.

import { largest } from "../shared/numbers.js";
import { headOf, isHead, kindOf, makesScore } from "./links.js";

// ---- its numbers

// Of { rows, columns, values }; what is null is left out of the product.
export function multiply(a, b) {
  if (!a || !b) return a ?? b;
  const { rows, columns: inner } = a, { columns } = b, values = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let m = 0; m < inner; m++) {
      const factor = a.values[i * inner + m];
      if (factor)
        for (let j = 0; j < columns; j++)
          values[i * columns + j] += factor * b.values[m * columns + j];
    }
  return { rows, columns, values };
}

// Between tokens (or positions), or `bare`: what one writes by times what the other reads by, and
// nothing else.
export function makeMatrix(told, link, bare) {
  const part = (one) =>
    one && { rows: one.shape[0], columns: one.shape[1], values: told.blocks[one.at] };
  const weights = part(link.weights);
  const matrix = bare ? weights
    : multiply(multiply(part(link.before), weights), part(link.after));
  const names = (axis, inside, count) => (bare && inside ? [...Array(count).keys()].map(String)
    : told.axes[axis]);
  const [rowTitle, columnTitle] = axisTitles(link, bare);
  const meaning = makesScore(link) ? "score" : "logit";
  return {
    ...matrix, bare, rowTitle, columnTitle,
    rowNames: names(link.rows, link.before, matrix.rows),
    columnNames: names(link.columns, link.after, matrix.columns),
    short: bare ? ["", ""] : shortTitles(link),
    formula: formula(told, link, bare),
    unit: bare ? "" : meaning,
    most: largest(matrix.values.map(Math.abs), 1e-9),
  };
}

// ---- its names

function axisTitles({ writer, reader, rows, columns, before, after }, bare) {
  const kind = kindOf(reader), head = headOf(reader), fed = { Q: "query", K: "key" }[kind];
  const row = rowTitleOf(writer, rows, kind, fed);
  const column = { Q: `key ${columns}`, K: `query ${columns}` }[kind] ?? `output ${columns}`;
  if (!bare) return [row, column];
  return [before ? `inside ${writer}` : row, after ? `inside ${head}, ${kind}` : column];
}

function rowTitleOf(writer, rows, kind, fed) {
  if (isHead(writer) && kind)
    return `${rows} that ${writer} moved` + (fed ? ` to the ${fed}` : "");
  if (isHead(writer)) return `${rows} that ${writer} attends to`;
  if (fed) return `${fed} ${rows}`;
  return `${kind ? "attended" : "present"} ${rows}`;
}

function shortTitles({ writer, reader }) {
  const kind = kindOf(reader), fed = { Q: "query", K: "key" }[kind] ?? "token";
  return [isHead(writer) ? "moved" : fed, { Q: "key", K: "query" }[kind] ?? "output"];
}

// What is multiplied, in three parts: what the writer is fed, the virtual weights, what the
// reader's numbers meet.
function formula(told, { writer, reader, rows, columns }, bare) {
  const kind = kindOf(reader), head = headOf(reader), source = { token: "W_E", position: "W_pos" };
  const written = { embed: "W_E", pos: "W_pos" }[writer] ?? `W_O[${writer}]`;
  const weights = `${written} ` + (kind ? `W_${kind}[${head}]` : "W_U");
  if (bare) return ["", weights, ""];
  const before = isHead(writer) ? `${source[rows]} W_V[${writer}] · ` : "";
  const other = { Q: "K", K: "Q" }[kind];
  const value = kind === "V" ? ` · W_O[${head}] W_U` : "";
  const after = other ? ` · (${source[columns]} W_${other}[${head}])ᵀ / √${told.d_head}` : value;
  return [before, weights, after];
}

// ---- its place

// Beside the diagram; square cells, as large as the tile allows.
export function placeTile({ tile, tileAt: middle }, matrix) {
  const cell = tile / Math.max(matrix.rows, matrix.columns);
  const width = cell * matrix.columns, height = cell * matrix.rows;
  return { cell, x: middle[0] - width / 2, y: middle[1] - height / 2, width, height, middle };
}

// In the world: the entry at a point, or null; and the point in the middle of an entry.
export function entryAt(tile, matrix, [x, y]) {
  const row = Math.floor((y - tile.y) / tile.cell);
  const column = Math.floor((x - tile.x) / tile.cell);
  return holdsEntry(matrix, { row, column }) ? { row, column } : null;
}

export const holdsEntry = ({ rows, columns }, { row, column }) =>
  row >= 0 && column >= 0 && row < rows && column < columns;

export const middleOf = (tile, { row, column }) =>
  [tile.x + (column + 0.5) * tile.cell, tile.y + (row + 0.5) * tile.cell];
