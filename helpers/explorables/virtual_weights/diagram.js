// The diagram of the whole model on a canvas: the stream with what each reader takes from it,
// links, ends, and a map of where one is.

import { make } from "../shared/common.js";
import { fillGraph } from "../shared/graph.js";
import { clamp } from "../shared/numbers.js";
import { FONT, blend, halo, rgba, roleColour } from "./colours.js";
import { END_WORDS, KINDS, isStrong, kindOf, readsAs, roleWords, shareOfCeiling } from "./links.js";
import { portsOf } from "./scene.js";

// The paths of all curves, made once for a scene. The weak ones of a kind are one: they are many.
export function makePaths(scene, told) {
  const faint = Object.fromEntries(KINDS.map((kind) => [kind, new Path2D()]));
  for (const curve of scene.curves) {
    const [x, y, ...rest] = curve.points;
    curve.path = new Path2D();
    curve.path.moveTo(x, y);
    curve.path.bezierCurveTo(...rest);
    if (!isStrong(curve.link, told))
      for (const kind of KINDS) if (readsAs(curve.link, kind)) faint[kind].addPath(curve.path);
  }
  return Object.assign(scene, { faint });
}

// `kind`: what heads read as, on show; `shown`: the place of the lit link; `pointed`: a node or
// null.
export function drawDiagram(context, camera, scene, told, colours, { kind, shown, pointed }) {
  const { k } = camera, near = clamp((k - 1.15) / 1.6, 0, 1), lit = scene.curves[shown];
  const others = (1 - 0.86 * near) * clamp((8 - k) / 4, 0, 1);
  drawStream(context, camera, scene, colours);
  drawShares(context, camera, scene, lit, kind, colours);
  if (k <= 2.2) drawHeadings(context, camera, scene, told, colours);
  context.save();
  context.transform(k, 0, 0, k, camera.x, camera.y);
  const thick = k ** -0.55; // lines grow more slowly than the world
  if (others > 0) {
    drawWeak(context, scene.faint[kind], (pointed ? 0.08 : 0.14) * others, thick, colours);
    const style = { kind, pointed, others, thick };
    for (const curve of scene.curves)
      if (curve !== lit) drawLink(context, curve, told, colours, style);
  }
  drawLit(context, lit, isStrong(lit.link, told), thick, colours);
  drawLeader(context, scene, lit, thick, colours);
  context.restore();
  const style = { kind, lit, pointed, others: 1 - 0.75 * near };
  if (k < 20) drawNodes(context, camera, scene, colours, style);
}

// ---- links

function drawWeak(context, path, alpha, thick, colours) {
  context.globalAlpha = alpha;
  context.lineWidth = 0.6 * thick;
  context.strokeStyle = rgba(colours.ink);
  context.stroke(path);
}

// A strong link, or a weak one of the node that is pointed at.
function drawLink(context, curve, told, colours, { kind, pointed, others, thick }) {
  const chosen = readsAs(curve.link, kind), strong = isStrong(curve.link, told);
  const about = pointed && (curve.from === pointed || curve.to === pointed);
  if (!strong && !(about && chosen)) return;
  const alpha = strong ? (chosen ? 0.55 : 0.17) * emphasis(pointed, about) : 0.3;
  context.globalAlpha = clamp(alpha * others, 0, 0.9);
  context.lineWidth = (strong ? 0.9 + 5 * shareOfCeiling(curve.link) : 0.7) * thick;
  context.strokeStyle = strokeOf(context, curve, colours);
  context.stroke(curve.path);
}

function emphasis(pointed, about) {
  if (!pointed) return 1;
  return about ? 1.35 : 0.3;
}

// The lit link glows; a weak one is dashed.
function drawLit(context, curve, strong, thick, colours) {
  const width = strong ? 2.2 + 5 * shareOfCeiling(curve.link) : 1.4;
  context.strokeStyle = strokeOf(context, curve, colours);
  for (const [alpha, wider] of [[0.14, 3.2], [0.25, 1.9], [1, 1]]) {
    context.globalAlpha = alpha;
    context.lineWidth = width * wider * thick;
    if (wider === 1 && !strong) context.setLineDash([5 * thick, 4 * thick]);
    context.stroke(curve.path);
  }
}

