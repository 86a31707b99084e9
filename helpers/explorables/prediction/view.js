// The view of a prediction: the choices, a number where one is asked for, and Python's sentence.

import { begin, caption, heed, make, newName } from "../shared/common.js";
import { onArrows } from "../shared/keys.js";

const NO_NUMBER = "That is no number. Write one with digits alone, such as 200.";
const GONE = "Nobody heard that: the kernel has gone. Run this cell again, and answer again.";

function render({ model, el }) {
  const { question, choices, number } = model.get("scene"), group = newName();
  let waiting = 0; // for answers: until the last has come, what is pressed here is newer
  const radios = choices.map(([value]) =>
    make("input", { type: "radio", name: group, value, onchange: tell }));
  const marks = choices.map(() => make("small"));
  const lines = choices.map(([name, words], i) => make("label", {}, radios[i],
    make("span", {}, make("b", {}, name), ` ${words}`), marks[i]));
  const amount = make("input", { type: "number", step: "any", onchange: tell });
  const asked = make("label", { class: "amount" }, make("span", {}, number), amount);
  const all = make("fieldset", {}, make("legend", {}, question), ...lines);
  if (number) all.append(asked);
  const says = caption(el);

  begin(el, "prediction");
  el.append(all, says);
  lines.forEach((line) => onArrows(line, ([right, down], event) => {
    event.preventDefault(); // inside JupyterLab the browser's own do not arrive
    const to = radios.indexOf(event.target) + (right || down) + radios.length;
    radios[to % radios.length].focus();
    radios[to % radios.length].click();
  }));

  // ---- to Python and back

  function tell() {
    if (amount.validity.badInput) return speak(NO_NUMBER, true);
    const choice = radios.find((radio) => radio.checked)?.value ?? "";
    try {
      const given = amount.value === "" ? null : amount.valueAsNumber;
      model.send({ choice, number: given, view: group });
      waiting += 1;
    } catch { // the kernel that this view belongs to has gone
      speak(GONE, true);
    }
  }

  function speak(words, isRefusal) {
    if (says.textContent !== words) says.textContent = words;
    says.classList.toggle("refused", isRefusal);
  }

  function draw() {
    const said = model.get("said"), outcome = model.get("outcome"), trouble = model.get("trouble");
    if (waiting) return;
    radios.forEach((radio, i) => {
      radio.checked = radio.value === said.choice;
      const came = radio.value === outcome.choice;
      lines[i].classList.toggle("came", came);
      marks[i].textContent = outcome.choice ? markWords(radio.checked, came) : "";
    });
    if (document.activeElement !== amount) amount.value = said.number ?? "";
    all.disabled = Boolean(outcome.choice); // a word said afterwards is no prediction
    speak(trouble || model.get("says"), Boolean(trouble));
  }

  function hear({ heard }) {
    if (heard === group) waiting -= 1;
    draw();
  }

  const deafen = heed(model, {
    "msg:custom": hear,
    "change:said": draw, "change:outcome": draw, "change:says": draw, "change:trouble": draw,
  });
  draw();
  return deafen;
}

const markWords = (said, came) =>
  (came ? `✓ ${said ? "as you said" : "it was this"}` : said ? "you said this" : "");

export default { render };
