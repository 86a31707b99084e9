// What test_modules.py asks of one module; the module comes first, then what the test gives.

// ---- virtual_weights/camera and virtual_weights/pointers

export function camera({ makeCamera }, changed = () => {}) {
  const made = makeCamera(() => changed(made));
  made.refit(800, 600, 50);
  return made;
}

// The way of a flight from (100, 100): the zoom and the middle of the view at each step.
export async function flight(module, [target, k]) {
  const way = [], made = camera(module, ({ k, centre }) => way.push([k, ...centre()]));
  made.zoomAt([100, 100], 20);
  way.length = 0;
  made.fly(target, k, 300);
  while (made.k !== k) await new Promise(requestAnimationFrame);
  return way;
}

// After each turn of the wheel over a canvas, with the focus or without it: the zoom, and whether
// the page was kept from scrolling.
export async function wheel({ followPointers }, events) {
  const module = await import("/helpers/explorables/virtual_weights/camera.js");
  const made = camera(module), canvas = document.createElement("canvas");
  Object.assign(canvas, { tabIndex: 0, width: 800, height: 600 });
  document.querySelector("main").append(canvas);
  const nothing = () => {};
  const heard = { point: nothing, leave: nothing, tap: nothing, doubleTap: nothing };
  followPointers(canvas, made, heard);
  const seen = events.map(([focused, given]) => {
    if (focused) canvas.focus();
    else canvas.blur();
    const place = { cancelable: true, clientX: 400, clientY: 300 };
    const event = new WheelEvent("wheel", { ...place, ...given });
    canvas.dispatchEvent(event);
    return [made.k, event.defaultPrevented];
  });
  canvas.remove();
  return seen;
}

// ---- shared/tokens

// A strip of these labels, in which these keys are pressed one after the other and then the third
// token.
export function strip({ tokenStrip }, { labels, keys, width }) {
  const heard = [];
  const made = tokenStrip("Tokens", (position, how) => {
    heard.push([position, how]);
    paint(position ?? 0);
  });
  const paint = (position) => made.paint({ chosen: position, held: false }, (i) => ({
    shade: i <= position ? i / labels.length : null, note: String(i), says: `token ${i}`,
  }));
  document.querySelector("main").append(made.element);
  made.element.style.cssText = `display: block; width: ${width}px; font: 16px monospace`;
  made.set(labels);
  paint(0);
  const chips = [...made.element.querySelectorAll(".chip")];
  const box = { display: "inline-block", width: "50px", height: "20px", boxSizing: "border-box" };
  for (const chip of chips) Object.assign(chip.style, box);
  chips[0].focus();
  for (const key of keys) {
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    document.activeElement.dispatchEvent(event);
  }
  const now = chips.indexOf(document.activeElement);
  const stops = chips.filter((chip) => chip.tabIndex === 0).length;
  chips[2].click();
  const said = chips.map((chip) => chip.getAttribute("aria-label"));
  const breaks = made.element.querySelectorAll(".break").length;
  made.element.remove();
  return { heard, now, stops, said, breaks };
}

// ---- virtual_weights/scene and virtual_weights/matrix

// Where everything of a diagram is, and whether it is found there.
export function laidOut({ layOut, portsOf, whatIsAt }, [told, width]) {
  const scene = layOut(told, width);
  const at = ([x, y], reach) => whatIsAt(scene, [x, y], reach, "K", told);
  const found = scene.nodes.map((node) => at([node.x, node.y], 7)?.node === node);
  const ports = scene.nodes.filter(({ side }) => side === "reader")
    .flatMap((node) => portsOf(scene, node));
  return {
    found, ports: ports.map(({ kind, x, y }) => at([x, y], 2).port === kind), height: scene.height,
    places: scene.nodes.map(({ side, end, x, y }) => [side, end.layer, x, y]),
    tile: [...scene.tileAt, scene.tile],
    names: scene.nodes.map(({ end, x }) => x + (end.name === "unembed" ? 12 : 6.2) * scene.port),
    curves: scene.curves,
  };
}

// Of each weak link, the kinds among whose faint links its middle lies.
export async function faint({ makePaths }, [told, width]) {
  const { layOut, onCurve } = await import("/helpers/explorables/virtual_weights/scene.js");
  const { curves, faint } = makePaths(layOut(told, width), told);
  const context = document.createElement("canvas").getContext("2d");
  return curves.filter(({ link }) => link.p > told.level).map(({ points }) =>
    Object.keys(faint).filter((kind) =>
      context.isPointInStroke(faint[kind], ...onCurve(points, 0.5))));
}

// The matrix of every link, its numbers as bytes.
export function matrices({ makeMatrix }, [told, packed, bare]) {
  const histograms = new Set(told.links.map((link) => link.null.at));
  told.blocks = packed.map((text, i) => {
    const { buffer } = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return histograms.has(i) ? new Uint16Array(buffer) : new Float32Array(buffer);
  });
  return told.links.map((link) => {
    const { rows, columns, values, most } = makeMatrix(told, link, bare);
    const bytes = String.fromCharCode(...new Uint8Array(values.buffer));
    return { rows, columns, values: btoa(bytes), most };
  });
}

// A tile of 4 rows and 8 columns, and which entries lie at the middles of some of its cells.
export function tile({ placeTile, entryAt }, places) {
  const matrix = { rows: 4, columns: 8 };
  const made = placeTile({ tile: 160, tileAt: [500, 300] }, matrix);
  const middle = (from, at) => from + (at + 0.5) * made.cell;
  const entries = places.map(([row, column]) =>
    entryAt(made, matrix, [middle(made.x, column), middle(made.y, row)]));
  return [made, entries];
}

// ---- shared/common and shared/numbers

// A button that is clicked once, and the namespaces of two other elements.
export function made({ make }) {
  let clicks = 0;
  const given = { class: "main", title: undefined, onclick: () => clicks++ };
  const button = make("button", given, "Go ", make("b", {}, "on"));
  button.click();
  return [button.outerHTML, clicks, make("rect", { x: 3 }).namespaceURI, make("p").namespaceURI];
}

// Two numbers that begin at the fourth byte of a buffer.
export function atAnyOffset({ numbersIn }) {
  const buffer = new ArrayBuffer(11), view = new DataView(buffer);
  view.setFloat32(3, 1.5, true);
  view.setFloat32(7, -2, true);
  return [...numbersIn(new DataView(buffer, 3, 8), Float32Array)];
}

// ---- rotation/model

// What a model measures under each of these settings.
export function turned({ TurningModel }, [shape, rows, quarterTurns, gains, settings]) {
  const numbers = (text, Type) =>
    new Type(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const d = shape.d_model, turns = numbers(quarterTurns, Float64Array);
  const weights = [numbers(rows, Float32Array), numbers(gains, Float32Array)];
  const model = new TurningModel(shape, ...weights);
  return settings.map(({ angle, path, plane: [i, j], breaks, turned }) => {
    let J = path === "all" ? turns.subarray(0, d * d) : turns.subarray(d * d);
    if (path === "plane") {
      J = new Float64Array(d * d);
      J[i * d + j] = 1;
      J[j * d + i] = -1;
    }
    model.set({ J, breaks, turned });
    const { logits, change, kurtosis } = model.at(angle);
    return { logits: [...logits], change, kurtosis, rounding: model.rounding };
  });
}
