// The page of the birth alone, in one file: Discovery, trained in a Worker.

import { modelInAWorker, programPlace } from "../../explorables/discovery/trainer/remote.js";
import { followTheme } from "./theme.js";

const NO_TRAINER = "This browser starts no training in a page. Another one will.";

async function begin() {
  const place = document.querySelector("#birth"), el = document.createElement("div");
  try {
    const model = await modelInAWorker(programPlace(course.trainer));
    place.replaceChildren(el);
    course.views.discovery.render({ model, el });
    place.dataset.alive = "";
  } catch (error) {
    place.textContent = NO_TRAINER;
    console.error(error);
  }
}

globalThis.course = { views: {} };
followTheme();
document.querySelector("header a").hidden = location.protocol === "file:"; // it may be sent alone
document.addEventListener("DOMContentLoaded", begin); // what follows here has been read by then
