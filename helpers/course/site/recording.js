// Discovery where nobody trains: a training that was recorded. It answers the same messages as a
// kernel does.

const A_LOOK = 40; // milliseconds from one snapshot to the next
const ONE_TRAINING = "This is one training, recorded, and there is no other of its kind. "
  + "In JupyterLab (make lab) every choice here trains.";
const ONE_ROW = "What is replayed here was asked this one row. "
  + "In JupyterLab (make lab) the model answers yours.";

export const differs = (settings, others) =>
  Object.keys(settings).some((name) => settings[name] !== others[name]);

// What hears a view, in the place of whoever heard it before. `state` is the widget's when it
// opens, `opening` what it then says of the whole training, in its order.
export function replay(model, { state, opening: snapshots }) {
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

  function open() {
    go("ready");
    shown = 1;
    for (const [name, value] of Object.entries(state)) model.change(name, value);
    model.tell("msg:custom", { type: "reset" }, []);
    say(0);
  }

  // Whoever comes from another training gets this one, whatever else was asked for.
  function reset(settings) {
    const isOther = differs(settings, state.settings);
    if (!isOther || differs(model.get("settings"), state.settings)) open();
    if (!isOther) return;
    model.change("trouble", ONE_TRAINING);
    model.tell("msg:custom", { type: "refused" }, []);
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
    ask: ({ row }) => model.change("trouble", row === state.row.typed ? "" : ONE_ROW),
    closed: () => answers.pause(),
  };
  open();
  return (message) => queueMicrotask(() => answers[message.do]?.(message)); // as over a wire
}
