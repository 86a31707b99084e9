// The lit pair's matrix, which lies in the stream where its path crosses, and the sentences about it.

import { clamp } from "../shared/common.js";
import { END_WORDS, FONT, blend, halo, headOf, kindOf, rgb, roleWords, share } from "./scene.js";

function multiply(a, b) {
  if (!a || !b) return a ?? b;
  const [rows, inner, columns] = [a.rows, a.columns, b.columns], values = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let m = 0; m < inner; m++) {
      const factor = a.values[i * inner + m];
      if (factor) for (let j = 0; j < columns; j++) values[i * columns + j] += factor * b.values[m * columns + j];
    }
  return { rows, columns, values };
}

// Between tokens (or positions), or `bare`: what one writes by times what the other reads by, and nothing else.
export function makeMatrix(told, link, bare, colours) {
  const part = (one) => one && { rows: one.shape[0], columns: one.shape[1], values: told.blocks[one.at] };
  const weights = part(link.weights);
  const matrix = bare ? weights : multiply(multiply(part(link.before), weights), part(link.after));
  const names = (axis, outside, count) => (bare && outside ? Array.from({ length: count }, (_, i) => String(i)) : told.axes[axis]);
  matrix.bare = bare;
  matrix.rowNames = names(link.rows, link.before, matrix.rows);
  matrix.columnNames = names(link.columns, link.after, matrix.columns);
  [matrix.rowTitle, matrix.columnTitle] = axisTitles(link, bare);
  matrix.short = bare ? ["", ""] : shortTitles(link);
  matrix.formula = formula(told, link, bare);
  matrix.unit = bare ? "" : "QK".includes(kindOf(link.reader) || "-") ? "score" : "logit";
  matrix.most = matrix.values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
  matrix.canvas = document.createElement("canvas");
  [matrix.canvas.width, matrix.canvas.height] = [matrix.columns, matrix.rows];
  const image = new ImageData(matrix.columns, matrix.rows);
  matrix.values.forEach((value, i) => image.data.set([...shade(value / matrix.most, colours), 255], 4 * i));
  matrix.canvas.getContext("2d").putImageData(image, 0, 0);
  return matrix;
}

const shade = (value, colours) => blend(colours.paper, value < 0 ? colours.before : colours.match, Math.min(Math.abs(value), 1) ** 0.8);

function axisTitles({ writer, reader, rows, columns, before, after }, bare) {
  const kind = kindOf(reader), head = headOf(reader), fed = { Q: "query", K: "key" }[kind];
  const column = { Q: `key ${columns}`, K: `query ${columns}` }[kind] ?? `output ${columns}`;
  let row = `${rows} that ${writer} moved` + (fed ? ` to the ${fed}` : "");
  if (writer === "embed" || writer === "pos") row = fed ? `${fed} ${rows}` : `${kind ? "attended" : "present"} ${rows}`;
  else if (!kind) row = `${rows} that ${writer} attends to`;
  return bare ? [before ? `inside ${writer}` : row, after ? `inside ${head}, ${kind}` : column] : [row, column];
}

function shortTitles({ writer, reader }) {
  const kind = kindOf(reader), fed = { Q: "query", K: "key" }[kind] ?? "token";
  return [writer.includes(".") ? "moved" : fed, { Q: "key", K: "query" }[kind] ?? "output"];
}

// What is multiplied, in three parts: what the writer is fed, the virtual weights, what the reader's numbers meet.
function formula(told, { writer, reader, rows, columns }, bare) {
  const kind = kindOf(reader), head = headOf(reader), source = { token: "W_E", position: "W_pos" };
  const written = { embed: "W_E", pos: "W_pos" }[writer] ?? `W_O[${writer}]`, read = kind ? `W_${kind}[${head}]` : "W_U";
  const before = writer.includes(".") && !bare ? `${source[rows]} W_V[${writer}] · ` : "";
  const after = !kind || bare ? "" : kind === "V" ? ` · W_O[${head}] W_U` : ` · (${source[columns]} W_${kind === "Q" ? "K" : "Q"}[${head}])ᵀ / √${told.d_head}`;
  return [before, `${written} ${read}`, after];
}

// Its place in the world: where the path crosses the stream, below the headings; square cells, as large as the tile allows.
export function placeTile(curve, scene, matrix) {
  const cell = scene.tile / Math.max(matrix.rows, matrix.columns), width = cell * matrix.columns, height = cell * matrix.rows;
  const middle = [curve.middle[0], Math.max(curve.middle[1], height / 2 + 58)];
  return { cell, x: middle[0] - width / 2, y: middle[1] - height / 2, width, height, middle };
}

