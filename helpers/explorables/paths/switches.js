// The switches of Paths: one a term, in groups by the heads that a path goes through.

import { make } from "../shared/common.js";
import { signedNats } from "../shared/formats.js";
import { placeByKey } from "../shared/keys.js";
import { largest } from "../shared/numbers.js";

const GROUPS = [
  "Direct path", "Through one head", "Through two heads, as a virtual head", "Through three heads",
];

export const termName = (name) => name.replaceAll("->", "→");

// `set(terms, is)` switches terms on or off; `point(term)` when one is under the pointer or has the
// focus, null when none has.
export function makeSwitches({ terms, orders }, { set, point }) {
  const switches = terms.map((name, term) => makeSwitch(name, {
    toggle: (is) => set([term], is), enter: () => point(term), leave: () => point(null),
  }));
  const members = [...new Set(orders)].map((order) =>
    orders.flatMap((of, term) => (of === order ? [term] : [])));
  const groups = members.map((inside) =>
    makeGroup(groupName(orders[inside[0]], inside.length), (is) => set(inside, is)));

  // In the order of the path expansion, or by the size of what they are worth.
  function arrange(worths) {
    members.forEach((inside, g) => {
      const bySize = (a, b) => Math.abs(worths.terms[b]) - Math.abs(worths.terms[a]);
      const order = worths ? [...inside].sort(bySize) : inside;
      groups[g].grid.replaceChildren(...order.map((term) => switches[term].element));
      inputsOf(groups[g].box).forEach((input, i) => { input.tabIndex = i ? -1 : 0; });
    });
  }

  // `worths` is null while it is being computed: the numbers then stay as they were.
  function draw(on, worths) {
    const most = largest((worths?.terms ?? []).map(Math.abs), 0.0001);
    switches.forEach((one, term) => {
      one.input.checked = on[term];
      one.element.classList.toggle("off", !on[term]);
      if (worths) drawWorth(one, terms[term], worths.terms[term], most);
    });
    groups.forEach(({ input, number }, g) => {
      const count = members[g].filter((term) => on[term]).length;
      input.checked = count === members[g].length;
      input.indeterminate = count > 0 && !input.checked;
      if (worths) number.textContent = signedNats(worths.groups[g]);
    });
  }

  arrange(null);
  return { elements: groups.map(({ box }) => box), members, arrange, draw };
}

const groupName = (order, count) =>
  (GROUPS[order] ?? `Through ${order} heads`) + ` (${count})`;
const inputsOf = (box) => [...box.querySelectorAll("input")];

function makeSwitch(name, { toggle, enter, leave }) {
  const input = make("input", {
    type: "checkbox", onchange: () => toggle(input.checked), onfocus: enter, onblur: leave,
  });
  const number = make("span", { class: "number" }), bar = make("i");
  const element = make("label", { class: "switch", onpointerenter: enter, onpointerleave: leave },
    input, make("span", { class: "name" }, termName(name)), number,
    make("span", { class: "worth" }, bar));
  return { input, number, bar, element };
}

function makeGroup(name, toggle) {
  const input = make("input", { type: "checkbox", onchange: () => toggle(input.checked) });
  const number = make("span", { class: "number" }), grid = make("div", { class: "grid" });
  const legend = make("legend", {}, make("label", {}, input, name, number));
  const box = make("fieldset", { onkeydown: (event) => walk(event, box) }, legend, grid);
  return { input, number, grid, box };
}

// One Tab stop a group; arrows move inside.
function walk(event, box) {
  const inputs = inputsOf(box), here = inputs.indexOf(event.target);
  const to = here < 0 ? undefined : placeByKey(event, inputs, here);
  if (to === undefined) return;
  event.preventDefault(); // or the page scrolls
  inputs.forEach((input, i) => { input.tabIndex = i === to ? 0 : -1; });
  inputs[to].focus();
}

// A bar to the right of the middle for what helps, to the left for what harms.
function drawWorth({ input, number, bar }, name, worth, most) {
  const width = (50 * Math.abs(worth)) / most;
  number.textContent = signedNats(worth);
  Object.assign(bar.style, { width: `${width}%`, left: `${worth < 0 ? 50 - width : 50}%` });
  bar.className = worth < 0 ? "harms" : "helps";
  input.setAttribute("aria-label", `${name}, worth ${signedNats(worth)} nats`);
}
