// What keys mean: a step to the side or down, or a place in a row that wraps into lines.

import { clamp, indexOfSmallest } from "./numbers.js";

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// An arrow as [right, down]; undefined for another key.
export const arrowIn = ({ key }) => STEPS[key];

// Tell `step([right, down], event)` of every arrow that is pressed on an element.
export function onArrows(element, step) {
  element.addEventListener("keydown", (event) => {
    const arrow = arrowIn(event);
    if (arrow) step(arrow, event);
  });
}

// Among elements that wrap into lines: which is the nearest to element `from` one line up (step -1)
// or down (1)?
export function aboveOrBelow(elements, from, step) {
  const tops = [...new Set(elements.map((element) => element.offsetTop))].sort((a, b) => a - b);
  const top = tops[tops.indexOf(elements[from].offsetTop) + step];
  const middle = (element) => element.offsetLeft + element.offsetWidth / 2;
  const there = elements.flatMap((element, i) => (element.offsetTop === top ? [i] : []));
  const away = (i) => Math.abs(middle(elements[i]) - middle(elements[from]));
  return there[indexOfSmallest(there, away)] ?? from;
}

// Where a key leads from element `here`: arrows, Home and End. Undefined for any other key.
export function placeByKey(event, elements, here) {
  const last = elements.length - 1;
  if (event.key === "Home") return 0;
  if (event.key === "End") return last;
  const [right, down] = arrowIn(event) ?? [];
  if (right) return clamp(here + right, 0, last);
  return down && aboveOrBelow(elements, here, down);
}
