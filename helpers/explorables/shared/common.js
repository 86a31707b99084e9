// What every explorable's view shares.

const CIVIDIS = ["00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369", "e1cc55", "fee838"].map(
  (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)),
);
export const SHADES = Array.from({ length: 256 }, (_, value) => {
  const place = (value / 255) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return CIVIDIS[low].map((part, i) => part + (CIVIDIS[low + 1][i] - part) * (place - low));
});
const SVG = "http://www.w3.org/2000/svg";
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
// Bytes from Python as numbers: they arrive at any offset, and a typed array wants one that is a multiple of its own size.
export const numbersIn = ({ buffer, byteOffset, byteLength }, Type) => new Type(buffer.slice(byteOffset, byteOffset + byteLength));

export function make(tag, attributes = {}, ...children) {
  const element = ["svg", "g", "path", "line", "rect", "text", "circle", "title"].includes(tag)
    ? document.createElementNS(SVG, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Every view begins so: the class that carries the style, and JupyterLab's keyboard commands kept out.
export function begin(el, name) {
  el.classList.add("explorable", name);
  el.dataset.lmSuppressShortcuts = "true";
  el.addEventListener("keydown", (event) => {
    event.stopPropagation(); // or a focused slider loses its arrow keys
    if (event.key.startsWith("Arrow") && !event.target.matches("select, input:not([type=checkbox])")) event.preventDefault(); // or the page scrolls
  });
}

// The sentence below the pictures. It may change in every frame; a screen reader hears it once it has rested, and only
// while one works in this view.
const REST = 700, HEARD = 3000; // milliseconds

export function caption(el) {
  const says = make("p", { class: "says" }), heard = make("p", { class: "heard", "aria-live": "polite" });
  let timer = 0;
  const hush = () => heard.replaceChildren(); // or it would be read a second time by those who read on
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

// A picture that one points at: `at(event)` where a mouse moves or presses, where a finger taps, and along a finger's way
// to the side; up and down a finger moves the page. `leave()` when a mouse has gone: what a finger chose stays.
export function pointAt(element, at, leave) {
  let from = null;
  const aside = ({ clientX, clientY }) => Math.abs(clientX - from.clientX) > Math.abs(clientY - from.clientY);
  element.style.touchAction = "pan-y";
  element.addEventListener("pointerdown", (event) => { from = event; if (event.pointerType !== "touch") at(event); });
  element.addEventListener("pointermove", (event) => { if (event.pointerType !== "touch" || aside(event)) at(event); });
  element.addEventListener("click", at);
  element.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") leave?.(); });
}
