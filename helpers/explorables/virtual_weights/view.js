// The view of VirtualWeights: what is lit and pointed at, and what pointer and keys do. From the
// whole model to one entry of a matrix, nothing asks the kernel.

import { begin, caption, heed, make, onceAFrame } from "../shared/common.js";
import { fillGraph } from "../shared/graph.js";
import { arrowIn } from "../shared/keys.js";
import { clamp, indexOfLargest, numbersIn } from "../shared/numbers.js";
import { makeCamera } from "./camera.js";
import { isLinked, linkAs, linkTo, placeOf } from "./choosing.js";
import { readColours, rgba } from "./colours.js";
import { keyHelp, makeControls, makeLegend } from "./controls.js";
import { drawDiagram, drawMap, makePaths } from "./diagram.js";
import { drawHistogram } from "./histogram.js";
import { LEVELS, levelOf, sideOf, viewOf } from "./levels.js";
import { KINDS, headOf, kindOf } from "./links.js";
import { entryAt, holdsEntry, makeMatrix, middleOf, placeTile } from "./matrix.js";
import { followPointers } from "./pointers.js";
import { layOut, whatIsAt } from "./scene.js";
import { drawTile, paintMatrix } from "./tile.js";
import { entryWords, linkTitle, linkWords, matrixWords, scoreWords } from "./words.js";

const REACH = 7; // pixels around the pointer
const SHARPEST = 320 * 64; // pixels of the largest matrix, as near as one gets: 320 an entry of 64

