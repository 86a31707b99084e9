// A camera over a flat world. What stands at (x, y) is painted at (x * k + camera.x, y * k +
// camera.y); at k = 1 the world fills the view. Wheel, pinch, drag and flights all end in `look`,
// which keeps the world inside the view, and its `heart` in sight: whoever goes near to anything
// else would see nothing there.

import { clamp } from "../shared/numbers.js";

export function makeCamera(changed) {
  const camera = { k: 1, x: 0, y: 0, width: 1, height: 1, most: 100, heart: null };
  let flight = null;

  function look(k, x, y) {
    camera.k = clamp(k, 1, camera.most);
    camera.x = clamp(inSight(x, "x", "width"), camera.width * (1 - camera.k), 0);
    camera.y = clamp(inSight(y, "y", "height"), camera.height * (1 - camera.k), 0);
    changed();
  }
  // Along one side. Far away one may look anywhere; the nearer, the less far from the heart.
  function inSight(shift, from, side) {
    const { heart, k } = camera;
    if (!heart) return shift;
    const near = Math.min(camera.width / heart.width, camera.height / heart.height);
    const half = camera[side] / 2, slack = (0.5 * half * Math.max(1, (near / k) ** 3)) / k;
    const first = heart[from] - slack, last = heart[from] + heart[side] + slack;
    const middle = clamp((half - shift) / k, first, last);
    return half - middle * k;
  }
  const centreOn = (x, y, k) => look(k, camera.width / 2 - x * k, camera.height / 2 - y * k);

  camera.toWorld = ([x, y]) => [(x - camera.x) / camera.k, (y - camera.y) / camera.k];
  camera.toScreen = ([x, y]) => [x * camera.k + camera.x, y * camera.k + camera.y];
  camera.centre = () => camera.toWorld([camera.width / 2, camera.height / 2]);
  camera.stop = () => {
    cancelAnimationFrame(flight);
    flight = null;
  };
  camera.pan = (dx, dy) => {
    camera.stop();
    look(camera.k, camera.x + dx, camera.y + dy);
  };
  camera.zoomAt = ([x, y], factor) => { // what is at (x, y) of the view stays there
    camera.stop();
    const k = clamp(camera.k * factor, 1, camera.most);
    look(k, x - ((x - camera.x) * k) / camera.k, y - ((y - camera.y) * k) / camera.k);
  };
  camera.refit = (width, height, most) => { // to a view of another size
    const [x, y] = camera.centre();
    const middle = [(x * width) / camera.width, (y * height) / camera.height];
    Object.assign(camera, { width, height, most });
    if (!flight) centreOn(...middle, camera.k);
  };
  camera.fly = (to, k, milliseconds) => {
    camera.stop();
    const from = camera.centre(), end = clamp(k, 1, camera.most);
    const { length, at } = flightPath(from, 1 / camera.k, to, 1 / end, camera.width);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const duration = still ? 0 : milliseconds ?? 260 + 190 * Math.abs(length);
    let began = null;
    const step = (now) => {
      began ??= now;
      const t = duration ? Math.min((now - began) / duration, 1) : 1;
      const [x, y, seen] = at(t * t * (3 - 2 * t));
      centreOn(x, y, t < 1 ? 1 / seen : end);
      flight = t < 1 ? requestAnimationFrame(step) : null;
    };
    if (duration) flight = requestAnimationFrame(step);
    else step(0);
  };
  return camera;
}

const RHO = 1.2; // how much a flight zooms out to get far

// Out and in again on the path that looks smoothest (van Wijk and Nuij 2003), from a place and the
// share of the world's width that is seen there to others: `at(share)` of the path, from 0 to 1.
export function flightPath([x0, y0], w0, [x1, y1], w1, width) {
  const far = Math.hypot(x1 - x0, y1 - y0) / width;
  const { length, place } = far < 1e-6 ? straightIn(w0, w1) : outAndIn(w0, w1, far);
  const at = (share) => {
    const [along, w] = share < 1 ? place(length * share) : [1, w1];
    return [x0 + (x1 - x0) * along, y0 + (y1 - y0) * along, w];
  };
  return { length, at };
}

const straightIn = (w0, w1) =>
  ({ length: Math.log(w1 / w0) / RHO, place: (s) => [1, w0 * Math.exp(RHO * s)] });

function outAndIn(w0, w1, far) {
  const b = (w, side) =>
    (w1 * w1 - w0 * w0 + side * RHO ** 4 * far * far) / (2 * w * RHO * RHO * far);
  const r0 = -Math.asinh(b(w0, 1)), r1 = -Math.asinh(b(w1, -1));
  const place = (s) => [
    (w0 / (RHO * RHO * far)) * (Math.cosh(r0) * Math.tanh(RHO * s + r0) - Math.sinh(r0)),
    (w0 * Math.cosh(r0)) / Math.cosh(RHO * s + r0),
  ];
  return { length: (r1 - r0) / RHO, place };
}
