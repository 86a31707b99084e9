// The view of Paths. Every term's logits were sent once; each switch takes the sum again, here.

import { SHADES, begin, caption, clamp, make, numbersIn } from "../shared/common.js";
import { aboveOrBelow, shown, tokenStrip } from "../shared/tokens.js";

const FEW = 5; // predictions listed for the chosen position

function render({ model, el }) {
  let scene, everywhere, logits, on, chosen, held = false, pointed = null; // pointed: the term under pointer or focus
  let loss, probabilities, worths, groupWorths; // in nats; worths are null while they are being computed

  // ---- the page

  const strip = tokenStrip("Tokens: choose one to see what is predicted after it", (position, how) => {
    if (how === "press") { held = !held || position !== chosen; chosen = position; }
    else if (position !== null && position !== chosen && (how === "move" || !held)) chosen = position;
    else return;
    drawTokens();
  });
  const bars = Object.fromEntries([["now", "now"], ["all", "all terms"], ["direct", "direct path alone"], ["none", "no term: uniform"]].map(
    ([key, label]) => [key, { name: make("span", {}, label), fill: make("i", {}), ghost: make("b", {}), number: make("span", { class: "number" }) }]));
  const losses = make("div", { class: "losses", role: "img" },
    ...Object.entries(bars).flatMap(([key, bar]) => [bar.name, make("span", { class: `track ${key}` }, bar.fill, bar.ghost), bar.number]));
  const lossTitle = make("h4", {});
  const after = make("h4", {}), top = make("div", { class: "top", role: "img" });
  const says = caption(el);
  const groups = make("div", { class: "groups" });
  const quick = (label, wanted) => make("button", { onclick: () => { set(scene.terms.map((_, i) => wanted(i))); } }, label);
  let bySize = false;
  const sort = make("button", { "aria-pressed": false, onclick: () => { bySize = !bySize && !!worths; arrange(); } }, "Sort by size");
  const controls = make("div", { class: "row" }, quick("All on", () => true), quick("All off", () => false),
    quick("Direct path alone", (i) => scene.orders[i] === 0), sort);
  begin(el, "paths");
  const hint = make("p", { class: "hint" });
  el.append(strip.element, hint,
    make("div", { class: "views" },
      make("div", { class: "sums" }, lossTitle, losses, says, after, top),
      make("div", {}, controls, groups, make("p", { class: "hint" },
        make("b", {}, "What a number says: "), "by how much the loss rises without this term, or falls with it, all others as they are; orange (+) helps, blue (−) harms. ",
        make("b", {}, "What is frozen: "), "the patterns. Every head looks where it looked in the whole model, whatever you switch. So a term that is off stops bringing its values and no more: what its head does through other heads' queries and keys goes on. Removing the head and computing everything again is another question, with another answer."))));
  el.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    held = false;
    event.stopPropagation();
    drawTokens();
  });

  // ---- switches

  let switches, members, headings; // an input a term; the terms of each group; a heading a group
  const NAMES = ["Direct path", "Through one head", "Through two heads, as a virtual head", "Through three heads"];

  function build() {
    const tag = (order, count) => `${NAMES[order] ?? `Through ${order} heads`} (${count})`;
    switches = scene.terms.map((name, i) => {
      const input = make("input", { type: "checkbox", onchange: () => set(on.map((was, j) => (j === i ? input.checked : was))) });
      const element = make("label", { class: "switch", onpointerenter: () => point(i), onpointerleave: () => point(null) },
        input, make("span", { class: "name" }, name.replaceAll("->", "→")), make("span", { class: "number" }), make("span", { class: "worth" }, make("i", {})));
      input.addEventListener("focus", () => point(i));
      input.addEventListener("blur", () => point(null));
      return { input, element, number: element.children[2], bar: element.children[3].firstChild };
    });
    members = [...new Set(scene.orders)].map((order) => scene.orders.flatMap((of, i) => (of === order ? [i] : [])));
    headings = members.map((terms) => {
      const input = make("input", { type: "checkbox", onchange: () => set(on.map((was, i) => (terms.includes(i) ? input.checked : was))) });
      const number = make("span", { class: "number" });
      const box = make("fieldset", {}, make("legend", {}, make("label", {}, input, tag(scene.orders[terms[0]], terms.length), number)),
        make("div", { class: "grid" }));
      box.addEventListener("keydown", (event) => walk(event, box));
      return { input, number, box };
    });
    groups.replaceChildren(...headings.map(({ box }) => box));
    arrange();
  }

  // One Tab stop a group; arrows move inside.
  function walk(event, box) {
    const inputs = [...box.querySelectorAll("input")], here = inputs.indexOf(event.target);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: inputs.length - 1,
      ArrowUp: aboveOrBelow(inputs, here, -1), ArrowDown: aboveOrBelow(inputs, here, 1) }[event.key];
    if (to === undefined || here < 0) return;
    event.preventDefault(); // or the page scrolls
    const next = inputs[clamp(to, 0, inputs.length - 1)];
    for (const input of inputs) input.tabIndex = input === next ? 0 : -1;
    next.focus();
  }

  function arrange() {
    sort.setAttribute("aria-pressed", bySize);
    sort.textContent = bySize ? "Sort by name" : "Sort by size";
    members.forEach((terms, g) => {
      const order = bySize ? [...terms].sort((a, b) => Math.abs(worths[b]) - Math.abs(worths[a])) : terms;
      headings[g].box.lastChild.replaceChildren(...order.map((i) => switches[i].element));
      [...headings[g].box.querySelectorAll("input")].forEach((input, i) => { input.tabIndex = i ? -1 : 0; });
    });
  }

  function set(wanted) {
    on = wanted;
    settle();
    model.set("on", scene.terms.filter((_, i) => on[i]));
    model.save_changes();
  }

  function point(i) { pointed = i; drawLoss(); }

  // ---- the sums

  const size = () => scene.pos * scene.d_vocab;

  function summed(wanted) {
    const sum = new Float64Array(size());
    wanted.forEach((is, term) => { if (is) for (let i = 0, from = term * size(); i < sum.length; i++) sum[i] += logits[from + i]; });
    return sum;
  }

  // Mean loss over the rows that count, of these logits, or of these plus `sign` times one term's.
  function lossOf(sum, term = 0, sign = 0) {
    let total = 0, count = 0;
    for (let row = 0; row < scene.pos; row++) {
      if (!scene.rows[row]) continue;
      const at = row * scene.d_vocab, from = term * size() + at;
      let most = -Infinity, all = 0;
      for (let i = 0; i < scene.d_vocab; i++) most = Math.max(most, sum[at + i] + sign * logits[from + i]);
      for (let i = 0; i < scene.d_vocab; i++) all += Math.exp(sum[at + i] + sign * logits[from + i] - most);
      const target = scene.targets[row];
      total += most + Math.log(all) - sum[at + target] - sign * logits[from + target];
      count++;
    }
    return total / count;
  }
  const lossWith = (wanted) => lossOf(summed(wanted));

  function softmax(sum) {
    const out = new Float64Array(sum.length);
    for (let at = 0; at < sum.length; at += scene.d_vocab) {
      let most = -Infinity, all = 0;
      for (let i = at; i < at + scene.d_vocab; i++) most = Math.max(most, sum[i]);
      for (let i = at; i < at + scene.d_vocab; i++) all += out[i] = Math.exp(sum[i] - most);
      for (let i = at; i < at + scene.d_vocab; i++) out[i] /= all;
    }
    return out;
  }

  let now, later; // the logits of what is on; the timer of what can wait for the next frame
  function settle() {
    now = summed(on);
    loss = { ...loss, now: lossOf(now) };
    probabilities = softmax(now);
    worths = null;
    draw();
    clearTimeout(later);
    later = setTimeout(() => { appraise(); draw(); });
  }

  // What a term, or a group, is worth: the loss without it less the loss with it, whichever of the two is now.
  function appraise() {
    const group = (terms, to) => lossWith(on.map((was, i) => (terms.includes(i) ? to : was)));
    worths = scene.terms.map((_, term) => (on[term] ? lossOf(now, term, -1) - loss.now : loss.now - lossOf(now, term, 1)));
    groupWorths = members.map((terms) => group(terms, false) - group(terms, true));
  }

  // ---- drawing

  // Two decimals, or for small numbers more, so that not all is 0.00.
  const nats = (value) => (Math.abs(value) < 0.00005 ? "0" : Math.abs(value) < 0.095 ? value.toFixed(Math.abs(value) < 0.00095 ? 4 : 3) : value.toFixed(2));
  const signed = (value) => (nats(value) === "0" ? "0" : `${value < 0 ? "−" : "+"}${nats(Math.abs(value))}`);
  const shadeOf = (probability) => `rgb(${SHADES[Math.round(255 * probability)].map(Math.round)})`;
  const named = (token) => `“${scene.vocabulary[token]}”`;

  function draw() {
    drawSwitches();
    drawLoss();
    drawTokens();
  }

  function drawSwitches() {
    groups.setAttribute("aria-busy", !worths);
    const largest = Math.max(...(worths ?? []).map(Math.abs), 0.0001);
    switches.forEach(({ input, element, number, bar }, i) => {
      input.checked = on[i];
      element.classList.toggle("off", !on[i]);
      if (!worths) return;
      const width = (50 * Math.abs(worths[i])) / largest;
      number.textContent = signed(worths[i]);
      Object.assign(bar.style, { width: `${width}%`, left: `${worths[i] < 0 ? 50 - width : 50}%` });
      bar.className = worths[i] < 0 ? "harms" : "helps";
      input.setAttribute("aria-label", `${scene.terms[i]}, worth ${signed(worths[i])} nats`);
    });
    headings.forEach(({ input, number }, g) => {
      const count = members[g].filter((i) => on[i]).length;
      input.checked = count === members[g].length;
      input.indeterminate = count > 0 && !input.checked;
      if (worths) number.textContent = signed(groupWorths[g]);
    });
  }

  function drawLoss() {
    const ghost = pointed === null || !worths ? null : loss.now + (on[pointed] ? worths[pointed] : -worths[pointed]);
    const largest = Math.max(...Object.values(loss), ghost ?? 0);
    const end = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((end) => end >= largest) ?? largest;
    lossTitle.textContent = `Loss, in nats, over ${scene.rows.filter(Boolean).length} of ${scene.pos} rows`;
    for (const [key, { fill, ghost: line, number }] of Object.entries(bars)) {
      fill.style.width = `${(100 * loss[key]) / end}%`;
      number.textContent = nats(loss[key]);
      line.hidden = key !== "now" || ghost === null;
      if (!line.hidden) line.style.left = `${(100 * ghost) / end}%`;
    }
    losses.dataset.loss = loss.now; // in full, for tests
    const count = on.filter(Boolean).length;
    says.textContent = (ghost === null ? `${count} of ${on.length} terms are on, and the loss is ${nats(loss.now)} nats.`
      : `${on[pointed] ? "Without" : "With"} ${scene.terms[pointed].replaceAll("->", "→")} the loss would be ${nats(ghost)} instead of ${nats(loss.now)} nats.`);
    losses.setAttribute("aria-label", `Loss ${nats(loss.now)} nats; all terms ${nats(loss.all)}, direct path alone ${nats(loss.direct)}, no term ${nats(loss.none)}`);
  }

  function drawTokens() {
    const { d_vocab, targets, rows, labels } = scene;
    const right = (row) => probabilities[row * d_vocab + targets[row]];
    strip.paint(chosen, (i) => ({
      shade: right(i),
      note: right(i) >= 0.05 || i === chosen ? shown(right(i)) : "",
      mark: `${i === chosen ? (held ? "chosen held" : "chosen") : ""} ${rows[i] && !everywhere ? "counted" : ""}`,
      says: `position ${i}, token ${labels[i]}${rows[i] ? ", counted" : ""}: right answer ${shown(right(i))}`,
    }));
    const at = chosen * d_vocab, target = targets[chosen];
    const order = Array.from({ length: d_vocab }, (_, token) => token).sort((a, b) => now[at + b] - now[at + a]);
    const listed = order.slice(0, FEW);
    if (!listed.includes(target)) listed.push(target);
    const place = order.indexOf(target) + 1;
    after.textContent = `After position ${chosen} “${labels[chosen]}”`;
    const heads = ["most likely", "", "prob.", "logit"].map((head) => make("small", {}, head));
    top.replaceChildren(...heads, ...listed.flatMap((token, i) => {
      const probability = probabilities[at + token];
      const fill = make("i", { style: `width: ${100 * probability}%; background: ${shadeOf(probability)}` });
      const mark = token === target ? "right" : "";
      return [make("span", { class: `word ${mark}` }, `${i === FEW ? `${place}.` : `${i + 1}.`} ${scene.vocabulary[token]}${mark ? " ✓" : ""}`),
        make("span", { class: "track" }, fill), make("span", { class: "number" }, shown(probability)), make("span", { class: "number" }, now[at + token].toFixed(1))];
    }));
    top.setAttribute("aria-label", `After position ${chosen}, ${labels[chosen]}: the right answer ${named(target)} is number ${place} with probability ${shown(probabilities[at + target])}; first is ${named(order[0])} with ${shown(probabilities[at + order[0]])}`);
  }

  // ---- what comes from Python

  function read() {
    scene = model.get("scene");
    logits = numbersIn(scene.logits, Float32Array);
    const all = (value) => scene.terms.map(() => value);
    loss = { now: 0, all: lossWith(all(true)), direct: lossWith(scene.orders.map((order) => order === 0)), none: lossWith(all(false)) };
    chosen = scene.rows.lastIndexOf(true);
    everywhere = scene.rows.every(Boolean);
    hint.textContent = `Each token is lit by the probability that the terms switched on give to the right next token. ${everywhere ? "" : "Underlined: the rows that the loss counts. "}Point at one, or use ← and →; a click holds it, Esc lets go.`;
    strip.set(scene.labels);
    take();
    build();
    settle();
  }
  const take = () => { on = scene.terms.map((name) => model.get("on").includes(name)); };
  const follow = () => { if (!scene.terms.every((name, i) => on[i] === model.get("on").includes(name))) { take(); settle(); } };
  model.on("change:on", follow);
  read();
  return () => { clearTimeout(later); model.off("change:on", follow); };
}

export default { render };
