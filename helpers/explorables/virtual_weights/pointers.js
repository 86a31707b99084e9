// Mouse, pen and fingers over the diagram. The wheel moves the page until the diagram has the
// focus, then the camera; with Ctrl, which is also what a pinch on a touchpad says, always the
// camera.

import { clamp } from "../shared/numbers.js";

const PIXELS = [1, 16, 100]; // that a wheel's unit stands for: a pixel, a line, a page
const STILL = 3; // pixels within which a press is a tap

export function followPointers(canvas, camera, { point, leave, tap, doubleTap }) {
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  zoomByWheel(canvas, camera, at);
  const down = new Map(); // the fingers, or the mouse's button, by where they are
  let moved = 0, pressedAt = null;

  function press(event) {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pressedAt = at(event);
    down.set(event.pointerId, pressedAt);
    moved = 0;
    camera.stop();
  }
  function move(event) {
    const here = at(event), before = down.get(event.pointerId);
    if (!before) return point(here);
    if (down.size === 1) drag(here, before);
    if (down.size === 2) pinch(here, before, [...down].find(([id]) => id !== event.pointerId)[1]);
    down.set(event.pointerId, here);
  }
  function drag(here, before) {
    const [x, y] = here.map((value, i) => value - before[i]);
    moved += Math.hypot(x, y);
    if (moved > STILL) camera.pan(x, y);
  }
  function pinch(here, before, other) {
    moved += 10;
    const apart = (from) => Math.max(Math.hypot(from[0] - other[0], from[1] - other[1]), 8);
    const middle = here.map((value, i) => (value + other[i]) / 2);
    camera.zoomAt(middle, apart(here) / apart(before));
  }
  function release(event) {
    if (!down.delete(event.pointerId) || event.type === "pointercancel") return;
    if (moved <= STILL && down.size === 0) tap(pressedAt);
  }
  canvas.addEventListener("pointerdown", press);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", (event) => {
    if (!down.has(event.pointerId)) leave();
  });
  canvas.addEventListener("dblclick", (event) => doubleTap(at(event)));
}

function zoomByWheel(canvas, camera, at) {
  canvas.addEventListener("wheel", (event) => {
    const isOurs = document.activeElement === canvas && (camera.k > 1 || event.deltaY < 0);
    if (!event.ctrlKey && !isOurs) return;
    event.preventDefault();
    const pixels = clamp(event.deltaY * PIXELS[event.deltaMode], -240, 240);
    camera.zoomAt(at(event), Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0022)));
  }, { passive: false });
}