function render({ model, el }) {
  const models = new Map();
  let told, scene, colours, matrix, tile, madeFor; // of the model on show and its lit link
  let locked = 0, previewed = null; // links by their place: the chosen one, the one pointed at
  let pointed = null, entry = null; // the node and the entry that are pointed at
  let kind = "K", side = "writer", bare = false;
  const lit = () => previewed ?? locked;

  // ---- the page

  const canvas = make("canvas", {
    tabindex: 0, role: "application", "aria-roledescription": "zoomable diagram",
  });
  const controls = makeControls({
    open: (name) => {
      open(name);
      lock();
    },
    setKind, setBare, flyTo, zoom: zoomOnTarget,
  });
  const says = caption(el), histogram = make("svg", { class: "strip", role: "img" });
  begin(el, "virtual-weights");
  const map = make("svg", { class: "map", role: "img", "aria-label": "Which part is in sight" });
  const score = make("b"), key = "grey: the reader turned at random; ticks: the other links";
  el.append(controls.element, makeLegend(), canvas, make("div", { class: "beside" }, says, map),
    make("h4", {}, "Composition score ", score, make("span", { class: "key" }, key)),
    histogram, keyHelp());
  const context = canvas.getContext("2d");
  const camera = makeCamera(draw);

  // ---- what is lit

  function open(name, { writer, reader } = models.get(name).start) {
    told = models.get(name);
    kind = kindOf(reader) || kind;
    locked = Math.max(placeOf(told, writer, reader), 0);
    [previewed, entry] = [null, null];
    resize();
  }

  function lock() {
    if (previewed !== null) {
      [locked, previewed] = [previewed, null];
      kind = kindOf(told.links[locked].reader) || kind;
    }
    const { writer, reader } = told.links[locked];
    model.set("lit", { model: told.name, writer, reader });
    model.save_changes();
    draw();
  }

  function setKind(to) {
    kind = to;
    const link = told.links[lit()];
    if (kindOf(link.reader)) {
      previewed = linkAs(told, link, kind);
      lock();
    }
    draw();
  }

  function setBare(to) {
    bare = to;
    entry = null;
    draw();
  }

  // ---- what the pointer does

  function point(at) {
    if (!scene) return;
    const place = camera.toWorld(at), within = tile.cell * camera.k > 2.4;
    const found = within ? entryAt(tile, matrix, place) : null;
    if (found) [entry, pointed] = [found, null];
    else pointAtDiagram(whatIsAt(scene, place, REACH / camera.k, kind, told));
    draw();
  }

  function pointAtDiagram({ node = null, port, link = null }) {
    const next = node ? linkTo(told, told.links[locked], node, kind, port) : link;
    pointed = node;
    if (camera.k >= 4) return; // only the matrix is in sight
    previewed = next === -1 ? null : next;
    entry = null;
  }

  function leave() {
    [previewed, pointed] = [null, null];
    if (scene && levelNow() < 2) entry = null;
    draw();
  }

  followPointers(canvas, camera, {
    point, leave,
    tap: (at) => {
      point(at);
      if (previewed !== null) lock();
    },
    doubleTap: (at) => {
      point(at);
      const level = levelNow(), inMatrix = entry && entryAt(tile, matrix, camera.toWorld(at));
      if (inMatrix) flyTo(deeperFrom(level));
      else if (level >= 1) flyTo(0);
      else {
        if (previewed !== null) lock();
        flyTo(1);
      }
    },
  });
  canvas.addEventListener("blur", () => {
    [previewed, pointed] = [null, null];
    draw();
  });

  // ---- zoom

  const levelNow = () => levelOf(camera, tile);

  function flyTo(level, milliseconds) {
    if (level === 3) entry ??= loudest();
    const { place, k } = viewOf(level, camera, scene, scene.curves[lit()], tile, entry);
    camera.fly(place, k, milliseconds);
  }

  // From inside a matrix by two taps: to the matrix, to an entry, and out of it again.
  function deeperFrom(level) {
    if (level === 3) return 0;
    return level === 2 || sideOf(tile) * camera.k > 260 ? 3 : 2;
  }

  function loudest() {
    const at = indexOfLargest(matrix.values, Math.abs);
    return { row: Math.floor(at / matrix.columns), column: at % matrix.columns };
  }

  // Nearer to the chosen entry, or to the matrix; or away from it.
  function zoomOnTarget(factor) {
    const k = camera.k * factor, closer = factor > 1 ? factor ** -2.2 : 1;
    if (k <= 1.001) return flyTo(0, 160);
    const to = levelNow() >= 2 && entry ? middleOf(tile, entry) : tile.middle;
    camera.fly(camera.centre().map((at, i) => to[i] + (at - to[i]) * closer), k, 160);
  }

  // ---- keys

  canvas.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || !scene) return;
    const act = actionFor(event);
    if (!act) return;
    event.preventDefault(); // or the page scrolls
    act();
    draw();
  });

  function actionFor(event) {
    const arrow = arrowIn(event), key = event.key.toUpperCase();
    if (arrow) return () => followArrow(arrow, event.shiftKey);
    if (KINDS.includes(key)) return () => setKind(key);
    if (key === "ESCAPE") return previewed !== null || pointed || camera.k > 1 ? goBack : undefined;
    const closer = () => zoomOnTarget(1.35), farther = () => zoomOnTarget(1 / 1.35);
    return {
      HOME: () => walk(-Infinity), END: () => walk(Infinity), ENTER: goDeeper, " ": goDeeper,
      M: () => setBare(!bare), "+": closer, "=": closer, "-": farther, _: farther,
      0: () => flyTo(0),
    }[key];
  }

  function followArrow([right, down], isShifted) {
    if (isShifted) camera.pan(-70 * right, -70 * down);
    else if (levelNow() >= 2) moveEntry(right, down);
    else if (down) walk(down);
    else {
      side = right < 0 ? "writer" : "reader";
      pointed = scene.curves[lit()][side === "writer" ? "from" : "to"];
    }
  }

  // Within the matrix; the camera goes along once the entry comes near its edge.
  function moveEntry(right, down) {
    entry = entry ? {
      row: clamp(entry.row + down, 0, matrix.rows - 1),
      column: clamp(entry.column + right, 0, matrix.columns - 1),
    } : loudest();
    const middle = middleOf(tile, entry), margin = 1.2 * tile.cell * camera.k + 60;
    const [x, y] = camera.toScreen(middle);
    const inside = x >= margin && y >= margin && x <= camera.width - margin
      && y <= camera.height - margin;
    if (!inside) camera.fly(middle, camera.k, 140);
  }

  // Up and down among the writers, or the readers.
  function walk(by) {
    const { writer, reader } = told.links[lit()];
    const among = scene.nodes.filter((node) => node.side === side && isLinked(told, node, kind));
    const name = side === "writer" ? writer : headOf(reader);
    const now = among.findIndex((node) => node.end.name === name);
    pointed = among[clamp(now + by, 0, among.length - 1)];
    const next = linkTo(told, told.links[locked], pointed, kind);
    if (next >= 0) previewed = next;
  }

  function goDeeper() {
    if (previewed === null && levelNow() < 3) flyTo(levelNow() + 1);
    else lock();
  }

  function goBack() {
    if (previewed === null) flyTo(0);
    [previewed, pointed] = [null, null];
  }

  // ---- drawing

  function resize() {
    if (!told || !canvas.clientWidth) return;
    const width = canvas.clientWidth, sharp = window.devicePixelRatio || 1;
    scene = makePaths(layOut(told, width), told);
    el.classList.toggle("narrow", scene.isNarrow);
    fillGraph(map, scene.width, scene.height, []); // its room, before there is anything in it
    canvas.style.height = `${scene.height}px`;
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(scene.height * sharp);
    colours ??= readColours(el);
    madeFor = "";
    camera.refit(width, scene.height, SHARPEST / scene.tile);
    draw();
  }

  const paintSoon = onceAFrame(paint);
  function draw() {
    if (!scene) return;
    paintSoon();
    makeLit();
    tell();
  }

  // What belongs to the lit link: made again only when another is lit.
  function makeLit() {
    const now = [told.name, lit(), bare, colours.paper].join();
    if (now === madeFor) return;
    madeFor = now;
    matrix = makeMatrix(told, told.links[lit()], bare);
    matrix.canvas = paintMatrix(matrix, colours);
    camera.heart = tile = placeTile(scene, matrix);
    if (entry && !holdsEntry(matrix, entry)) entry = null;
    drawHistogram(histogram, camera.width, told, told.links[lit()], kind);
  }

  // The controls and the words follow at once, the picture in the next frame.
  function tell() {
    const level = levelNow(), link = told.links[lit()];
    controls.follow({ model: told.name, kind: kindOf(link.reader) || kind, bare, level });
    const sentences = [linkWords(told, link), matrixWords(link, matrix)];
    if (entry) sentences.push(entryWords(link, matrix, entry));
    const words = sentences.join(" ").trim();
    const name = `The residual stream with ${told.writers.length} writers and `
      + `${told.readers.length} readers, at the level of the ${LEVELS[level]}. ${words}`;
    if (says.textContent !== words) says.textContent = words;
    score.textContent = scoreWords(told, link);
    if (canvas.getAttribute("aria-label") !== name) canvas.setAttribute("aria-label", name);
  }

  function paint() {
    const sharp = canvas.width / camera.width, link = told.links[lit()];
    canvas.classList.toggle("zoomed", camera.k > 1);
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.fillStyle = rgba(colours.paper);
    context.fillRect(0, 0, camera.width, camera.height);
    drawDiagram(context, camera, scene, told, colours, {
      kind: kindOf(link.reader) || kind, shown: lit(), pointed,
    });
    drawTile(context, camera, tile, matrix, colours, entry, linkTitle(link));
    map.style.visibility = camera.k > 1.2 ? "visible" : "hidden";
    if (camera.k > 1.2) drawMap(map, camera, scene, scene.curves[lit()]);
  }

  // ---- from Python, and from around

  function hear(message, buffers) {
    if (message.type !== "model") return;
    const histograms = new Set(message.links.map((link) => link.null.at));
    const blocks = buffers.map((buffer, i) =>
      numbersIn(buffer, histograms.has(i) ? Uint16Array : Float32Array));
    if (!models.has(message.name)) controls.offerModel(message.name);
    models.set(message.name, { ...message, blocks });
    lightWhatPythonSays();
  }

  function lightWhatPythonSays() {
    const lighted = model.get("lit"), name = lighted.model;
    if (!models.has(name)) return;
    const here = told?.name === name && told.links[locked];
    const same = here && here.writer === lighted.writer && here.reader === lighted.reader;
    if (!same) open(name, lighted);
  }

  const sizes = new ResizeObserver(resize);
  const themes = new MutationObserver(() => {
    colours = readColours(el); // even while JupyterLab has the canvas off the page
    draw();
  });
  sizes.observe(canvas);
  themes.observe(document.body, {
    attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"],
  });
  const deafen = heed(model, { "msg:custom": hear, "change:lit": lightWhatPythonSays });
  model.send({ do: "show" });
  return () => {
    sizes.disconnect();
    themes.disconnect();
    camera.stop();
    deafen();
  };
}

export default { render };
