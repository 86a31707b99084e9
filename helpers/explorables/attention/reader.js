// The text box of Attention. What is typed there goes to the kernel, which reads it; the patterns
// come back as a scene.

import { heed, make, newName } from "../shared/common.js";
import { GONE, KEYS, SILENT, countWords } from "./words.js";

const PATIENT = 4000; // milliseconds without an answer, until a word is due

// `leave()` puts the focus where the reading is seen.
export function makeReader(model, leave) {
  const noted = newName();
  const box = make("textarea", {
    rows: 3, spellcheck: "false", autocapitalize: "off", autocomplete: "off",
    "aria-label": "Your text", "aria-describedby": noted, onkeydown: press,
  });
  const button = make("button", { class: "main", type: "submit" }, "Read");
  const note = make("p", { class: "note", id: noted, role: "status" });
  const element = make("form", { class: "reader", onsubmit: ask }, box, button,
    make("div", { class: "under" }, note, make("p", { class: "hint" }, KEYS)));
  let waiting = 0; // for the answer to what was asked last

  function press(event) {
    if (event.key === "Escape") leave();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault(); // Shift and Enter break the line
    ask(event);
  }

  function ask(event) {
    event.preventDefault();
    if (waiting) return;
    try {
      model.send({ do: "read", text: box.value });
    } catch {
      tell(GONE, true);
      return;
    }
    button.textContent = "Reading…";
    waiting = setTimeout(() => tell(SILENT, true), PATIENT);
  }

  function rest() {
    clearTimeout(waiting);
    waiting = 0;
    button.textContent = "Read";
  }

  function tell(words, isTrouble) {
    if (note.textContent !== words) note.textContent = words; // read aloud when it changes
    note.classList.toggle("refused", isTrouble);
  }

  function answered() {
    rest();
    const trouble = model.get("trouble");
    box.setAttribute("aria-invalid", Boolean(trouble));
    tell(trouble || countWords(model.get("scene").pos, model.get("most")), Boolean(trouble));
  }

  const follow = () => {
    box.value = model.get("text");
  };
  const deafen = heed(model, {
    "change:text": follow,
    "change:scene": answered,
    "change:trouble": answered,
    "msg:custom": ({ type }) => type === "answered" && answered(),
    comm_live_update: () => { // the kernel has been restarted, or its notebook closed
      rest();
      tell(GONE, true);
    },
  });
  follow();
  answered();
  return {
    element,
    close() {
      rest();
      deafen();
    },
  };
}
