// A camera over a flat world. What stands at (x, y) is painted at (x * k + camera.x, y * k + camera.y); at k = 1 the
// world fills the view. Wheel, pinch, drag and flights all end in `look`, which keeps the world inside the view.

import { clamp } from "../shared/common.js";

export function makeCamera(changed) {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const camera = { k: 1, x: 0, y: 0, width: 1, height: 1, most: 100 };
  let flight = null;

  function look(k, x, y) {
    camera.k = clamp(k, 1, camera.most);
    camera.x = clamp(x, camera.width * (1 - camera.k), 0);
    camera.y = clamp(y, camera.height * (1 - camera.k), 0);
    changed();
  }
  const centreOn = (x, y, k) => look(k, camera.width / 2 - x * k, camera.height / 2 - y * k);

  camera.toWorld = ([x, y]) => [(x - camera.x) / camera.k, (y - camera.y) / camera.k];
  camera.toScreen = ([x, y]) => [x * camera.k + camera.x, y * camera.k + camera.y];
  camera.stop = () => { cancelAnimationFrame(flight); flight = null; };
  camera.pan = (dx, dy) => { camera.stop(); look(camera.k, camera.x + dx, camera.y + dy); };
  camera.zoomAt = ([x, y], factor) => {
    camera.stop();
    const k = clamp(camera.k * factor, 1, camera.most);
    look(k, x - ((x - camera.x) * k) / camera.k, y - ((y - camera.y) * k) / camera.k);
  };
  camera.centre = () => camera.toWorld([camera.width / 2, camera.height / 2]);
  camera.refit = (width, height, most) => {
    const [x, y] = camera.centre().map((at, i) => at * [width / camera.width, height / camera.height][i]);
    Object.assign(camera, { width, height, most });
    if (!flight) centreOn(x, y, camera.k);
  };

  // Out and in again on the path that looks smoothest (van Wijk and Nuij 2003): its places are (x, y, world width seen).
  camera.fly = ([x1, y1], k1, milliseconds) => {
    camera.stop();
    k1 = clamp(k1, 1, camera.most);
    const [x0, y0] = camera.centre(), w0 = 1 / camera.k, w1 = 1 / k1, rho = 1.2;
    const far = Math.hypot(x1 - x0, y1 - y0) / camera.width;
    let length, place;
    if (far < 1e-6) {
      length = Math.log(w1 / w0) / rho;
      place = (s) => [1, w0 * Math.exp(rho * s)];
    } else {
      const b = (w, sign) => (w1 * w1 - w0 * w0 + sign * rho ** 4 * far * far) / (2 * w * rho * rho * far);
      const r0 = -Math.asinh(b(w0, 1)), r1 = -Math.asinh(b(w1, -1));
      length = (r1 - r0) / rho;
      place = (s) => [(w0 / (rho * rho * far)) * (Math.cosh(r0) * Math.tanh(rho * s + r0) - Math.sinh(r0)),
        (w0 * Math.cosh(r0)) / Math.cosh(rho * s + r0)];
    }
    const duration = still.matches ? 0 : milliseconds ?? 260 + 190 * Math.abs(length);
    let began = null;
    const step = (now) => {
      began ??= now;
      const t = duration ? Math.min((now - began) / duration, 1) : 1;
      const [along, w] = t < 1 ? place(length * t * t * (3 - 2 * t)) : [1, w1];
      centreOn(x0 + (x1 - x0) * along, y0 + (y1 - y0) * along, 1 / w);
      flight = t < 1 ? requestAnimationFrame(step) : null;
    };
    if (duration) flight = requestAnimationFrame(step);
    else step(0);
  };
  return camera;
}

// Mouse, pen and fingers. The wheel moves the page until the diagram has the focus, then the camera; with Ctrl, which is
// also what a pinch on a touchpad says, always the camera.
export function followPointers(canvas, camera, { point, leave, tap, doubleTap }) {
  const down = new Map();
  let moved = 0, pressedAt = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("wheel", (event) => {
    const inwards = event.deltaY < 0;
    if (!event.ctrlKey && (document.activeElement !== canvas || (camera.k === 1 && !inwards))) return;
    event.preventDefault();
    const pixels = event.deltaY * [1, 16, 100][event.deltaMode];
    camera.zoomAt(at(event), Math.exp(-clamp(pixels, -240, 240) * (event.ctrlKey ? 0.01 : 0.0022)));
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    pressedAt = at(event);
    moved = 0;
    camera.stop();
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = at(event), before = down.get(event.pointerId);
    if (!before) return point(here);
    if (down.size === 1) {
      moved += Math.hypot(here[0] - before[0], here[1] - before[1]);
      if (moved > 3) camera.pan(here[0] - before[0], here[1] - before[1]);
    } else if (down.size === 2) {
      moved += 10;
      const other = [...down].find(([id]) => id !== event.pointerId)[1];
      const apart = (from) => Math.max(Math.hypot(from[0] - other[0], from[1] - other[1]), 8);
      camera.zoomAt([(here[0] + other[0]) / 2, (here[1] + other[1]) / 2], apart(here) / apart(before));
    }
    down.set(event.pointerId, here);
  });
  const up = (event) => {
    if (!down.delete(event.pointerId) || event.type === "pointercancel") return;
    if (moved <= 3 && down.size === 0) tap(pressedAt);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", (event) => { if (!down.has(event.pointerId)) leave(); });
  canvas.addEventListener("dblclick", (event) => doubleTap(at(event)));
}
