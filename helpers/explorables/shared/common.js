// What every explorable's view shares: its elements, its sentence, whom it hears and when it draws.

const SVG = "http://www.w3.org/2000/svg";
const IN_SVG = ["svg", "g", "path", "line", "rect", "text", "circle", "title"];

// An element; an attribute `onclick` is a listener, and one that is undefined is left out.
export function make(tag, attributes = {}, ...children) {
  const element = IN_SVG.includes(tag)
    ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const options = (values) => values.map((value) => make("option", { value }, String(value)));

// Every view begins so: the class that carries the style, and JupyterLab's keyboard commands kept
// out. Escape and all others end here.
export function begin(el, name) {
  el.classList.add("explorable", name);
  el.dataset.lmSuppressShortcuts = "true";
  el.addEventListener("keydown", (event) => {
    event.stopPropagation(); // or a focused slider loses its arrow keys
    const ownsArrows = event.target.matches("select, textarea, input:not([type=checkbox])");
    if (event.key.startsWith("Arrow") && !ownsArrows) event.preventDefault(); // or the page scrolls
  });
}

// Heed what the model says, until the function that comes back is called.
export function heed(model, handlers) {
  for (const [event, handler] of Object.entries(handlers)) model.on(event, handler);
  return () => {
    for (const [event, handler] of Object.entries(handlers)) model.off(event, handler);
  };
}

// A function that asks for a drawing, which comes at most once a frame however often it is called.
export function onceAFrame(draw) {
  let asked = 0;
  return () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      draw();
    });
  };
}

// A name that no other view in the page has.
export const newName = () => Math.random().toString(36).slice(2);

// The sentence below the pictures. It may change in every frame; a screen reader hears it once it
// has rested, and only while one works in this view.
const REST = 700, HEARD = 3000; // milliseconds

export function caption(el) {
  const says = make("p", { class: "says" });
  const heard = make("p", { class: "heard", "aria-live": "polite" });
  let timer = 0;
  const hush = () => heard.replaceChildren(); // or it is read a second time by those who read on
  new MutationObserver(() => {
    clearTimeout(timer);
    hush();
    timer = setTimeout(() => {
      if (el.contains(document.activeElement)) heard.textContent = says.textContent;
      timer = setTimeout(hush, HEARD);
    }, REST);
  }).observe(says, { childList: true, characterData: true, subtree: true });
  el.append(heard);
  return says;
}

// A picture that one points at: `at(event)` where a mouse moves or presses, where a finger taps,
// and along a finger's way to the side; up and down a finger moves the page. `leave()` when a mouse
// has gone: what a finger chose stays.
export function pointAt(element, at, leave) {
  let from = null;
  const isFinger = (event) => event.pointerType === "touch";
  const aside = ({ clientX, clientY }) =>
    Math.abs(clientX - from.clientX) > Math.abs(clientY - from.clientY);
  element.style.touchAction = "pan-y";
  element.addEventListener("pointerdown", (event) => {
    from = event;
    if (!isFinger(event)) at(event);
  });
  element.addEventListener("pointermove", (event) => {
    if (!isFinger(event) || aside(event)) at(event);
  });
  element.addEventListener("click", at);
  element.addEventListener("pointerleave", (event) => {
    if (!isFinger(event)) leave?.();
  });
}
