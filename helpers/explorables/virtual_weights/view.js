// The view of VirtualWeights: what is lit, the controls, and the score against its null. The camera, the scene and the
// matrix stand in files of their own.

import { begin, caption, clamp, make, numbersIn } from "../shared/common.js";
import { followPointers, makeCamera } from "./camera.js";
import {
  END_WORDS, KINDS, drawMap, drawScene, headOf, kindOf, layOut, readColours, rgb, whatIsAt,
} from "./scene.js";
import {
  drawTile, entryAt, entryWords, linkWords, makeMatrix, matrixWords, placeTile,
} from "./matrix.js";

function render({ model, el }) {
  const models = new Map();
  let told = null, scene = null, colours = null, matrix = null, tile = null, entry = null, waiting = null;
  let kind = "K", side = "writer", locked = 0, preview = null, bare = false, pointed = null, drawnFor = "";
  const shown = () => preview ?? locked;

  // ---- controls

  const choose = make("select", { "aria-label": "model", onchange: () => { open(choose.value); lock(); } });
  const kinds = KINDS.map((one) => make("button", { onclick: () => setKind(one), "aria-label": `${one}: links into ${{ Q: "queries", K: "keys", V: "values" }[one]}` }, one));
  const between = make("select", { "aria-label": "matrix", onchange: () => setBare(between.value === "bare") },
    make("option", { value: "tokens" }, "between tokens"), make("option", { value: "bare" }, "bare product"));
  const LEVELS = ["whole model", "pair", "matrix", "entry"];
  const levels = LEVELS.map((name, i) => make("button", { onclick: () => flyTo(i) }, name));
  const zoom = [["−", "Zoom out", 1 / 1.5], ["+", "Zoom in", 1.5]].map(([sign, name, factor]) =>
    make("button", { "aria-label": name, onclick: () => zoomOnTarget(factor) }, sign));
  const canvas = make("canvas", { tabindex: 0, role: "application", "aria-roledescription": "zoomable diagram" });
  const says = caption(el);
  const strip = make("svg", { class: "strip", role: "img" });
  const keys = make("p", { class: "keys" });
  keys.innerHTML = "In the diagram: <kbd>↑</kbd> <kbd>↓</kbd> walk, <kbd>←</kbd> writers, <kbd>→</kbd> readers, <kbd>Enter</kbd> lights, "
    + "<kbd>Q</kbd> <kbd>K</kbd> <kbd>V</kbd> choose, <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom, inside a matrix the arrows move the entry, "
    + "<kbd>Shift</kbd> + arrows pan, <kbd>M</kbd> bare weights. The wheel zooms once the diagram is clicked, with <kbd>Ctrl</kbd> always.";
  begin(el, "virtual-weights");
  el.append(make("div", { class: "row" }, make("label", {}, "model", choose),
    make("span", { class: "choices", role: "group", "aria-label": "What the reader reads it as" }, ...kinds), make("label", {}, "matrix", between),
    make("span", { class: "choices", role: "group", "aria-label": "Zoom" }, zoom[0], ...levels, zoom[1])), canvas, says,
    make("h4", {}, "Composition score", make("span", { class: "key" }, "grey: the reader turned at random; ticks: the other links")), strip, keys);
  const context = canvas.getContext("2d", { alpha: false }); // nothing to blend with the page: cheaper
  const camera = makeCamera(() => draw());

  // ---- what is lit

  const links = (test) => told.links.map((link, i) => i).filter((i) => test(told.links[i]));
  const linkOf = (writer, reader) => told.links.findIndex((link) => link.writer === writer && link.reader === reader);
  const strongest = (among) => among.reduce((best, i) => (best < 0 || told.links[i].z > told.links[best].z ? i : best), -1);
  const fitting = (link) => !kindOf(link.reader) || kindOf(link.reader) === kind;

  function open(name, writer, reader) {
    told = models.get(name);
    choose.value = name;
    const [w, r] = [writer ?? told.start.writer, reader ?? told.start.reader];
    kind = kindOf(r) || kind;
    preview = null;
    entry = null;
    locked = Math.max(linkOf(w, r), 0);
    resize();
  }

  // Point at a node, from where the locked link stands: the link that joins the two, or the strongest there is.
  function linkAt(node, port) {
    const { writer, reader } = told.links[locked], name = node.end.name;
    if (node.side === "writer") {
      const joined = linkOf(writer === name ? writer : name, reader);
      return joined >= 0 ? joined : strongest(links((link) => link.writer === name && fitting(link)));
    }
    const read = name === "unembed" ? name : `${name}.${port ?? kind}`;
    const joined = linkOf(writer, read);
    return joined >= 0 ? joined : strongest(links((link) => link.reader === read));
  }

  function point(at) {
    if (!scene) return;
    const place = camera.toWorld(at);
    const within = tile.cell * camera.k > 2.4 && entryAt(tile, matrix, place);
    if (within) {
      entry = within;
      pointed = null;
    } else {
      const found = whatIsAt(scene, place, 7 / camera.k, kind, told.level);
      const next = found?.node ? linkAt(found.node, found.port) : found?.link ?? null;
      pointed = found?.node ?? null;
      if (camera.k < 4) { preview = next === -1 ? null : next; entry = null; }
    }
    draw();
  }

  function lock() {
    if (preview !== null) {
      locked = preview;
      preview = null;
      kind = kindOf(told.links[locked].reader) || kind;
    }
    model.set("lit", { model: told.name, writer: told.links[locked].writer, reader: told.links[locked].reader });
    model.save_changes();
    draw();
  }

  function setKind(to) {
    kind = to;
    const { writer, reader } = told.links[shown()];
    if (reader !== "unembed") {
      const same = linkOf(writer, `${headOf(reader)}.${to}`), any = strongest(links((link) => link.writer === writer && kindOf(link.reader) === to));
      preview = same >= 0 ? same : any >= 0 ? any : strongest(links((link) => kindOf(link.reader) === to));
      lock();
    }
    draw();
  }

  function setBare(to) {
    bare = to;
    entry = null;
    between.value = bare ? "bare" : "tokens";
    draw();
  }

  // ---- zoom

  const tilePixels = () => Math.max(tile.width, tile.height) * camera.k;
  const levelNow = () => tile.cell * camera.k > 75 ? 3 : tilePixels() > 0.56 * Math.min(camera.width, camera.height) ? 2 : camera.k > 1.2 ? 1 : 0;
  const centreOf = ({ row, column }) => [tile.x + (column + 0.5) * tile.cell, tile.y + (row + 0.5) * tile.cell];
  const target = () => (levelNow() >= 2 && entry ? centreOf(entry) : tile.middle);

  function flyTo(level, milliseconds) {
    if (level === 0) return camera.fly([scene.width / 2, scene.height / 2], 1, milliseconds);
    if (level === 1) {
      const { from, to } = scene.curves[shown()];
      const tall = Math.max(Math.abs(from.y - to.y), scene.tile) + 3 * scene.gap;
      return camera.fly([scene.width * 0.48, (from.y + to.y) / 2], clamp(scene.height / tall, 1.35, 1.6), milliseconds);
    }
    if (level === 2) return camera.fly([tile.middle[0] - 0.02 * scene.tile, tile.middle[1]], (0.7 * camera.height) / Math.max(tile.width, tile.height), milliseconds);
    entry ??= loudest();
    camera.fly(centreOf(entry), 170 / tile.cell, milliseconds);
  }

  function loudest() {
    const at = matrix.values.reduce((best, value, i) => (Math.abs(value) > Math.abs(matrix.values[best]) ? i : best), 0);
    return { row: Math.floor(at / matrix.columns), column: at % matrix.columns };
  }

  function zoomOnTarget(factor) {
    const k = camera.k * factor, to = target(), centre = camera.centre(), closer = factor > 1 ? factor ** -2.2 : 1;
    if (k <= 1.001) return flyTo(0, 160);
    camera.fly(centre.map((at, i) => to[i] + (at - to[i]) * closer), k, 160);
  }

  // ---- keyboard

  function walk(by) {
    const { writer, reader } = told.links[shown()];
    const among = scene.nodes.filter((node) => node.side === side && links((link) =>
      side === "writer" ? link.writer === node.end.name : headOf(link.reader) === node.end.name && fitting(link)).length);
    const now = among.findIndex((node) => node.end.name === (side === "writer" ? writer : headOf(reader)));
    pointed = among[clamp(now + by, 0, among.length - 1)];
    const next = linkAt(pointed);
    if (next >= 0) preview = next;
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || !scene) return;
    const arrow = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    const key = event.key.toUpperCase();
    if (arrow && event.shiftKey) camera.pan(-70 * arrow[0], -70 * arrow[1]);
    else if (arrow && levelNow() >= 2) {
      const from = entry ?? loudest();
      entry = entry ? { row: clamp(from.row + arrow[1], 0, matrix.rows - 1), column: clamp(from.column + arrow[0], 0, matrix.columns - 1) } : from;
      const [x, y] = camera.toScreen(centreOf(entry)), margin = 1.2 * tile.cell * camera.k + 60;
      if (x < margin || y < margin || x > camera.width - margin || y > camera.height - margin) camera.fly(centreOf(entry), camera.k, 140);
    } else if (arrow && arrow[1]) walk(arrow[1]);
    else if (arrow) { side = arrow[0] < 0 ? "writer" : "reader"; pointed = scene.curves[shown()][side === "writer" ? "from" : "to"]; }
    else if (event.key === "Home" || event.key === "End") walk(event.key === "Home" ? -99 : 99);
    else if (event.key === "Enter" || event.key === " ") {
      if (preview === null && levelNow() < 3) flyTo(levelNow() + 1);
      else lock();
    } else if (KINDS.includes(key)) setKind(key);
    else if (key === "M") setBare(!bare);
    else if (key === "+" || key === "=") zoomOnTarget(1.35);
    else if (key === "-" || key === "_") zoomOnTarget(1 / 1.35);
    else if (key === "0") flyTo(0);
    else if (event.key === "Escape" && (preview !== null || pointed || camera.k > 1)) {
      if (preview === null) flyTo(0);
      preview = pointed = null;
    } else return;
    event.preventDefault(); // or the page scrolls
    event.stopPropagation();
    draw();
  });

  followPointers(canvas, camera, {
    point,
    leave: () => { preview = pointed = null; if (levelNow() < 2) entry = null; draw(); },
    tap: (at) => { point(at); if (preview !== null) lock(); },
    doubleTap: (at) => {
      point(at);
      const level = levelNow();
      if (entry && entryAt(tile, matrix, camera.toWorld(at))) flyTo(level === 3 ? 0 : level === 2 || tilePixels() > 260 ? 3 : 2);
      else if (level >= 1) flyTo(0);
      else { if (preview !== null) lock(); flyTo(1); }
    },
  });
  canvas.addEventListener("blur", () => { preview = pointed = null; draw(); });

  // ---- drawing

  function resize() {
    if (!told || !canvas.clientWidth) return;
    const width = canvas.clientWidth, sharp = window.devicePixelRatio || 1;
    scene = layOut(told, width);
    canvas.style.height = `${scene.height}px`;
    [canvas.width, canvas.height] = [Math.round(width * sharp), Math.round(scene.height * sharp)];
    colours ??= readColours(el);
    drawnFor = "";
    camera.refit(width, scene.height, (320 * 64) / scene.tile);
    draw();
  }

  function draw() {
    if (scene && waiting === null) waiting = requestAnimationFrame(paint);
    if (scene) prepare();
  }

  // The matrix belongs to the lit link: multiplied again only when another is lit.
  function prepare() {
    const now = [told.name, shown(), bare, colours.paper].join();
    if (now !== drawnFor) {
      drawnFor = now;
      matrix = makeMatrix(told, told.links[shown()], bare, colours);
      tile = placeTile(scene.curves[shown()], scene, matrix);
      if (entry && (entry.row >= matrix.rows || entry.column >= matrix.columns)) entry = null;
      drawStrip();
    }
    const level = levelNow(), link = told.links[shown()], lit = kindOf(link.reader) || kind;
    levels.forEach((button, i) => button.setAttribute("aria-pressed", i === level));
    kinds.forEach((button, i) => button.setAttribute("aria-pressed", KINDS[i] === lit));
    const words = [linkWords(told, link), matrixWords(link, matrix), entry ? entryWords(link, matrix, entry) : ""].join(" ").trim();
    const name = `The residual stream with ${told.writers.length} writers and ${told.readers.length} readers, at the level of the ${LEVELS[level]}. ${words}`;
    if (says.textContent !== words) says.textContent = words;
    if (canvas.getAttribute("aria-label") !== name) canvas.setAttribute("aria-label", name);
  }

  function paint() {
    waiting = null;
    canvas.classList.toggle("zoomed", camera.k > 1);
    const sharp = canvas.width / camera.width, link = told.links[shown()];
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.fillStyle = rgb(colours.paper);
    context.fillRect(0, 0, camera.width, camera.height);
    drawScene(context, camera, scene, told, colours, { kind: kindOf(link.reader) || kind, shown: shown(), pointed });
    drawTile(context, camera, tile, matrix, colours, entry, `${END_WORDS[link.writer] ?? link.writer} → ${END_WORDS[link.reader] ?? link.reader.replace(/\.(\w)$/, " $1")}`);
    if (camera.k > 1.9) drawMap(context, camera, scene, colours, scene.curves[shown()]);
  }

  function drawStrip() {
    const link = told.links[shown()], wide = camera.width, high = 92, base = 62, from = 12, room = wide - 24;
    strip.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    const x = (score) => from + (score / told.top) * room, counts = told.blocks[link.null.at], most = Math.max(...counts, 1);
    const bar = room / counts.length;
    const bars = [...counts].map((count, i) => (count ? `M${(from + i * bar).toFixed(1)} ${base}v${(-38 * count) / most}h${bar.toFixed(2)}v${(38 * count) / most}` : "")).join("");
    const line = (at, top, more) => make("line", { x1: x(at), x2: x(at), y1: top, y2: base, ...more });
    const text = (at, y, words, more = {}) => make("text", { x: clamp(x(at), 60, wide - 60), y, "text-anchor": "middle", ...more }, words);
    const parts = [make("path", { d: bars, fill: "var(--faint)", opacity: 0.5 }), make("line", { x1: from, x2: from + room, y1: base, y2: base, stroke: "var(--rule)" })];
    for (const other of told.links.filter(fitting)) parts.push(make("line", { x1: x(other.score), x2: x(other.score), y1: base + 2, y2: base + 8, stroke: "var(--faint)", opacity: 0.7 }));
    const chance = 1 / Math.sqrt(told.d_model), strong = link.p <= told.level;
    parts.push(line(chance, 18, { stroke: "var(--faint)", "stroke-dasharray": "1 3", "stroke-width": 1.5 }), text(chance, 13, `chance 1/√${told.d_model} = ${chance.toFixed(3)}`),
      line(link.ceiling, 18, { stroke: "var(--faint)", "stroke-dasharray": "6 3" }), text(link.ceiling, 13, `ceiling ${link.ceiling.toFixed(3)}`),
      line(link.score, 24, { stroke: strong ? "var(--match)" : "var(--ink)", "stroke-width": 3 }),
      make("circle", { cx: x(link.score), cy: 24, r: 5, fill: strong ? "var(--match)" : "var(--ink)" }),
      text(link.score, base + 22, `this link ${link.score.toFixed(3)}`, { style: `fill: ${strong ? "var(--match-text)" : "var(--ink)"}; font-weight: 700` }),
      make("text", { x: from, y: base + 22 }, "0"));
    strip.replaceChildren(...parts);
    strip.setAttribute("aria-label", `Histogram of ${told.draws} scores by chance around ${link.mean.toFixed(3)}; this link scores ${link.score.toFixed(3)}, its ceiling is ${link.ceiling.toFixed(3)}`);
  }

  // ---- from Python, and from around

  function hear(message, buffers) {
    if (message.type !== "model") return;
    const histograms = new Set(message.links.map((link) => link.null.at));
    const blocks = buffers.map((buffer, i) => numbersIn(buffer, histograms.has(i) ? Uint16Array : Float32Array));
    if (!models.has(message.name)) choose.append(make("option", {}, message.name));
    models.set(message.name, { ...message, blocks });
    lightWhatPythonSays();
  }
  function lightWhatPythonSays() {
    const { model: name, writer, reader } = model.get("lit");
    if (!models.has(name)) return;
    const here = told?.name === name && told.links[locked];
    if (!here || here.writer !== writer || here.reader !== reader) open(name, writer, reader);
  }
  const recolour = () => { colours = readColours(el); draw(); }; // while JupyterLab has the canvas off the page
  const sizes = new ResizeObserver(resize), themes = new MutationObserver(recolour);
  sizes.observe(canvas);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  model.on("msg:custom", hear);
  model.on("change:lit", lightWhatPythonSays);
  model.send({ do: "show" });
  return () => { sizes.disconnect(); themes.disconnect(); camera.stop(); model.off("msg:custom", hear); model.off("change:lit", lightWhatPythonSays); };
}

export default { render };
