// Who answers Discovery on a page: a Worker, which trains. A training on text takes minutes and a
// library, so a recorded one is replayed; so is the default one where no Worker starts.

import { modelInAWorker, programPlace } from "../../explorables/discovery/trainer/remote.js";
import { makeModel } from "../../explorables/shared/model.js";
import { differs, replay } from "./recording.js";
import { unpacked } from "./stored.js";

const NOT_THERE = "The recording did not come: a file of this site is missing, ";

// A model for the view of Discovery, which opens as the widget did that had this state.
export async function modelOfTraining({ settings = {}, row } = {}) {
  const model = await modelInAWorker(programPlace(course.trainer)).catch(modelOfRecording);
  replayTexts(model);
  if (differs(settings, model.get("settings"))) model.send({ do: "reset", settings });
  if (row && row.typed !== model.get("row").typed) model.send({ do: "ask", row: row.typed });
  return model;
}

async function modelOfRecording() {
  const training = await recorded("default");
  const model = makeModel({}, { save() {}, send: (message) => answer(message) });
  const answer = replay(model, training);
  return model;
}

// From the choice of a text to the next choice of other data a recording answers.
function replayTexts(model) {
  const others = model.send;
  let answer = others, resets = 0;
  model.send = async (message) => {
    const task = message.do === "reset" ? message.settings.task : undefined;
    if (message.do === "reset") resets += 1;
    if (task === "text" && answer === others) return load(resets);
    if (task && task !== "text" && answer !== others) {
      answer({ do: "pause" });
      answer = others;
      model.isDeaf = false;
    }
    answer(message);
  };

  // Nothing comes of a recording when another reset has overtaken it.
  async function load(asked) {
    others({ do: "pause" });
    const come = await recorded("text").catch((error) => error);
    if (asked === resets) await (come instanceof Error ? refuse : open)(come);
  }

  async function open(text) {
    await others({ do: "pause" }); // if it was set going while this was loading
    model.isDeaf = true; // what the worker had still to say would come in between
    answer = replay(model, text);
  }

  function refuse(error) {
    model.change("trouble", NOT_THERE + error.message);
    model.tell("msg:custom", { type: "refused" }, []);
  }
}

// A recording comes when it is asked for, as a script: a page from a disk may load nothing else.
async function recorded(name) {
  course.recordings[name] ?? await new Promise((done, fail) => {
    const src = `assets/recordings/${name}.js`, onerror = () => fail(new Error(src));
    document.head.append(Object.assign(document.createElement("script"),
      { src, onload: done, onerror }));
  });
  return unpacked(course.recordings[name]);
}
