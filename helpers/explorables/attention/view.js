// The view of Attention. Everything it draws was sent once; pointer and keys ask nothing of the kernel.

import { SHADES, begin, caption, clamp, make, numbersIn, pointAt } from "../shared/common.js";
import { shown, tokenStrip } from "../shared/tokens.js";

const FROM = "from", TO = "to";
const WORTH_A_NUMBER = 0.05; // share of the scale from which a token carries its number
const THUMB = 64; // cells on a side of a small pattern; larger patterns show the largest entry of each block
const COLOURS = Uint32Array.from(SHADES, ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red);

function render({ model, el }) {
  let scene, pattern, lengths, tops; // tops: the largest weighted entry of each head
  let layer, head, chosen, other = null, held = false, preview = null;
  let direction = FROM, weighted = false, version = 0; // the version counts the scenes

  // ---- controls

  function choice(name, options, set) {
    const inputs = options.map(([value], i) => {
      const input = make("input", { type: "radio", name: `${name} ${el.dataset.view}`, onchange: () => set(value) });
      input.checked = i === 0;
      return input;
    });
    const box = make("span", { class: "choice", role: "radiogroup", "aria-label": name },
      ...options.map(([, label], i) => make("label", {}, inputs[i], label)));
    box.addEventListener("keydown", (event) => { // inside JupyterLab the browser's own arrows do not arrive
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (!step || event.shiftKey) return;
      event.preventDefault();
      const next = inputs[(inputs.indexOf(event.target) + step + inputs.length) % inputs.length];
      next.focus();
      next.click();
    });
    return box;
  }
  el.dataset.view = Math.random().toString(36).slice(2); // radio buttons of two views must not be one group
  const which = choice("Direction", [[FROM, "from: whom does it attend to?"], [TO, "to: who attends to it?"]], (value) => { direction = value; draw(); });
  const weights = choice("Weighting", [[false, "attention A"], [true, "value-weighted A·|v|"]], (value) => { weighted = value; drawBoard(); draw(); });
  const hint = make("p", { class: "hint" });
  const says = caption(el);
  const board = make("div", { class: "board", role: "radiogroup", "aria-label": "Heads, a row for each layer" });
  const title = make("span", {}), low = make("span", {}, "0"), high = make("span", {});
  const legend = make("span", { class: "legend" }, low, make("i", {}), high);
  const canvas = make("canvas", {});
  const band = make("div", { class: "band" }), cell = make("div", { class: "cell" });
  const map = make("div", { class: "map", tabindex: 0, role: "application", "aria-roledescription": "attention pattern" }, canvas, band, cell);

  // ---- what pointer and keys do

  const strip = tokenStrip("Tokens", (position, how) => {
    const before = [chosen, other, held].join();
    if (how === "press") { held = !held || position !== chosen; chosen = position; other = null; }
    else if (how === "move") { chosen = position; other = null; }
    else if (held) other = position !== chosen ? position : null;
    else if (position !== null) { chosen = position; other = null; }
    if ([chosen, other, held].join() !== before) draw(); // the pointer also moves within a token
  });
  pointAt(map, (event) => {
    const box = canvas.getBoundingClientRect();
    const [key, query] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
      .map((share) => clamp(Math.floor(share * scene.pos), 0, scene.pos - 1));
    [chosen, other] = direction === FROM ? [query, key] : [key, query];
    if (key > query) other = null; // the future, which the mask hides
    held = false;
    draw();
  }, () => { other = null; draw(); });
  map.addEventListener("keydown", (event) => {
    if (event.shiftKey) return;
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key], right = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!down && !right) return;
    event.preventDefault(); // or the page scrolls
    const [along, across] = direction === FROM ? [down, right] : [right, down];
    if (along) chosen = clamp(chosen + along, 0, scene.pos - 1);
    if (across) other = (other ?? chosen) + across;
    if (other !== null) other = direction === FROM ? clamp(other, 0, chosen) : clamp(other, chosen, scene.pos - 1);
    draw();
  });
  el.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { held = false; other = null; event.stopPropagation(); draw(); }
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
    const onBoard = board.contains(event.target);
    if (down === undefined || !(event.shiftKey || onBoard)) return;
    event.preventDefault();
    event.stopPropagation();
    choose(clamp(layer + down, 0, scene.n_layers - 1), clamp(head + right, 0, scene.n_heads - 1));
    if (onBoard) board.children[layer * scene.n_heads + head].focus();
  });
  function choose(l, h) { [layer, head] = [l, h]; preview = null; draw(); }

  begin(el, "attention");
  el.append(make("div", { class: "row" }, which, weights), strip.element, says,
    make("div", { class: "views" }, make("div", {}, make("h4", {}, "Every head, one row a layer"), board, hint,
      make("p", { class: "hint" }, "Point at a token, or use ← and →. A click holds it, so that the pointer can read the others; Esc lets go. Shift and arrows: another head.")),
      make("div", {}, make("h4", { class: "titled" }, title, legend), make("div", { class: "axes" }, make("span", { class: "query" }, "query: who attends →"), map,
        make("span", { class: "key" }, "key: who is attended to →")))));

  // ---- the numbers

  const attention = (l, h, query, key) => pattern[((l * scene.n_heads + h) * scene.pos + query) * scene.pos + key] / 65535;
  const length = (l, h, key) => lengths[(l * scene.n_heads + h) * scene.pos + key];
  const strength = (l, h, query, key) => attention(l, h, query, key) * (weighted ? length(l, h, key) : 1);
  const scale = (l, h) => (weighted ? tops[l * scene.n_heads + h] || 1 : 1);

  function read() {
    scene = model.get("scene");
    pattern = numbersIn(scene.pattern, Uint16Array);
    lengths = numbersIn(scene.v_norm, Float32Array);
    tops = new Float32Array(scene.n_layers * scene.n_heads);
    for (let i = 0, at = 0; i < tops.length; i++)
      for (let query = 0; query < scene.pos; query++)
        for (let key = 0; key < scene.pos; key++, at++) tops[i] = Math.max(tops[i], (pattern[at] / 65535) * lengths[i * scene.pos + key]);
    [layer, head, chosen, other, held, preview] = [scene.n_layers - 1, 0, scene.pos - 1, null, false, null];
    strip.set(scene.labels);
    board.style.gridTemplateColumns = `repeat(${scene.n_heads}, minmax(0, 1fr))`;
    board.replaceChildren();
    for (let l = 0; l < scene.n_layers; l++)
      for (let h = 0; h < scene.n_heads; h++)
        board.append(make("button", { role: "radio", "aria-label": `Layer ${l}, head ${h}`, onclick: () => choose(l, h),
          onpointerenter: () => { preview = [l, h]; draw(); }, onpointerleave: () => { preview = null; draw(); } },
          make("canvas", {}), make("small", {}, `${l}.${h}`)));
    goTo();
  }

  function goTo() {
    const place = model.get("opens_at");
    if (place.position !== undefined && place.layer < scene.n_layers && place.head < scene.n_heads && place.position < scene.pos)
      [layer, head, chosen, other] = [place.layer, place.head, place.position, null];
    drawBoard();
    draw();
  }

  // ---- drawing

  const seen = () => preview ?? [layer, head];

  function drawBoard() {
    [...board.children].forEach((button, i) => drawMap(button.firstChild, Math.floor(i / scene.n_heads), i % scene.n_heads, THUMB));
  }

  // One pixel an entry, or for each block of entries its largest.
  function drawMap(canvas, l, h, most) {
    const block = Math.ceil(scene.pos / most), size = Math.ceil(scene.pos / block), top = scale(l, h);
    canvas.width = canvas.height = size;
    const context = canvas.getContext("2d"), image = context.createImageData(size, size);
    const pixels = new Uint32Array(image.data.buffer), largest = new Float32Array(size * size);
    for (let query = 0; query < scene.pos; query++)
      for (let key = 0; key <= query; key++) {
        const at = Math.floor(query / block) * size + Math.floor(key / block);
        largest[at] = Math.max(largest[at], strength(l, h, query, key));
        pixels[at] = COLOURS[Math.round((largest[at] / top) * 255)];
      }
    context.putImageData(image, 0, 0);
  }

  let drawn = ""; // what the large pattern shows, so that it is drawn again only when that changes
  function draw() {
    const [l, h] = seen(), { pos, tokens, labels } = scene, top = scale(l, h);
    [...board.children].forEach((button, i) => {
      const here = i === layer * scene.n_heads + head;
      button.setAttribute("aria-checked", here);
      button.tabIndex = here ? 0 : -1;
    });
    if (drawn !== (drawn = [version, l, h, weighted].join())) drawMap(canvas, l, h, pos);
    title.textContent = `Head ${l}.${h}: ${weighted ? "A·|v|" : "attention"}`;
    high.textContent = weighted ? shown(top) : "1";
    strip.paint(chosen, (i) => {
      const visible = direction === FROM ? i <= chosen : i >= chosen;
      const value = !visible ? null : direction === FROM ? strength(l, h, chosen, i) : strength(l, h, i, chosen);
      const numbered = visible && (value / top >= WORTH_A_NUMBER || i === other || i === chosen);
      const copy = i !== chosen && tokens[i] === tokens[chosen] && i > 0;
      return {
        shade: visible ? value / top : null,
        note: numbered ? shown(value) : "",
        mark: `${i === chosen ? (held ? "chosen held" : "chosen") : ""} ${i === other ? "pointed" : ""} ${copy ? "copy" : ""}`,
        says: `position ${i}, token ${labels[i]}, ${visible ? shown(value) : direction === FROM ? "in the future" : "too early to see it"}`,
      };
    });
    const place = (element, query, key, rows, columns) => Object.assign(element.style,
      { top: `${(100 * query) / pos}%`, left: `${(100 * key) / pos}%`, height: `${(100 * rows) / pos}%`, width: `${(100 * columns) / pos}%` });
    if (direction === FROM) place(band, chosen, 0, 1, chosen + 1);
    else place(band, chosen, chosen, pos - chosen, 1);
    cell.hidden = other === null;
    if (other !== null) place(cell, ...(direction === FROM ? [chosen, other] : [other, chosen]), 1, 1);
    hint.textContent = weighted
      ? "Value-weighted: attention times the length of the value vector that it moves. This hides attention that rests where little is to be had, as on BOS. Rows no longer sum to 1, and it says nothing about what is moved."
      : "Attention: each row sums to 1. A head with nothing to do must still look somewhere, often at BOS; switch to value-weighted to hide what moves little.";
    says.textContent = sentence(l, h);
    map.setAttribute("aria-label", `Pattern of head ${l}.${h}; arrow keys move the query and the key. ${says.textContent}`);
  }

  // ---- words

  const named = (i) => `position ${i} “${scene.labels[i]}”`;

  function relation(query, key) {
    const { tokens, labels } = scene;
    if (key > 1 && tokens[key - 1] === tokens[query]) return `right after an earlier ${labels[query]}: an induction target`;
    if (key === query) return "itself";
    if (key === query - 1) return "one step back";
    if (key > 0 && tokens[key] === tokens[query]) return "an earlier copy of itself";
    return key === 0 ? "the first of all, where heads like to rest" : "";
  }
  const withRelation = (query, key) => named(key) + (relation(query, key) ? `, ${relation(query, key)}` : "");

  function sentence(l, h) {
    const name = `Head ${l}.${h}`, unit = weighted ? "A·|v|" : "of the attention";
    const value = (query, key) => weighted
      ? `${shown(attention(l, h, query, key))} × ${shown(length(l, h, key))} = ${shown(strength(l, h, query, key))} A·|v|` : `${shown(attention(l, h, query, key))} of the attention`;
    if (other !== null) {
      const [query, key] = direction === FROM ? [chosen, other] : [other, chosen];
      if (key > query) return `${name}: ${named(query)} cannot see ${named(key)}, which comes later.`;
      return `${name}, from ${named(query)} to ${withRelation(query, key)}: ${value(query, key)}.`;
    }
    if (direction === FROM) {
      const keys = Array.from({ length: chosen + 1 }, (_, key) => key).sort((a, b) => strength(l, h, chosen, b) - strength(l, h, chosen, a));
      const next = keys.slice(1, 3).filter((key) => strength(l, h, chosen, key) >= WORTH_A_NUMBER * scale(l, h));
      const rest = weighted && attention(l, h, chosen, 0) > 0.2 ? ` ${shown(attention(l, h, chosen, 0))} of the attention rests on ${named(0)}, whose value vector has length ${shown(length(l, h, 0))}.` : "";
      return `${name} from ${named(chosen)}: ${value(chosen, keys[0])} goes to ${withRelation(chosen, keys[0])}.`
        + (next.length ? ` Then ${next.map((key) => `${named(key)} ${shown(strength(l, h, chosen, key))}`).join(", ")}.` : "")
        + (weighted ? rest : ` Spread evenly, each would get ${shown(1 / (chosen + 1))}.`);
    }
    let best = chosen, sum = 0, even = 0;
    for (let query = chosen; query < scene.pos; query++) {
      if (strength(l, h, query, chosen) > strength(l, h, best, chosen)) best = query;
      sum += strength(l, h, query, chosen);
      even += 1 / (query + 1);
    }
    return `${name} to ${named(chosen)}: most comes from ${named(best)}, ${value(best, chosen)}.`
      + ` In all, the ${scene.pos - chosen} that can see it give ${shown(sum)} ${weighted ? unit : "in sum"}; spread evenly it would be ${shown(even * (weighted ? length(l, h, chosen) : 1))}.`;
  }

  const renew = () => { version++; read(); };
  model.on("change:scene", renew);
  model.on("change:opens_at", goTo);
  renew();
  return () => { model.off("change:scene", renew); model.off("change:opens_at", goTo); };
}

export default { render };
