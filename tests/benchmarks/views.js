// How soon a page shows what has happened, in milliseconds.

const frame = () => new Promise(requestAnimationFrame);

// The end of the next frame: what has changed has then been painted.
const painted = () => new Promise((done) => requestAnimationFrame(() => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = done;
  port2.postMessage(0);
}));

// Of each frame in which nothing changes, the milliseconds until it was painted.
export async function nothing(frames) {
  const took = [];
  while (took.length < frames) {
    const start = performance.now();
    await painted();
    took.push(performance.now() - start);
  }
  return took;
}

// Of each word that is typed, the milliseconds until an answer to it was painted.
export async function ask([spot, words, answers]) {
  const input = document.querySelector(spot), place = document.querySelector(answers), took = [];
  for (const word of words) {
    await new Promise((done) => setTimeout(done, 50));
    const answered = new Promise((done) =>
      new MutationObserver(done).observe(place, { childList: true, subtree: true }));
    const start = performance.now();
    input.value = word;
    input.dispatchEvent(new Event("change"));
    await answered;
    await painted();
    took.push(performance.now() - start);
  }
  return took;
}

// From now on `window.seenAfter` holds, of each such event, the milliseconds until it was painted.
export function watch(kind) {
  window.seenAfter = [];
  const follow = async ({ timeStamp }) => {
    await painted();
    seenAfter.push(performance.now() - timeStamp);
  };
  window.addEventListener(kind, follow, true);
}

// Of each move of a slider, the milliseconds until it was painted.
export async function slide([spot, moves]) {
  const slider = document.querySelector(spot), took = [];
  for (let move = 0; move < moves; move++) {
    await new Promise((done) => setTimeout(done, 10));
    const start = performance.now();
    slider.value = (move * 7) % 360;
    slider.dispatchEvent(new Event("input"));
    await painted();
    took.push(performance.now() - start);
  }
  return took;
}

// The milliseconds of each frame while the wheel turns, all the way in and out again.
export async function zoom([spot, turns]) {
  const canvas = document.querySelector(spot), box = canvas.getBoundingClientRect(), took = [];
  const place = { clientX: box.left + box.width * 0.48, clientY: box.top + box.height * 0.5 };
  canvas.focus();
  for (let turn = 0, before = await frame(); turn < turns; turn++) {
    const wheel = { deltaY: turn < turns / 2 ? -45 : 45, cancelable: true, bubbles: true, ...place };
    canvas.dispatchEvent(new WheelEvent("wheel", wheel));
    const now = await frame();
    took.push(now - before);
    before = now;
  }
  return took;
}
