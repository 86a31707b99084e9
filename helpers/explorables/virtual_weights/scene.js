// The whole model: the stream in the middle, writers on its left, readers on its right, and every link between them.

import { clamp, make } from "../shared/common.js";

export const KINDS = ["Q", "K", "V"];
export const blend = (from, to, share) => from.map((part, i) => Math.round(part + (to[i] - part) * share));
export const rgb = (parts, alpha = 1) => `rgba(${parts.join(",")},${alpha})`;

// The colours of the theme, as numbers. Zero in a matrix is the paper, light or dark.
export function readColours(el) {
  const probe = make("span", {});
  el.append(probe);
  const colours = {};
  for (const name of ["paper", "ink", "faint", "rule", "match", "before", "now"]) {
    probe.style.color = `var(--${name})`;
    const [red, green, blue, alpha = 1] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
    colours[name] = blend(colours.paper ?? [red, green, blue], [red, green, blue], alpha); // JupyterLab's greys are see-through
  }
  probe.remove();
  return colours;
}

const roleColour = (end, colours) => ({ previous_token: colours.before, prefix_matching: colours.match })[end.role];
export const roleWords = (end) => (end.role ? `${end.role.replace("_", " ")} ${end.role_score.toFixed(2)}` : "");
export const END_WORDS = { embed: "embedding", pos: "positions", unembed: "unembedding" };

// Where everything stands, in the pixels of the view at zoom 1.
export function layOut(told, width) {
  const rows = told.writers.length + 1, extra = 0.7 * (told.n_layers + 1), top = 44, bottom = 26;
  const height = clamp((rows + extra) * 25 + top + bottom, Math.min(520, width * 0.72), 980);
  const gap = Math.min((height - top - bottom) / (rows - 1 + extra), 56);
  const spare = (height - top - bottom - gap * (rows - 1 + extra)) / 2;
  const scene = { width, height, gap, left: width * 0.255, right: width * (width < 720 ? 0.665 : 0.705), centre: width * (width < 720 ? 0.46 : 0.48), nodes: [], bands: [] };
  scene.tile = Math.min(width * 0.16, height * 0.3);
  scene.port = clamp(gap * 0.27, 4.5, 8);
  let row = 0;
  const y = (at) => top + spare + at * gap;
  const place = (writer, reader) => {
    if (writer) scene.nodes.push({ side: "writer", end: writer, x: scene.left, y: y(row) });
    if (reader) scene.nodes.push({ side: "reader", end: reader, x: scene.right, y: y(row) });
    row += 1;
  };
  for (const writer of told.writers.filter((end) => end.layer < 0)) place(writer, null);
  for (let layer = 0; layer < told.n_layers; layer++) {
    row += 0.7;
    const first = row;
    for (const head of told.writers.filter((end) => end.layer === layer)) place(head, head);
    scene.bands.push({ layer, from: y(first) - gap * 0.85, to: y(row - 1) + gap * 0.85 });
  }
  row += 0.7;
  place(null, told.readers.at(-1));
  scene.find = (side, name) => scene.nodes.find((node) => node.side === side && node.end.name === name);
  const step = scene.port;
  scene.ports = (node) => node.end.name === "unembed" ? [{ kind: "", x: node.x + 2 * step, y: node.y }]
    : KINDS.map((kind, i) => ({ kind, x: node.x + 2 * step * i * 1.15, y: node.y + (i - 1) * step * 0.95 }));
  scene.curves = told.links.map((link) => {
    const from = scene.find("writer", link.writer);
    const to = scene.find("reader", headOf(link.reader));
    const port = scene.ports(to).find((one) => one.kind === kindOf(link.reader));
    const points = [from.x + step, from.y, scene.centre, from.y, scene.centre, port.y, port.x - step, port.y];
    const path = new Path2D();
    path.moveTo(points[0], points[1]);
    path.bezierCurveTo(...points.slice(2));
    return { link, path, points, from, to, middle: [(points[0] + points[6] + 6 * scene.centre) / 8, (from.y + port.y) / 2] };
  });
  scene.faint = Object.fromEntries(KINDS.map((kind) => [kind, new Path2D()])); // weak links in one stroke: they are many
  for (const { link, path } of scene.curves)
    if (link.p > told.level) for (const kind of KINDS) if ((kindOf(link.reader) || kind) === kind) scene.faint[kind].addPath(path);
  return scene;
}