export function entryAt(tile, matrix, [x, y]) {
  const row = Math.floor((y - tile.y) / tile.cell), column = Math.floor((x - tile.x) / tile.cell);
  return row >= 0 && column >= 0 && row < matrix.rows && column < matrix.columns ? { row, column } : null;
}

const number = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(Math.abs(value) < 9.95 ? 2 : 1);

export function drawTile(context, camera, tile, matrix, colours, entry, title) {
  const [x, y] = camera.toScreen([tile.x, tile.y]), cell = tile.cell * camera.k;
  const [width, height] = [tile.width * camera.k, tile.height * camera.k];
  const first = [clamp(Math.floor(-y / cell), 0, matrix.rows), clamp(Math.floor(-x / cell), 0, matrix.columns)];
  const last = [clamp(Math.ceil((camera.height - y) / cell), 0, matrix.rows), clamp(Math.ceil((camera.width - x) / cell), 0, matrix.columns)];
  const [rows, columns] = [last[0] - first[0], last[1] - first[1]];
  if (rows <= 0 || columns <= 0) return;
  const labels = Math.max(width, height) > 190 && Math.min(width, height) > 70, margin = labels ? [66, 56, 14, 54] : [2, 2, 2, 2]; // left, top, right, bottom
  context.fillStyle = rgb(colours.paper, labels ? 0.9 : 1);
  context.beginPath();
  context.roundRect(x - margin[0], y - margin[1], width + margin[0] + margin[2], height + margin[1] + margin[3], labels ? 10 : 0);
  context.fill();
  context.imageSmoothingEnabled = false;
  context.drawImage(matrix.canvas, first[1], first[0], columns, rows, x + first[1] * cell, y + first[0] * cell, columns * cell, rows * cell);
  context.lineWidth = 1;
  context.strokeStyle = rgb(colours.faint);
  context.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
  if (cell > 14) drawGrid(context, x, y, cell, first, last, colours);
  if (entry) {
    context.lineWidth = clamp(cell * 0.08, 1.6, 4);
    context.strokeStyle = rgb(colours.now);
    context.strokeRect(x + entry.column * cell, y + entry.row * cell, cell, cell);
  }
  if (cell >= 40) drawNumbers(context, x, y, cell, first, last, matrix, colours, entry);
  drawAxes(context, camera, { x, y, cell, width, height, first, last, labels }, matrix, colours, entry, title);
}

function drawGrid(context, x, y, cell, first, last, colours) {
  context.strokeStyle = rgb(colours.paper, clamp((cell - 14) / 20, 0, 0.8));
  context.beginPath();
  for (let i = first[0]; i <= last[0]; i++) { context.moveTo(x + first[1] * cell, y + i * cell); context.lineTo(x + last[1] * cell, y + i * cell); }
  for (let j = first[1]; j <= last[1]; j++) { context.moveTo(x + j * cell, y + first[0] * cell); context.lineTo(x + j * cell, y + last[0] * cell); }
  context.stroke();
}

function drawNumbers(context, x, y, cell, first, last, matrix, colours, entry) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.globalAlpha = clamp((cell - 36) / 14, 0, 1);
  for (let i = first[0]; i < last[0]; i++)
    for (let j = first[1]; j < last[1]; j++) {
      const value = matrix.values[i * matrix.columns + j], face = shade(value / matrix.most, colours);
      context.fillStyle = 0.299 * face[0] + 0.587 * face[1] + 0.114 * face[2] < 135 ? "#fff" : "#111";
      const here = entry?.row === i && entry?.column === j, large = cell > 105;
      context.font = `${here ? 700 : 500} ${clamp(cell * 0.24, 10, 46)}px ${FONT}`;
      const [cx, cy] = [x + (j + 0.5) * cell, y + (i + 0.5) * cell];
      context.fillText(number(value), cx, large ? cy - cell * 0.08 : cy);
      if (!large) continue;
      context.font = `${clamp(cell * 0.085, 10, 17)}px ${FONT}`;
      context.fillText(`${matrix.short[0]} ${matrix.rowNames[i]}, ${matrix.short[1]} ${matrix.columnNames[j]}`, cx, cy + cell * 0.2, cell * 0.94);
    }
  context.globalAlpha = 1;
}

