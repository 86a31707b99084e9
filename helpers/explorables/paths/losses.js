// The losses of Paths as bars: now, and what it is compared with.

import { make } from "../shared/common.js";
import { nats } from "../shared/formats.js";
import { largest } from "../shared/numbers.js";

const BARS = {
  now: "now", all: "all terms", direct: "direct path alone", none: "no term: uniform",
};
const ENDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]; // of the scale

export function makeLosses() {
  const bars = Object.entries(BARS).map(([key, name]) => ({
    key, name: make("span", {}, name), fill: make("i"), ghost: make("b"),
    number: make("span", { class: "number" }),
  }));
  const element = make("div", { class: "losses", role: "img" }, ...bars.flatMap((bar) =>
    [bar.name, make("span", { class: `track ${bar.key}` }, bar.fill, bar.ghost), bar.number]));

  // `would`: what the loss would be if the term under the pointer were switched, or null.
  function draw(loss, would) {
    const most = largest(Object.values(loss), would ?? 0);
    const end = ENDS.find((one) => one >= most) ?? most;
    for (const { key, fill, ghost, number } of bars) {
      fill.style.width = `${(100 * loss[key]) / end}%`;
      number.textContent = nats(loss[key]);
      ghost.hidden = key !== "now" || would === null;
      if (!ghost.hidden) ghost.style.left = `${(100 * would) / end}%`;
    }
    element.dataset.loss = loss.now; // in full, for tests
    element.setAttribute("aria-label", `Loss ${nats(loss.now)} nats; all terms ${nats(loss.all)}, `
      + `direct path alone ${nats(loss.direct)}, no term ${nats(loss.none)}`);
  }
  return { element, draw };
}