export const kindOf = (reader) => (reader === "unembed" ? "" : reader.slice(-1));
export const headOf = (reader) => (reader === "unembed" ? reader : reader.slice(0, -2));

function onCurve([x0, y0, x1, y1, x2, y2, x3, y3], t) {
  const a = (1 - t) ** 3, b = 3 * t * (1 - t) ** 2, c = 3 * t * t * (1 - t), d = t ** 3;
  return [a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3];
}

// What lies under a point of the world: a writer, a reader (with its port), or a strong link.
export function whatIsAt(scene, [x, y], reach, kind, level) {
  for (const node of scene.nodes) {
    if (Math.abs(y - node.y) > Math.max(scene.gap * 0.5, reach)) continue;
    if (node.side === "writer" && x < node.x + scene.port * 2 && x > node.x - scene.left) return { node };
    if (node.side === "reader" && x > node.x - scene.port * 2) {
      const port = scene.ports(node).reduce((best, one) =>
        Math.hypot(one.x - x, one.y - y) < Math.hypot(best.x - x, best.y - y) ? one : best);
      return { node, port: Math.hypot(port.x - x, port.y - y) < scene.port * 1.3 ? port.kind : undefined };
    }
  }
  let nearest = null, distance = reach;
  scene.curves.forEach((curve, index) => {
    const of = kindOf(curve.link.reader);
    if (curve.link.p > level || (of && of !== kind)) return;
    for (let t = 0; t <= 1; t += 0.02) {
      const [cx, cy] = onCurve(curve.points, t);
      const here = Math.hypot(cx - x, cy - y);
      if (here < distance) { distance = here; nearest = index; }
    }
  });
  return nearest === null ? null : { link: nearest };
}

// How far a score stands between chance (0) and the ceiling (1).
export const share = (link) => clamp((link.score - link.mean) / Math.max(link.ceiling - link.mean, 1e-9), 0, 1);

export function drawScene(context, camera, scene, told, colours, { kind, shown, pointed }) {
  const { k } = camera, near = clamp((k - 1.15) / 1.6, 0, 1), others = (1 - 0.86 * near) * clamp((8 - k) / 4, 0, 1);
  drawStream(context, camera, scene, told, colours);
  context.save();
  context.transform(k, 0, 0, k, camera.x, camera.y);
  const thick = k ** -0.55; // lines grow more slowly than the world
  if (others > 0) {
    context.globalAlpha = (pointed ? 0.08 : 0.14) * others;
    context.lineWidth = 0.6 * thick;
    context.strokeStyle = rgb(colours.ink);
    context.stroke(scene.faint[kind]);
    for (const [index, curve] of scene.curves.entries()) {
      const of = kindOf(curve.link.reader), chosen = !of || of === kind, strong = curve.link.p <= told.level;
      const about = pointed && (curve.from === pointed || curve.to === pointed);
      if (index === shown || (!strong && !(about && chosen))) continue;
      const alpha = strong ? (chosen ? 0.55 : 0.17) * (pointed ? (about ? 1.35 : 0.3) : 1) : 0.3;
      context.globalAlpha = clamp(alpha * others, 0, 0.9);
      context.lineWidth = (strong ? 0.9 + 5 * share(curve.link) : 0.7) * thick;
      context.strokeStyle = strokeOf(context, curve, colours);
      context.stroke(curve.path);
    }
  }
  const lit = scene.curves[shown];
  if (lit) {
    const width = lit.link.p <= told.level ? 2.2 + 5 * share(lit.link) : 1.4;
    context.strokeStyle = strokeOf(context, lit, colours);
    for (const [alpha, wider] of [[0.14, 3.2], [0.25, 1.9], [1, 1]]) {
      context.globalAlpha = alpha;
      context.lineWidth = width * wider * thick;
      if (wider === 1 && lit.link.p > told.level) context.setLineDash([5 * thick, 4 * thick]);
      context.stroke(lit.path);
    }
  }
  context.restore();
  if (k < 20) drawNodes(context, camera, scene, colours, kind, lit, pointed, 1 - 0.75 * near);
}