// Names stay in view: beside the matrix while there is room, at the edge of the view when the matrix is larger.
function drawAxes(context, camera, { x, y, cell, width, height, first, last, labels }, matrix, colours, entry, title) {
  const ink = rgb(colours.ink), size = clamp(height / 16, 9.5, 12);
  const inLeft = labels && x < 62, inTop = labels && y < 46;
  const [edge, line] = [inLeft ? 58 : x - 5, inTop ? 34 : y - 5];
  context.textBaseline = "middle";
  context.font = `${size}px ${FONT}`;
  if (labels) {
    context.fillStyle = rgb(colours.paper);
    if (inLeft) context.fillRect(0, Math.max(y, 0), 62, Math.min(height + Math.min(y, 0), camera.height));
    if (inTop) context.fillRect(Math.max(x, 0), 0, Math.min(width + Math.min(x, 0), camera.width), 44);
    const every = (room) => [1, 2, 4, 8, 16, 32, 64].find((step) => step * cell >= room) ?? 64;
    const name = (words, here) => { context.fillStyle = ink; context.globalAlpha = here ? 1 : 0.72; context.font = `${here ? 700 : 400} ${size}px ${FONT}`; return words; };
    context.textAlign = "right";
    for (let i = first[0], step = every(15); i < last[0]; i++) {
      const at = y + (i + 0.5) * cell;
      if (entry?.row === i || (i % step === 0 && !(entry && Math.abs(at - (y + (entry.row + 0.5) * cell)) < 12)))
        if (at > (inTop ? 46 : 0)) context.fillText(name(matrix.rowNames[i], entry?.row === i), edge, at, 42);
    }
    context.textAlign = "center";
    const widest = matrix.columnNames.reduce((most, words) => Math.max(most, words.length), 1) * size * 0.6 + 6;
    for (let j = first[1], step = every(widest); j < last[1]; j++) {
      const at = x + (j + 0.5) * cell;
      if (entry?.column === j || (j % step === 0 && !(entry && Math.abs(at - (x + (entry.column + 0.5) * cell)) < widest)))
        if (at > (inLeft ? 62 : 0)) context.fillText(name(matrix.columnNames[j], entry?.column === j), at, line - 3);
    }
  }
  context.globalAlpha = 1;
  context.fillStyle = ink;
  context.font = `600 ${size}px ${FONT}`;
  context.textAlign = "center";
  const middle = (from, length, whole) => (Math.max(from, 0) + Math.min(from + length, whole)) / 2;
  const across = middle(x, width, camera.width), along = middle(y, height, camera.height);
  const fits = (words, room) => context.measureText(words).width < room;
  const small = (words, x, y) => { if (!labels) halo(context, words, x, y, colours); };
  if (labels || fits(matrix.columnTitle, width * 1.05)) {
    small(matrix.columnTitle, across, line - 4);
    context.fillText(`${matrix.columnTitle}${labels ? "  →" : ""}`, across, inTop ? 14 : line - (labels ? 20 : 4));
  }
  if (labels || fits(matrix.rowTitle, height * 1.05)) {
    context.save();
    context.translate(inLeft ? 11 : x - (labels ? 46 : 9), along);
    context.rotate(-Math.PI / 2);
    small(matrix.rowTitle, 0, 0);
    context.fillText(`${labels ? "←  " : ""}${matrix.rowTitle}`, 0, 0);
    context.restore();
  }
  context.font = `700 ${size + 1}px ${FONT}`;
  if (!inTop) {
    const level = y - (labels ? 43 : size + 12);
    if (!labels) halo(context, title, across, level, colours);
    context.fillText(title, across, level);
  }
  if (labels && y + height < camera.height) {
    drawScale(context, across, y + height + 12, Math.min(width * 0.4, 240), matrix, colours);
    drawFormula(context, across, y + height + 38, size, matrix.formula, colours);
  }
}

function drawScale(context, x, y, wide, matrix, colours) {
  for (let i = 0; i < wide; i++) {
    context.fillStyle = rgb(shade((2 * i) / wide - 1, colours));
    context.fillRect(x - wide / 2 + i, y, 1.5, 8);
  }
  context.fillStyle = rgb(colours.faint);
  context.font = `11px ${FONT}`;
  context.textAlign = "right";
  context.fillText(number(-matrix.most), x - wide / 2 - 6, y + 4);
  context.textAlign = "left";
  context.fillText(`${number(matrix.most)} ${matrix.unit && `to the ${matrix.unit}`}`, x + wide / 2 + 6, y + 4);
}