// From the lit reader to the matrix of its link.
function drawLeader(context, { port, tile, tileAt: [x, y], isNarrow }, { to }, thick, colours) {
  const named = to.end.name === "unembed" ? 88 : 34; // pixels that its name takes
  const from = [to.x + port * awayFrom(to.side, to.end) + named, to.y];
  context.beginPath();
  if (isNarrow) {
    const right = from[0] + 100; // around the names of the readers below
    context.moveTo(from[0], from[1]);
    context.bezierCurveTo(right, from[1], right, y, x + tile / 2, y);
  } else {
    const end = x - tile / 2 - 20, middle = (from[0] + end) / 2;
    context.moveTo(from[0], from[1]);
    context.bezierCurveTo(middle, from[1], middle, y, end, y);
  }
  context.globalAlpha = 0.75;
  context.lineWidth = 1.2 * thick;
  context.setLineDash([2 * thick, 3 * thick]);
  context.strokeStyle = rgba(roleColour(to.end, colours) ?? colours.ink);
  context.stroke();
  context.setLineDash([]);
}

// From the colour of the writer's role to that of the reader's. Made once for a theme.
function strokeOf(context, curve, colours) {
  if (curve.theme === colours) return curve.stroke;
  const ends = [roleColour(curve.from.end, colours), roleColour(curve.to.end, colours)];
  const first = ends[0] ?? ends[1] ?? colours.ink, last = ends[1] ?? ends[0] ?? colours.ink;
  const stroke = context.createLinearGradient(curve.points[0], 0, curve.points[6], 0);
  stroke.addColorStop(0.12, rgba(first));
  if (first !== last) // by way of violet, and not of grey
    stroke.addColorStop(0.5, rgba(blend(blend(first, last, 0.5), [150, 70, 170], 0.6)));
  stroke.addColorStop(0.88, rgba(last));
  Object.assign(curve, { stroke, theme: colours });
  return stroke;
}

// ---- the stream

const SHORT = 760; // pixels of width, below which headings are short
const STRIPS = 48; // flat ones: a gradient as wide as the stream would cost a fifth of every frame

function drawStream(context, { k, x, height }, { centre, bank }, colours) {
  const left = (centre - bank * 1.3) * k + x, right = (centre + bank * 1.3) * k + x;
  context.fillStyle = rgba(colours.faint);
  for (let i = 0; i < STRIPS; i++) {
    const [from, to] = [i, i + 1].map((edge) =>
      Math.round(left + ((right - left) * edge) / STRIPS));
    const off = Math.abs((2 * i + 1) / STRIPS - 1); // 0 in the middle of the stream, 1 at its banks
    context.globalAlpha = off < 0.76 ? 0.13 - 0.072 * off : 0.31 * (1 - off);
    context.fillRect(from, 0, to - from, height);
  }
  context.globalAlpha = 1;
}

// Of what the lit writer writes, how much each later reader takes: a bar across the stream, whose
// width is all of it, at the height of the reader; with a tick where chance would end.
function drawShares(context, camera, { curves, centre, bank, gap }, lit, kind, colours) {
  const { k } = camera, high = clamp(gap * 0.3, 5, 9) * k ** 0.8, wide = 2 * bank * k;
  context.globalAlpha = 1;
  for (const curve of curves) {
    const { link, from, to } = curve;
    if (from !== lit.from || !readsAs(link, kind)) continue;
    const [x, y] = camera.toScreen([centre - bank, to.y]), top = y - high / 2;
    const colour = curve === lit ? roleColour(to.end, colours) ?? colours.ink : colours.faint;
    context.fillStyle = rgba(colours.paper, 0.75);
    context.fillRect(x, top, wide, high);
    context.fillStyle = rgba(colour, curve === lit ? 0.95 : 0.6);
    context.fillRect(x, top, wide * link.share, high);
    context.strokeStyle = rgba(colours.faint, 0.6);
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, top + 0.5, wide, high);
    context.fillStyle = rgba(colours.ink);
    context.fillRect(x + wide * link.share_by_chance - 1, top - 2, 2, high + 4);
  }
}