function strokeOf(context, curve, colours) {
  if (curve.theme !== colours) {
    const ends = [roleColour(curve.from.end, colours), roleColour(curve.to.end, colours)];
    const [first, last] = [ends[0] ?? ends[1] ?? colours.ink, ends[1] ?? ends[0] ?? colours.ink];
    curve.stroke = context.createLinearGradient(curve.points[0], 0, curve.points[6], 0);
    curve.stroke.addColorStop(0.12, rgb(first));
    if (first !== last) curve.stroke.addColorStop(0.5, rgb(blend(blend(first, last, 0.5), [150, 70, 170], 0.6))); // not through grey
    curve.stroke.addColorStop(0.88, rgb(last));
    curve.theme = colours;
  }
  return curve.stroke;
}

const STRIPS = 48; // flat ones: a gradient as wide as the stream would cost a fifth of every frame

function drawStream(context, camera, scene, told, colours) {
  const { k, x, y } = camera, half = scene.tile * 0.72;
  const [left, right] = [(scene.centre - half) * k + x, (scene.centre + half) * k + x];
  context.fillStyle = rgb(colours.faint);
  for (let i = 0; i < STRIPS; i++) {
    const [from, to] = [i, i + 1].map((edge) => Math.round(left + ((right - left) * edge) / STRIPS));
    const off = Math.abs((2 * i + 1) / STRIPS - 1); // 0 in the middle of the stream, 1 at its banks
    context.globalAlpha = off < 0.76 ? 0.13 - 0.072 * off : 0.31 * (1 - off);
    context.fillRect(from, 0, to - from, camera.height);
  }
  context.globalAlpha = 1;
  if (k > 2.2) return;
  const fade = clamp(2.2 - k, 0, 1);
  context.globalAlpha = fade;
  context.font = `600 ${clamp(11 * k, 10, 15)}px ${FONT}`;
  context.textBaseline = "middle";
  context.fillStyle = rgb(colours.faint);
  const title = (text, at, align) => { context.textAlign = align; context.fillText(text, at * k + x, 14 * k + y); };
  title("writes to the stream", scene.left + scene.port, "right");
  title(`residual stream, ${told.d_model} numbers wide  ↓`, scene.centre, "center");
  title("reads from the stream", scene.right - scene.port, "left");
  context.lineWidth = 1;
  context.setLineDash([1, 4]);
  context.strokeStyle = rgb(colours.faint, 0.8);
  for (const { layer, from } of scene.bands) {
    const level = from * k + y + 0.5;
    context.beginPath();
    context.moveTo(8 * k + x, level);
    context.lineTo((scene.width - 8) * k + x, level);
    context.stroke();
    context.textAlign = "left";
    context.font = `${clamp(10 * k, 9.5, 14)}px ${FONT}`;
    context.fillText(`layer ${layer}`, 8 * k + x, level + 9 * k);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

export const FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";

function drawNodes(context, camera, scene, colours, kind, lit, pointed, others) {
  const { k } = camera, radius = scene.port * k, size = clamp(Math.min(scene.gap * 0.52, 12) * k ** 0.62, 9.5, 26);
  context.textBaseline = "middle";
  for (const node of scene.nodes) {
    const [x, y] = camera.toScreen([node.x, node.y]);
    if (y < -40 || y > camera.height + 40) continue;
    const isLit = lit && (lit.from === node || lit.to === node), strong = isLit || node === pointed;
    const colour = roleColour(node.end, colours) ?? colours.ink, alpha = strong ? 1 : others, paper = rgb(colours.paper);
    if (node.side === "writer") {
      const full = isLit || node.end.role;
      disc(context, x, y, radius * 0.8, paper, full ? colour : null, full ? colour : colours.faint, alpha, isLit ? 2 : 1.2);
    } else
      for (const port of scene.ports(node)) {
        const [px, py] = camera.toScreen([port.x, port.y]);
        const on = isLit && kindOf(lit.link.reader) === port.kind, chosen = on || !port.kind || port.kind === kind;
        disc(context, px, py, radius, paper, on ? colour : null, on || (node.end.role && chosen) ? colour : colours.faint, alpha * (chosen ? 1 : 0.5), on ? 2 : 1);
        context.globalAlpha = alpha * (chosen ? 1 : 0.55);
        context.fillStyle = on ? paper : rgb(colours.ink);
        context.font = `${on ? 700 : 500} ${radius * 1.15}px ${FONT}`;
        context.textAlign = "center";
        context.fillText(port.kind || "U", px, py + 0.5);
      }
    context.globalAlpha = strong ? clamp(3 - k, 0, 1) : alpha; // the matrix has names of its own
    drawName(context, camera, node, [x, y], radius, size, strong, rgb(colour), colours);
    context.globalAlpha = 1;
  }
}

// Beside its node; a lit one that would be cut off stands above it, inside the view.
function drawName(context, camera, { side, end }, [x, y], radius, size, strong, colour, colours) {
  const writes = side === "writer", words = END_WORDS[end.name] ?? end.name, role = roleWords(end);
  const fonts = [`${strong ? 700 : 500} ${size}px ${FONT}`, `${size * 0.88}px ${FONT}`];
  const measure = (text, font) => { context.font = font; return context.measureText(text).width; };
  const wide = measure(words, fonts[0]), all = wide + (role ? 7 + measure(role, fonts[1]) : 0);
  const away = radius * (writes ? 1 : end.name === "unembed" ? 3 : 6.2) + 6;
  let from = writes ? x - away - all : x + away, level = y;
  if (strong && (from < 4 || from + all > camera.width - 4)) {
    level = y - radius * (writes ? 1 : 2) - size * 0.9;
    from = clamp(x - all / 2, 6, camera.width - all - 6);
  }
  const parts = writes && level === y ? [[role, from, 1], [words, from + all - wide, 0]] : [[words, from, 0], [role, from + wide + 7, 1]];
  context.textAlign = "left";
  for (const [text, at, font] of parts) {
    context.font = fonts[font];
    if (level !== y) halo(context, text, at, level, colours);
    context.fillStyle = font ? colour : rgb(colours.ink);
    context.fillText(text, at, level);
  }
}

// Words that cross lines stay readable.
export function halo(context, text, x, y, colours) {
  context.lineJoin = "round";
  context.lineWidth = 4;
  context.strokeStyle = rgb(colours.paper, 0.9);
  context.strokeText(text, x, y);
}

function disc(context, x, y, radius, paper, fill, stroke, alpha, width) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.globalAlpha = 1;
  context.fillStyle = paper;
  context.fill();
  context.globalAlpha = alpha;
  context.fillStyle = rgb(fill ?? [0, 0, 0], fill ? 1 : 0);
  context.fill();
  context.lineWidth = width;
  context.strokeStyle = rgb(stroke);
  context.stroke();
}

// Where one is, once the whole no longer fits.
export function drawMap(context, camera, scene, colours, lit) {
  const wide = 132, high = (wide * scene.height) / scene.width, left = 10, top = camera.height - high - 10;
  const scale = wide / scene.width;
  context.save();
  context.globalAlpha = clamp((camera.k - 1.9) * 2, 0, 1);
  context.fillStyle = rgb(colours.paper, 0.92);
  context.strokeStyle = rgb(colours.rule);
  context.lineWidth = 1;
  context.fillRect(left, top, wide, high);
  context.strokeRect(left + 0.5, top + 0.5, wide, high);
  context.translate(left, top);
  context.scale(scale, scale);
  context.fillStyle = rgb(colours.faint, 0.15);
  context.fillRect(scene.centre - scene.tile * 0.5, 0, scene.tile, scene.height);
  context.fillStyle = rgb(colours.faint);
  for (const node of scene.nodes) context.fillRect(node.x - 5, node.y - 5, 12, 10);
  context.lineWidth = 9;
  context.strokeStyle = strokeOf(context, lit, colours);
  context.stroke(lit.path);
  context.restore();
  const [x0, y0] = camera.toWorld([0, 0]), [x1, y1] = camera.toWorld([camera.width, camera.height]);
  const w = Math.max((x1 - x0) * scale, 5), h = Math.max((y1 - y0) * scale, 5);
  context.strokeStyle = rgb(colours.now);
  context.lineWidth = 2;
  context.strokeRect(left + ((x0 + x1) / 2) * scale - w / 2, top + ((y0 + y1) / 2) * scale - h / 2, w, h);
}
