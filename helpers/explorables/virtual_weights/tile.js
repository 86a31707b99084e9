// The matrix on the canvas: its entries as colours and, near enough, as numbers; its axes, its
// scale and its formula.

import { lightness } from "../shared/cividis.js";
import { signed } from "../shared/formats.js";
import { clamp, largest } from "../shared/numbers.js";
import { FONT, halo, rgba, signShade } from "./colours.js";

const GRID_FROM = 14, NUMBERS_FROM = 40, NAMES_FROM = 105; // pixels of a cell
const MARGINS = { left: 66, top: 56, right: 14, bottom: 30 }; // of a tile with names
const LINE = 16; // of the formula below it
const EDGE = { left: 62, top: 44 }; // of the view: what the names take where the tile is larger

// One pixel an entry.
export function paintMatrix({ rows, columns, values, most }, colours) {
  const canvas = document.createElement("canvas"), image = new ImageData(columns, rows);
  [canvas.width, canvas.height] = [columns, rows];
  values.forEach((value, i) => {
    image.data.set([...signShade(value / most, colours), 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// `entry`: { row, column } of the chosen one, or null.
export function drawTile(context, camera, tile, matrix, colours, entry, title) {
  const frame = frameOf(camera, tile, matrix), { x, y, cell, width, height } = frame;
  frame.formula = linesOf(context, matrix.formula, cardOf(frame)[2] - 16);
  if (frame.last.row <= frame.first.row || frame.last.column <= frame.first.column) return;
  drawPaper(context, frame, colours);
  drawImage(context, frame, matrix.canvas);
  context.lineWidth = 1;
  context.strokeStyle = rgba(colours.faint);
  context.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
  if (cell > GRID_FROM) drawGrid(context, frame, colours);
  if (entry) {
    context.lineWidth = clamp(cell * 0.08, 1.6, 4);
    context.strokeStyle = rgba(colours.now);
    context.strokeRect(x + entry.column * cell, y + entry.row * cell, cell, cell);
  }
  if (cell >= NUMBERS_FROM) drawNumbers(context, frame, matrix, colours, entry);
  drawAxes(context, camera, frame, matrix, colours, entry, title);
}

// Where it stands in the view, which of its rows and columns are in sight, and whether there is
// room for their names.
function frameOf(camera, tile, { rows, columns }) {
  const [x, y] = camera.toScreen([tile.x, tile.y]), cell = tile.cell * camera.k;
  const width = tile.width * camera.k, height = tile.height * camera.k;
  const place = (from, count, round) => clamp(round(from / cell), 0, count);
  return {
    x, y, cell, width, height,
    first: { row: place(-y, rows, Math.floor), column: place(-x, columns, Math.floor) },
    last: {
      row: place(camera.height - y, rows, Math.ceil),
      column: place(camera.width - x, columns, Math.ceil),
    },
    size: clamp(height / 16, 10, 12),
    labels: Math.max(width, height) > 190 && Math.min(width, height) > 70,
  };
}

// The paper that it lies on, with all that is written around it: left, top, width and height.
function cardOf({ x, y, width, height, labels, formula = [] }) {
  const { left, top, right, bottom } = labels ? MARGINS : { left: 2, top: 2, right: 2, bottom: 2 };
  const below = labels ? bottom + LINE * formula.length : bottom;
  return [x - left, y - top, width + left + right, height + top + below];
}

// The formula's parts in lines no wider than the room: of [words, width, is in the middle].
export function linesOf(context, parts, room) {
  const lines = [[]];
  let used = 0;
  parts.forEach((words, i) => {
    context.font = formulaFont(i);
    const wide = context.measureText(words).width;
    if (used && used + wide > room) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1).push([words, wide, i]);
    used += wide;
  });
  return lines;
}

const formulaFont = (part) => `${part === 1 ? 700 : 400} 11.5px ${FONT}`; // the middle is bold

// ---- the entries

function drawPaper(context, frame, colours) {
  context.fillStyle = rgba(colours.paper, frame.labels ? 0.9 : 1);
  context.beginPath();
  context.roundRect(...cardOf(frame), frame.labels ? 10 : 0);
  context.fill();
}

function drawImage(context, { x, y, cell, first, last }, image) {
  const columns = last.column - first.column, rows = last.row - first.row;
  context.imageSmoothingEnabled = false;
  context.drawImage(image, first.column, first.row, columns, rows,
    x + first.column * cell, y + first.row * cell, columns * cell, rows * cell);
}

function drawGrid(context, { x, y, cell, first, last }, colours) {
  context.strokeStyle = rgba(colours.paper, clamp((cell - GRID_FROM) / 20, 0, 0.8));
  context.beginPath();
  for (let row = first.row; row <= last.row; row++) {
    context.moveTo(x + first.column * cell, y + row * cell);
    context.lineTo(x + last.column * cell, y + row * cell);
  }
  for (let column = first.column; column <= last.column; column++) {
    context.moveTo(x + column * cell, y + first.row * cell);
    context.lineTo(x + column * cell, y + last.row * cell);
  }
  context.stroke();
}

function drawNumbers(context, frame, matrix, colours, entry) {
  const { first, last, cell } = frame;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.globalAlpha = clamp((cell - 36) / 14, 0, 1);
  for (let row = first.row; row < last.row; row++)
    for (let column = first.column; column < last.column; column++) {
      const isChosen = entry?.row === row && entry?.column === column;
      drawNumber(context, frame, matrix, colours, { row, column, isChosen });
    }
  context.globalAlpha = 1;
}

// A number, and below it, where a cell is large, what its row and its column are.
function drawNumber(context, { x, y, cell }, matrix, colours, { row, column, isChosen }) {
  const value = matrix.values[row * matrix.columns + column], named = cell > NAMES_FROM;
  const isDark = lightness(signShade(value / matrix.most, colours)) < 135;
  const cx = x + (column + 0.5) * cell, cy = y + (row + 0.5) * cell;
  context.fillStyle = isDark ? "#fff" : "#111";
  context.font = `${isChosen ? 700 : 500} ${clamp(cell * 0.24, 10, 46)}px ${FONT}`;
  context.fillText(signed(value), cx, named ? cy - cell * 0.08 : cy);
  if (!named) return;
  const [of, by] = matrix.short;
  const words = `${of} ${matrix.rowNames[row]}, ${by} ${matrix.columnNames[column]}`;
  context.font = `${clamp(cell * 0.085, 10, 17)}px ${FONT}`;
  context.fillText(words, cx, cy + cell * 0.2, cell * 0.94);
}

// ---- the axes

// Names stay in view: beside the matrix while there is room, at the edge of the view when the
// matrix is larger.
function drawAxes(context, camera, tile, matrix, colours, entry, title) {
  const { x, y, width, height, labels } = tile;
  const frame = {
    ...tile,
    atLeft: labels && x < EDGE.left, atTop: labels && y < EDGE.top + 2,
    across: middleOfSeen(x, width, camera.width), along: middleOfSeen(y, height, camera.height),
  };
  context.textBaseline = "middle";
  if (labels) {
    clearEdges(context, camera, frame, colours);
    drawRowNames(context, frame, matrix, colours, entry);
    drawColumnNames(context, frame, matrix, colours, entry);
  }
  context.globalAlpha = 1;
  context.fillStyle = rgba(colours.ink);
  context.textAlign = "center";
  drawTitles(context, frame, matrix, colours);
  if (!frame.atTop) drawHeading(context, frame, title, colours);
  if (labels && y + height < camera.height) {
    drawScale(context, frame, matrix, colours);
    drawFormula(context, frame, colours);
  }
}

const middleOfSeen = (from, length, whole) =>
  (Math.max(from, 0) + Math.min(from + length, whole)) / 2;

// Paper for the names at the edge of the view.
function clearEdges(context, camera, { x, y, width, height, atLeft, atTop }, colours) {
  const seen = (from, length, whole) =>
    [Math.max(from, 0), Math.min(length + Math.min(from, 0), whole)];
  context.fillStyle = rgba(colours.paper);
  const [top, tall] = seen(y, height, camera.height), [left, wide] = seen(x, width, camera.width);
  if (atLeft) context.fillRect(0, top, EDGE.left, tall);
  if (atTop) context.fillRect(left, 0, wide, EDGE.top);
}

function drawRowNames(context, frame, { rowNames }, colours, entry) {
  const { y, cell, first, last, atLeft, atTop } = frame, edge = atLeft ? 58 : frame.x - 5;
  context.textAlign = "right";
  const named = namedPlaces(first.row, last.row, cell, 15, entry?.row, 12);
  for (const row of named) {
    const at = y + (row + 0.5) * cell;
    if (at <= (atTop ? EDGE.top + 2 : 0)) continue;
    setNameStyle(context, frame.size, row === entry?.row, colours);
    context.fillText(rowNames[row], edge, at, 42);
  }
}

function drawColumnNames(context, frame, { columnNames }, colours, entry) {
  const { x, cell, first, last, atLeft } = frame;
  const room = largest(columnNames.map((one) => one.length), 1) * frame.size * 0.6 + 6;
  context.textAlign = "center";
  for (const column of namedPlaces(first.column, last.column, cell, room, entry?.column, room)) {
    const at = x + (column + 0.5) * cell;
    if (at <= (atLeft ? EDGE.left : 0)) continue;
    setNameStyle(context, frame.size, column === entry?.column, colours);
    context.fillText(columnNames[column], at, nameLine(frame) - 3);
  }
}

// Every so many that a name has `room`; and the chosen one, with so much `free` around it.
function namedPlaces(first, last, cell, room, chosen, free) {
  const step = [1, 2, 4, 8, 16, 32, 64].find((one) => one * cell >= room) ?? 64;
  return Array.from({ length: last - first }, (_, i) => first + i).filter((place) =>
    place === chosen
    || (place % step === 0 && !(Math.abs((place - chosen) * cell) < free)));
}

function setNameStyle(context, size, isChosen, colours) {
  context.fillStyle = rgba(colours.ink);
  context.globalAlpha = isChosen ? 1 : 0.72;
  context.font = `${isChosen ? 700 : 400} ${size}px ${FONT}`;
}

// The level of what stands above the tile.
const nameLine = ({ y, atTop }) => (atTop ? 34 : y - 5);

// What rows and columns are. Without room for their names, the titles lie on the diagram.
function drawTitles(context, frame, { columnTitle, rowTitle }, colours) {
  const { x, width, height, size, labels, atLeft, atTop, across, along } = frame;
  const fits = (words, room) => labels || context.measureText(words).width < room;
  const words = (text, at, level) => {
    if (!labels) halo(context, text, at, level, colours);
    context.fillText(text, at, level);
  };
  context.font = `600 ${size}px ${FONT}`;
  if (fits(columnTitle, width * 1.05)) {
    const level = nameLine(frame) - (labels ? 20 : 4);
    words(labels ? `${columnTitle}  →` : columnTitle, across, atTop ? 14 : level);
  }
  if (fits(rowTitle, height * 1.05)) {
    context.save();
    context.translate(atLeft ? 11 : x - (labels ? 46 : 9), along);
    context.rotate(-Math.PI / 2);
    words(labels ? `←  ${rowTitle}` : rowTitle, 0, 0);
    context.restore();
  }
}

function drawHeading(context, { y, size, labels, across }, title, colours) {
  const level = y - (labels ? 43 : size + 12);
  context.font = `700 ${size + 1}px ${FONT}`;
  if (!labels) halo(context, title, across, level, colours);
  context.fillText(title, across, level);
}

// ---- what stands below

function drawScale(context, frame, matrix, colours) {
  const [left, , whole] = cardOf(frame), level = frame.y + frame.height + 16;
  const ends = [`${signed(-matrix.most)} lowers`, `raises ${signed(matrix.most)}`];
  if (matrix.unit) ends[1] += ` the ${matrix.unit}`;
  context.font = `11px ${FONT}`;
  const [before, after] = ends.map((words) => context.measureText(words).width + 6);
  const wide = clamp(whole - before - after - 40, 20, 200);
  let at = left + (whole - before - wide - after) / 2;
  context.fillStyle = rgba(colours.faint);
  context.textAlign = "left";
  context.fillText(ends[0], at, level);
  at += before;
  for (let i = 0; i < wide; i++) {
    context.fillStyle = rgba(signShade((2 * i) / wide - 1, colours));
    context.fillRect(at + i, level - 4, 1.5, 8);
  }
  context.fillStyle = rgba(colours.faint);
  context.fillText(ends[1], at + wide + 6, level);
}

function drawFormula(context, frame, colours) {
  const [left, , whole] = cardOf(frame);
  context.textAlign = "left";
  frame.formula.forEach((line, row) => {
    const level = frame.y + frame.height + 36 + LINE * row;
    let at = left + (whole - line.reduce((sum, [, wide]) => sum + wide, 0)) / 2;
    for (const [words, wide, part] of line) {
      context.font = formulaFont(part);
      context.fillStyle = rgba(part === 1 ? colours.ink : colours.faint);
      context.fillText(words, at, level);
      at += wide;
    }
  });
}
