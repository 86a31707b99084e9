// A prediction on a page: what came stands further down already, so it is covered until the reader
// has said a word, or looks without.

const SAY = "Your word first, before you read on.";
const BELOW = "What came stands further down.";
const CAME = /^(You said .*; it|It) was /m; // as Python prints it

// What hears the view of a prediction that stands in `place`.
export function hearPrediction(model, place) {
  const outcome = outcomeBelow(place), isNumberAsked = Boolean(model.get("scene")?.number);
  model.change("says", SAY);
  const uncover = outcome ? cover(outcome) : () => {};
  return ({ choice, number, view }) => {
    const words = [choice, number].filter((word) => word !== "" && word !== null).join(" at ");
    model.change("said", { choice, number });
    model.change("says", words ? `You say ${words}. ${BELOW}` : SAY);
    const told = words ? `You said ${words}; it was ` : "It was ";
    if (outcome) outcome.textContent = outcome.textContent.replace(CAME, () => told);
    if (choice && (number !== null || !isNumberAsked)) uncover();
    model.tell("msg:custom", { heard: view }, []);
  };
}

const outcomeBelow = (place) => [...document.querySelectorAll(".came pre")].find((output) =>
  place.compareDocumentPosition(output) & Node.DOCUMENT_POSITION_FOLLOWING
  && CAME.test(output.textContent));

// All that its cell shows.
function cover(outcome) {
  const cell = outcome.closest(".came"), button = document.createElement("button");
  const uncover = () => {
    cell.classList.remove("covered");
    button.remove();
  };
  button.textContent = "Show what came";
  button.addEventListener("click", uncover);
  cell.classList.add("covered");
  cell.prepend(button);
  return uncover;
}