// What stands where, while the whole is in sight.
function drawHeadings(context, { k, x, y }, scene, told, colours) {
  context.globalAlpha = clamp(2.2 - k, 0, 1);
  context.font = `600 ${clamp(11 * k, 10, 15)}px ${FONT}`;
  context.textBaseline = "middle";
  context.fillStyle = rgba(colours.faint);
  const title = (words, at, align) => {
    context.textAlign = align;
    context.fillText(words, at * k + x, 14 * k + y);
  };
  const short = scene.width < SHORT;
  title(short ? "writes" : "writes to the stream", scene.left + scene.port, "right");
  const stream = short ? "stream ↓" : `stream of ${told.d_model} numbers  ↓`;
  if (!scene.isNarrow) title(stream, scene.centre, "center");
  title(short ? "reads" : "reads from the stream", scene.right - scene.port, "left");
  context.lineWidth = 1;
  context.setLineDash([1, 4]);
  context.strokeStyle = rgba(colours.faint, 0.8);
  const edge = scene.isNarrow ? scene.width - 8 : scene.tileAt[0] - scene.tile / 2 - 40;
  for (const { layer, from } of scene.bands) {
    const level = from * k + y + 0.5;
    context.beginPath();
    context.moveTo(8 * k + x, level);
    context.lineTo(edge * k + x, level);
    context.stroke();
    context.textAlign = "left";
    context.font = `${clamp(10 * k, 9.5, 14)}px ${FONT}`;
    context.fillText(`layer ${layer}`, 8 * k + x, level + 9 * k);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

// ---- writers and readers

// `others`: how visible those are that are neither lit nor pointed at.
function drawNodes(context, camera, scene, colours, { kind, lit, pointed, others }) {
  const { k } = camera, [tileLeft] = camera.toScreen([scene.tileAt[0] - scene.tile / 2, 0]);
  const edge = scene.isNarrow ? camera.width : tileLeft - 70; // where the names of readers end
  context.textBaseline = "middle";
  for (const node of scene.nodes) {
    const at = camera.toScreen([node.x, node.y]);
    if (at[1] < -40 || at[1] > camera.height + 40) continue;
    const isLit = lit.from === node || lit.to === node, strong = isLit || node === pointed;
    const alpha = strong ? 1 : others, radius = scene.port * k;
    const style = { isLit, alpha, colour: roleColour(node.end, colours) ?? colours.ink };
    if (node.side === "writer") drawWriter(context, node, at, radius, colours, style);
    else {
      const litKind = isLit ? kindOf(lit.link.reader) : null;
      for (const port of portsOf(scene, node))
        drawPort(context, camera, node, port, radius, colours, { ...style, kind, litKind });
    }
    context.globalAlpha = strong ? clamp(3 - k, 0, 1) : alpha; // the matrix has names of its own
    const size = clamp(Math.min(scene.gap * 0.52, 12) * k ** 0.62, 9.5, 26);
    drawName(context, camera, node, at, colours, { ...style, radius, size, strong, edge });
    context.globalAlpha = 1;
  }
}

function drawWriter(context, { end }, at, radius, colours, { isLit, alpha, colour }) {
  const full = isLit || end.role, width = isLit ? 2 : 1.2;
  const disc = full ? { fill: colour, stroke: colour } : { fill: null, stroke: colours.faint };
  drawDisc(context, at, radius * 0.8, colours, { ...disc, alpha, width });
}

function drawPort(context, camera, { end }, port, radius, colours, style) {
  const { alpha, colour, kind, litKind } = style, at = camera.toScreen([port.x, port.y]);
  const on = litKind === port.kind, chosen = on || !port.kind || port.kind === kind;
  drawDisc(context, at, radius, colours, {
    fill: on ? colour : null, stroke: on || (end.role && chosen) ? colour : colours.faint,
    alpha: alpha * (chosen ? 1 : 0.5), width: on ? 2 : 1,
  });
  context.globalAlpha = alpha * (chosen ? 1 : 0.55);
  context.fillStyle = rgba(on ? colours.paper : colours.ink);
  context.font = `${on ? 700 : 500} ${radius * 1.15}px ${FONT}`;
  context.textAlign = "center";
  context.fillText(port.kind || "U", at[0], at[1] + 0.5);
}

function drawDisc(context, [x, y], radius, colours, { fill, stroke, alpha, width }) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.globalAlpha = 1;
  context.fillStyle = rgba(colours.paper);
  context.fill();
  context.globalAlpha = alpha;
  context.fillStyle = rgba(fill ?? [0, 0, 0], fill ? 1 : 0);
  context.fill();
  context.lineWidth = width;
  context.strokeStyle = rgba(stroke);
  context.stroke();
}

// Beside its node; a lit one that would be cut off stands above it, inside the view.
function drawName(context, camera, { side, end }, [x, y], colours, style) {
  const { radius, size, strong, colour, edge } = style, writes = side === "writer";
  const words = END_WORDS[end.name] ?? end.name;
  const fonts = [`${strong ? 700 : 500} ${size}px ${FONT}`, `${size * 0.88}px ${FONT}`];
  const widthOf = (text, font) => {
    context.font = font;
    return context.measureText(text).width;
  };
  const wide = widthOf(words, fonts[0]), away = radius * awayFrom(side, end) + 6;
  const reach = away + wide + 11 + widthOf(roleWords(end), fonts[1]), near = camera.k > 1.1;
  const fits = writes ? reach < x : strong && near && x + reach < edge;
  const role = fits ? roleWords(end) : "";
  const all = wide + (role ? 7 + widthOf(role, fonts[1]) : 0);
  let from = writes ? x - away - all : x + away, level = y;
  if (!strong && from < 0) return; // half a name is none
  if (strong && (from < 4 || from + all > camera.width - 4)) {
    level = y - radius * (writes ? 1 : 2) - size * 0.9;
    from = clamp(x - all / 2, 6, camera.width - all - 6);
  }
  const roleFirst = writes && level === y; // so that the name stands next to the node
  const parts = roleFirst ? [[role, from, 1], [words, from + all - wide, 0]]
    : [[words, from, 0], [role, from + wide + 7, 1]];
  context.textAlign = "left";
  for (const [text, at, font] of parts) {
    context.font = fonts[font];
    if (level !== y || strong) halo(context, text, at, level, colours);
    context.fillStyle = rgba(font ? colour : colours.ink);
    context.fillText(text, at, level);
  }
}

// How many radii a node is wide on the side of its name.
function awayFrom(side, end) {
  if (side === "writer") return 1;
  return end.name === "unembed" ? 3 : 6.2;
}

// ---- where one is, once the whole no longer fits: beside the words, off the cells

export function drawMap(svg, camera, scene, { points }) {
  const block = (x, y, width, height, more) => make("rect", { x, y, width, height, ...more });
  const [x, y] = scene.tileAt, side = scene.tile, [start, level, ...rest] = points;
  const [x0, y0] = camera.toWorld([0, 0]), [x1, y1] = camera.toWorld([camera.width, camera.height]);
  const width = Math.max(x1 - x0, 40), height = Math.max(y1 - y0, 40);
  fillGraph(svg, scene.width, scene.height, [
    block(scene.centre - scene.bank, 0, 2 * scene.bank, scene.height, { class: "pale" }),
    block(x - side / 2, y - side / 2, side, side, { class: "pale" }),
    ...scene.nodes.map((node) => block(node.x - 6, node.y - 5, 12, 10, { class: "end" })),
    make("path", { d: `M${start} ${level}C${rest.join(" ")}`, class: "way" }),
    block((x0 + x1 - width) / 2, (y0 + y1 - height) / 2, width, height, { class: "here" }),
  ]);
}