// The virtual weights stand in the middle, in bold.
function drawFormula(context, x, y, size, parts, colours) {
  const fonts = parts.map((_, i) => `${i === 1 ? 700 : 400} ${size}px ${FONT}`);
  const wide = parts.map((part, i) => { context.font = fonts[i]; return context.measureText(part).width; });
  let at = x - (wide[0] + wide[1] + wide[2]) / 2;
  context.textAlign = "left";
  parts.forEach((part, i) => {
    context.font = fonts[i];
    halo(context, part, at, y, colours);
    context.fillStyle = rgb(i === 1 ? colours.ink : colours.faint);
    context.fillText(part, at, y);
    at += wide[i];
  });
}

// ---- in words

const endWords = (told, name) => {
  if (END_WORDS[name]) return name === "pos" ? "the positions" : `the ${END_WORDS[name]}`;
  const end = told.readers.find((reader) => reader.name === name);
  return `head ${name}` + (end.role ? ` (${roleWords(end)})` : "");
};

export function linkWords(told, link) {
  const kind = kindOf(link.reader), writer = endWords(told, link.writer), reader = endWords(told, headOf(link.reader));
  const reads = kind ? `The ${{ Q: "queries", K: "keys", V: "values" }[kind]} of ${reader} read` : "The unembedding reads";
  const what = link.writer.includes(".") ? `what ${writer} writes` : writer;
  const p = link.p <= 1 / (told.draws + 1) + 1e-9 ? `p ≤ ${(1 / (told.draws + 1)).toFixed(3)}` : `p = ${link.p.toFixed(link.p < 0.1 ? 3 : 2)}`;
  const verdict = link.p <= told.level ? `${p} among ${told.links.length} links, ${(100 * share(link)).toFixed(0)}% of the way to the ceiling`
    : link.z < -3 ? `less than chance would read (${p})` : `no more than chance (${p} among ${told.links.length} links)`;
  return `${reads} ${what}: score ${link.score.toFixed(3)} where chance gives ${link.mean.toFixed(3)}; ${verdict}.`;
}

// Of each query (or source), the entry that wins. For K the queries are columns.
export function matrixWords(link, matrix) {
  if (matrix.bare) return `The bare product has ${matrix.rows} × ${matrix.columns} numbers; an axis inside a head may be turned freely, so only sizes mean something.`;
  const kind = kindOf(link.reader), byColumn = kind === "K", count = byColumn ? matrix.columns : matrix.rows, others = byColumn ? matrix.rows : matrix.columns;
  const value = (i, j) => matrix.values[byColumn ? j * matrix.columns + i : i * matrix.columns + j];
  const causal = link.rows === "position" && link.columns === "position", first = causal ? 1 : 0, back = new Map();
  for (let i = first; i < count; i++) {
    let best = 0;
    for (let j = 1; j < (causal ? Math.min(i + 1, others) : others); j++) if (value(i, j) > value(i, best)) best = j;
    back.set(i - best, (back.get(i - best) ?? 0) + 1);
  }
  const of = `of ${count - first}`;
  if (link.rows !== link.columns) return "";
  if (causal && "QK".includes(kind)) {
    const [distance, times] = [...back].reduce((best, one) => (one[1] > best[1] ? one : best));
    return `For ${times} ${of} query positions the best key is ${distance === 0 ? "the position itself" : distance === 1 ? "the position before" : `${distance} positions back`}.`;
  }
  if ("QK".includes(kind || "-")) return `For ${back.get(0) ?? 0} ${of} query tokens the best match is the token itself.`;
  return `${back.get(0) ?? 0} ${of} tokens raise their own logit most.`;
}

export function entryWords(link, matrix, { row, column }) {
  const value = matrix.values[row * matrix.columns + column], byColumn = kindOf(link.reader) === "K";
  let larger = 0;
  for (let i = 0; i < (byColumn ? matrix.rows : matrix.columns); i++)
    larger += matrix.values[byColumn ? i * matrix.columns + column : row * matrix.columns + i] > value;
  const rank = larger ? `number ${larger + 1}` : "the largest";
  return `Entry: ${matrix.rowTitle} ${matrix.rowNames[row]}, ${matrix.columnTitle} ${matrix.columnNames[column]}: ${number(value)}`
    + `${matrix.unit && ` to the ${matrix.unit}`}, ${rank} in its ${byColumn ? "column" : "row"}.`;
}
