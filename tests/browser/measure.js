// What tests read off a page: of a view, `view` is its selector.

// ---- who reaches what

const within = (view, kinds) => [...document.querySelectorAll(`${view} :is(${kinds})`)];
const CONTROLS = "button, input, select, summary, textarea, [tabindex]";

// What one can reach, or is told of, and that has no name.
export function nameless(view) {
  const named = (e) => e.getAttribute("aria-label") || e.textContent.trim() || e.closest("label");
  const found = within(view, `${CONTROLS}, svg, [role=img]`).filter((e) => !named(e));
  return found.map((e) => e.outerHTML.slice(0, 80));
}

// How many stops Tab makes in a view; `window.stops` are they.
export function stops(view) {
  const reached = (e) => e.tabIndex >= 0 && !e.disabled && e.offsetParent;
  window.stops = within(view, CONTROLS).filter(reached);
  return window.stops.length;
}

export function focusIsSeen() {
  const style = getComputedStyle(document.activeElement);
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return outlined || style.boxShadow !== "none";
}

// From now on `window.heard` holds what a screen reader would say.
export function listen(view) {
  window.heard = [];
  const region = document.querySelector(`${view} [aria-live]`);
  const hear = () => { if (region.textContent) heard.push(region.textContent); };
  new MutationObserver(hear).observe(region, { childList: true });
}

// From now on `window.asked` counts the frames that are asked for.
export function countFrames() {
  window.asked = 0;
  const ask = window.requestAnimationFrame;
  window.requestAnimationFrame = (draw) => { asked++; return ask(draw); };
}

// From now on frames come in `window.passFrames` alone: so many, so many milliseconds apart.
export function holdFrames() {
  const due = new Map();
  let asked = 0, now = 0;
  window.requestAnimationFrame = (draw) => { due.set(++asked, draw); return asked; };
  window.cancelAnimationFrame = (one) => due.delete(one);
  window.passFrames = (count, apart) => {
    for (let passed = 0; passed < count; passed++) {
      const draws = [...due.values()];
      due.clear();
      now += apart;
      for (const draw of draws) draw(now);
    }
  };
}

// ---- what is seen

// What is cut off at the right edge.
export function over(view) {
  const box = document.querySelector(view), edge = box.getBoundingClientRect().right;
  const cut = (e) => {
    const { width, right } = e.getBoundingClientRect();
    return !e.closest("svg *") && width && right > edge + 1;
  };
  const found = [...box.querySelectorAll("*")].filter(cut).map((e) => e.outerHTML.slice(0, 90));
  const wider = box.scrollWidth - box.clientWidth;
  return wider > 1 ? [...found, `wider by ${wider}`] : found;
}

// Which of these parts of a view lie on each other.
export function overlaps([view, parts]) {
  const box = (part) => document.querySelector(`${view} ${part}`).getBoundingClientRect();
  const boxes = parts.map(box);
  const apart = (a, b) => a.right <= b.left + 1 || a.bottom <= b.top + 1;
  return parts.flatMap((part, i) => parts.slice(i + 1).flatMap((other, j) => {
    const [a, b] = [boxes[i], boxes[i + 1 + j]];
    return apart(a, b) || apart(b, a) ? [] : [`${part} on ${other}`];
  }));
}

function parse(colour) {
  const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
  return colour.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
}

// Relative luminance, as the web's rules for contrast have it.
function light(colour) {
  const linear = (part) => (part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  return colour.reduce((sum, part, i) => sum + [0.2126, 0.7152, 0.0722][i] * linear(part), 0);
}

// Words whose contrast with what is behind them is below 4.5, in the classes too that a view has not
// put on just now.
export function weak(view) {
  const box = document.querySelector(view), found = [];
  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3]));
  const chain = (e) => (e ? [e, ...chain(e.parentElement)] : []);
  const paint = (back, e) => over(parse(getComputedStyle(e).backgroundColor), back);
  const behind = (e) => chain(e).reverse().reduce(paint, [255, 255, 255]);
  const probes = ["match", "before", "refused", "key"].map((name) => {
    const probe = document.createElement("span");
    probe.className = probe.textContent = name;
    box.append(probe);
    return probe;
  });
  const words = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const e = words.currentNode.parentElement, style = getComputedStyle(e), svg = e.closest("svg");
    const said = words.currentNode.data.trim(), hidden = !e.getBoundingClientRect().width;
    if (!said || hidden || e.closest("option, :disabled, .heard")) continue;
    const [r, g, b, a] = parse(svg ? style.fill : style.color);
    const seen = chain(e).reduce((all, e) => all * getComputedStyle(e).opacity, a);
    const back = behind(svg ?? e), front = over([r, g, b, seen], back);
    const [low, high] = [light(back), light(front)].sort((x, y) => x - y);
    const ratio = (high + 0.05) / (low + 0.05), of = e.className.baseVal ?? e.className;
    if (ratio < 4.5) found.push(`${e.localName}.${of} “${said.slice(0, 30)}” ${ratio.toFixed(2)}`);
  }
  probes.forEach((probe) => probe.remove());
  return found;
}

// The mean colour of a square of a canvas around a place, given in shares of its width and height.
export function colour([spot, left, top]) {
  const canvas = document.querySelector(spot), side = Math.round(canvas.width * 0.08);
  const corner = (at, size) => Math.round(size * at - side / 2);
  const [x, y] = [corner(left, canvas.width), corner(top, canvas.height)];
  const { data } = canvas.getContext("2d").getImageData(x, y, side, side), mean = [0, 0, 0];
  data.forEach((value, i) => { if (i % 4 < 3) mean[i % 4] += value / side / side; });
  return mean;
}
