// Discovery without a kernel: a training that was recorded when the page was made. It answers the
// same messages as the kernel does.

const A_LOOK = 40; // milliseconds from one snapshot to the next
const ONE_TRAINING = "This page replays one training and knows no other. "
  + "In JupyterLab (make lab) every choice here trains.";
const ONE_ROW = "What is replayed here was asked this one row. "
  + "In JupyterLab (make lab) the model answers yours.";

// `snapshots`: what the kernel said of the whole training, in its order.
export function replay(model, snapshots) {
  const recorded = model.get("settings"), { typed } = model.get("row");
  let shown = 1, timer = 0;

  const say = (at, more = {}) => {
    const { content, buffers } = snapshots[at];
    model.tell("msg:custom", { ...content, ...more }, buffers);
  };
  const go = (status) => {
    clearInterval(timer);
    model.change("status", status);
    if (status === "training") timer = setInterval(next, A_LOOK);
  };

  function next() {
    if (shown < snapshots.length) say(shown++);
    if (shown === snapshots.length) go("finished");
  }

  function reset(settings) {
    const isOther = Object.keys(settings).some((name) => settings[name] !== recorded[name]);
    model.change("trouble", isOther ? ONE_TRAINING : "");
    if (isOther) return model.tell("msg:custom", { type: "refused" }, []);
    go("ready");
    shown = 1;
    model.tell("msg:custom", { type: "reset" }, []);
    say(0);
  }

  const goesOn = () => ["ready", "paused"].includes(model.get("status"));
  const answers = {
    show: ({ view }) => snapshots.slice(0, shown).forEach((_, at) => say(at, { view })),
    train: () => goesOn() && go("training"),
    pause: () => model.get("status") === "training" && go("paused"),
    step() {
      answers.pause();
      if (!goesOn()) return;
      go("paused");
      next();
    },
    reset: ({ settings }) => reset(settings),
    ask: ({ row }) => model.change("trouble", row === typed ? "" : ONE_ROW),
    closed: () => answers.pause(),
  };
  return (message) => answers[message.do]?.(message);
}
