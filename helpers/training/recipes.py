"""What the course's own runs are made of, and the command that trains them: `python -m
helpers.training`.

The recipe of the default run is small on purpose: the head is to be born while one watches. What
makes it fast was measured: positions as loud as the tokens, no normalization, initial weights of a
size at which the matrices already do something, and blocks whose period changes from sequence to
sequence.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from helpers import corpus
from helpers.corpus import copying
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Batch, Task, split_periods
from helpers.training import expectations, runs
from helpers.training.command import Parser, as_typed, device_here, positive
from helpers.training.loop import Trainer, TrainingConfig, log_spaced, train, validation_loss
from helpers.training.seeds import seeds

FIRST = 4  # steps, by which the length of a training is told
TOKENIZER = runs.DATA / "tokenizer.json"


@dataclass(frozen=True)
class Recipe:
    """Model, task and training that belong together. `task` has a name, of `sequences.TASKS` or
    "text", and options. `read`: the text, once it is opened."""

    model: ModelConfig
    task: dict[str, Any]
    training: TrainingConfig
    read: corpus.Corpus | None = field(default=None, compare=False, repr=False)

    def seeded(self, seed: int) -> "Recipe":
        """The same from another seed, of weights and data."""
        model, training = replace(self.model, seed=seed), replace(self.training, seed=seed)
        return replace(self, model=model, training=training)

    def trainer(self, device: str = "cpu", progress: bool = False) -> Trainer:
        """A trainer at step 0. For text this reads and tokenises the corpus, or finds it in the
        cache."""
        model = AttentionOnlyTransformer(self.model).to(device)
        return Trainer(model, self._draw(progress), self.training)

    def probe_ids(self) -> list[int] | None:
        """The token ids to probe with: for text without the most and the least common ones, else
        None for all."""
        return self.text().middle_ids().tolist() if self.task["name"] == "text" else None

    def held_out(self, sequences: int) -> Batch:
        """Sequences of the task, the same at every call. The training never reads the periods of
        repeated blocks and the files of a text that these are made of; of another task they are
        draws like any."""
        if self.task["name"] == "text":
            return self.text().validation_windows(self.model.n_ctx, sequences)
        options = self.task["options"]
        if self.task["name"] == "repeated_block":
            options = options | dict(periods=split_periods(options["n_ctx"])[1])
        return Task(self.task["name"], options)(sequences, torch.Generator().manual_seed(0))

    def probe(self, sequences: int | None = None) -> Int[Tensor, "sequences pos"]:
        """What heads are scored on, and the training never shows: of repeated blocks the periods
        that are kept for the test (by default 16 sequences), of all else repeated random tokens
        (10)."""
        if self.task["name"] == "repeated_block":
            return self.held_out(sequences or 16).tokens
        return heads.probe(self.model.d_vocab, self.model.n_ctx, sequences or 10, self.probe_ids())

    def measure(self) -> Callable[[AttentionOnlyTransformer], dict[str, Any]]:
        """All heads' scores and the repeat loss on `probe()`, from one forward pass; of a text the
        loss on windows of the files that the training never reads too."""
        tokens = self.probe()
        windows = self.held_out(32) if self.task["name"] == "text" else None

        def measured(model: AttentionOnlyTransformer) -> dict[str, Any]:
            scores, repeat_loss = heads.score_with_loss(model, tokens)
            found = {name: values.tolist() for name, values in scores._asdict().items()}
            found["repeat_loss"] = repeat_loss
            if windows:
                found["validation_loss"] = validation_loss(model, windows.tokens, windows.targets)
            return found

        return measured

    def _draw(self, progress: bool) -> Callable:
        if self.task["name"] != "text":
            return Task(self.task["name"], self.task["options"])
        text, n_ctx = self.text(progress), self.model.n_ctx
        return lambda batch, generator: text.windows(batch, n_ctx, generator)

    def opened(self, progress: bool = False, tell: Callable[[str], object] = print) -> "Recipe":
        """The same with its text read, once: what a training reads stays what it is though the
        folder changes. A recipe without a text is its own."""
        is_text = self.task["name"] == "text"
        return replace(self, read=self.text(progress, tell)) if is_text else self

    def text(self, progress: bool = False, tell: Callable[[str], object] = print) -> corpus.Corpus:
        """The text that it reads: the standard library, held once in a process, or the folder that
        its task names. `tell` as in `corpus.load`."""
        options = self.task["options"]
        if self.read is not None:
            return self.read
        if "folder" not in options:
            return library(self.model.d_vocab, progress)
        # the course's tokens fit the library, not any folder
        return corpus.load(**options, d_vocab=self.model.d_vocab, progress=progress, tell=tell)


_LIBRARIES: dict[int, corpus.Corpus] = {}  # by d_vocab alone: who asks for bars reads no other


def library(d_vocab: int, progress: bool = False) -> corpus.Corpus:
    """Python's standard library in the course's own tokens, held once in a process."""
    if d_vocab not in _LIBRARIES:
        tokenizer = TOKENIZER if TOKENIZER.is_file() else None
        _LIBRARIES[d_vocab] = corpus.load(None, d_vocab, tokenizer, progress)
    return _LIBRARIES[d_vocab]


_BLOCKS = dict(name="repeated_block", options=dict(n_ctx=48, d_vocab=64))

_READER = ModelConfig(d_model=128, d_head=32, n_ctx=256, d_vocab=1024, init_pos=1.0)
_READING = TrainingConfig(steps=2400, batch=16, lr=0.005, muon_lr=0.01, rows="all")

_VOTES = dict(name="additive_chain", options=dict(n_ctx=32, d_vocab=13))
_VOTER = ModelConfig(n_heads=1, d_model=48, d_head=24, n_ctx=32, d_vocab=13, init_pos=1.0)
_VOTING = TrainingConfig(steps=800, batch=32)

# ... and side by side
_RECIPES = {
    "two_layers": Recipe(ModelConfig(n_ctx=48), _BLOCKS, TrainingConfig()),
    "one_layer": Recipe(ModelConfig(n_ctx=48, n_layers=1), _BLOCKS, TrainingConfig()),
    "text": Recipe(_READER, dict(name="text", options={}), _READING),
    "text_one_layer": Recipe(replace(_READER, n_layers=1), dict(name="text", options={}), _READING),
    "text_smeared_keys": Recipe(
        replace(_READER, n_layers=1, smeared_keys=True), dict(name="text", options={}), _READING
    ),
    "chain": Recipe(_VOTER, _VOTES, _VOTING),  # two heads one after the other ...
    "chain_one_layer": Recipe(replace(_VOTER, n_layers=1, n_heads=2), _VOTES, _VOTING),
}
RECIPES = {name: recipe.seeded(seeds(1)[0]) for name, recipe in _RECIPES.items()}


def run_recipe(
    recipe: Recipe,
    folder: Path | None = None,
    resume: bool = False,
    snapshots: int = 64,
    weights: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    command: str = "",
) -> runs.Run:
    """Train to the end and return the run: scores at about `snapshots` steps, and the weights at
    `weights` of these (by default at all). With a folder, the run and a checkpoint stand on disk at
    every snapshot, and `resume` goes on from there: to the same weights, bit by bit, as if it had
    never stopped. ValueError for less than one snapshot or weight."""
    for name, count in dict(snapshots=snapshots, weights=weights).items():
        if count is not None and count < 1:
            raise ValueError(f"{name} is {count}; give 1 or more, or leave it out")
    if resume:
        run = runs.load(folder)
        recipe = continued(recipe, run, folder, progress)
        trainer = recipe.trainer(device)
        trainer.restore(runs.load_checkpoint(folder))
    else:
        recipe = recipe.opened(progress)
        trainer = recipe.trainer(device)
        run = runs.Run(
            recipe.model,
            recipe.task,
            asdict(recipe.training),
            command,
            probe_ids=recipe.probe_ids(),
            text=runs.about(recipe.read) if recipe.read else None,
        )
    schedule = log_spaced(recipe.training.steps, snapshots)
    keep = {
        schedule[int(i)]
        for i in torch.linspace(len(schedule) - 1, 0, min(weights or len(schedule), len(schedule)))
    }
    steps = recipe.training.steps
    with tqdm(total=steps, initial=trainer.step_number, unit="step", disable=not progress) as bar:
        for snapshot in train(trainer, recipe.measure(), schedule):
            # where the resumed run stopped, and that snapshot is taken
            if run.history and snapshot.step <= run.history[-1]["step"]:
                continue
            run.history.append(dict(step=snapshot.step, loss=snapshot.loss, **snapshot.scores))
            if snapshot.step in keep:
                run.weights[snapshot.step] = snapshot.weights
            run.losses = trainer.losses
            if folder:
                unfinished = snapshot.step < schedule[-1]
                runs.save(run, folder, trainer.checkpoint() if unfinished else None)
            best = max(
                (score for layer in snapshot.scores["prefix_matching"] for score in layer),
                default=0.0,
            )
            bar.update(snapshot.step - bar.n)
            loss = f"loss {snapshot.loss:.3f}, " if snapshot.loss else ""
            bar.set_postfix_str(f"{loss}best prefix matching {best:.2f}")
    return run


def continued(recipe: Recipe, run: runs.Run, folder: Path, progress: bool = False) -> Recipe:
    """The recipe, opened, with the run's own tokens. ValueError unless it is the run's, and its
    text what the run has read."""
    settings = (
        (asdict(run.model), asdict(recipe.model)),
        (run.training, asdict(recipe.training)),
        (dict(task=run.task["name"]), dict(task=recipe.task["name"])),
        (run.task["options"], recipe.task["options"]),
    )
    others = {  # a name once: the seed is in two
        name: f"{name} {there.get(name)!r} there, {here.get(name)!r} here"
        for there, here in settings
        for name in there | here
        if there.get(name) != here.get(name)
    }
    if others:
        raise ValueError(
            f"the run in {folder} was made with other settings; give the same ones, or another "
            f"folder for the run: {', '.join(others.values())}"
        )
    if run.text is None:
        return recipe.opened(progress)
    options = recipe.task["options"]
    documents = corpus.read_documents(**options)
    if corpus.digest_of(documents) != run.text["digest"]:
        n_bytes = sum(len(document.text.encode()) for document in documents)
        raise ValueError(
            f"the text has changed since the run in {folder} began: it read "
            f"{run.text['n_documents']:,} files, {run.text['n_bytes']:,} bytes, and now there are "
            f"{len(documents):,}, {n_bytes:,} bytes; give it the text as it was, or begin a new run"
        )
    kept = run.vocabulary.tokenizer
    text = corpus.load(**options, tokenizer=kept, progress=progress, tell=lambda words: None)
    return replace(recipe, read=text)


def minutes(
    recipe: Recipe, snapshots: int, device: str = "cpu", clock: Callable = time.perf_counter
) -> float:
    """About how long the training takes, by the first steps and the first look at a model that is
    then thrown away."""
    trainer, measure = recipe.trainer(device), recipe.measure()
    trainer.step()  # the first of all is slower
    began = clock()
    for _ in range(FIRST):
        trainer.step()
    stepped = clock()
    measure(trainer.model)
    looks = len(log_spaced(recipe.training.steps, snapshots))
    each_step, each_look = (stepped - began) / FIRST, clock() - stepped
    return (recipe.training.steps * each_step + looks * each_look) / 60


def foretold(recipe: Recipe, snapshots: int, device: str = "cpu") -> str:
    """What to expect of a training on the text that this recipe has opened."""
    source, n_ctx = recipe.read.source, recipe.model.n_ctx
    worth = copying.worth(recipe.read, n_ctx)
    shipped = library(RECIPES["text"].model.d_vocab, progress=True)
    return "\n".join(
        [
            expectations.of_text(source, recipe.model.d_vocab),
            expectations.of_copying(worth, copying.worth(shipped, n_ctx)),
            expectations.of_time(
                recipe.training, n_ctx, source.n_tokens, minutes(recipe, snapshots, device)
            ),
        ]
    )


def stopped(folder: Path) -> str:
    """What stands of a training that was interrupted."""
    try:
        run = runs.load(folder)
    except FileNotFoundError:
        return "stopped before anything was written"
    return (
        f"stopped; {folder} holds the run up to step {run.history[-1]['step']}, and the same "
        "command with --resume goes on from there"
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser("python -m helpers.training", description="Train one of the course's runs.")
    parser.add_argument(
        "recipe",
        choices=RECIPES,
        help="two_layers: the default run; text: Python source; one_layer, text_one_layer: their "
        "controls; text_smeared_keys: one layer whose keys know the token before; chain, "
        "chain_one_layer: two heads in sequence and side by side",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder for the run; a run already there is not overwritten",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data (default 0)")
    parser.add_argument("--steps", type=positive, help="default: the recipe's own")
    parser.add_argument(
        "--snapshots",
        type=positive,
        default=64,
        help="about how many, in even ratios of steps (default 64)",
    )
    parser.add_argument(
        "--weights", type=positive, help="at how many of them to keep the weights (default: all)"
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=1,
        help="of torch (default 1: small matrices gain little from more)",
    )
    parser.add_argument(
        "--folder", help="with text: a folder of your own text instead of the standard library"
    )
    parser.add_argument(
        "--suffixes",
        nargs="+",
        help="with --folder: which files to read (default: .py .txt .md .rst)",
    )
    parser.add_argument(
        "--d-vocab", type=positive, help="with --folder: how many kinds of tokens (default 1024)"
    )
    parser.add_argument(
        "--device", type=device_here, default="cpu", help="cpu (default), cuda or mps"
    )
    given = parser.parse_args(arguments)
    recipe = RECIPES[given.recipe]
    if given.folder is None and (given.suffixes or given.d_vocab):
        parser.error("--suffixes and --d-vocab are for a --folder of text; give that too")
    if given.folder is not None and recipe.task["name"] != "text":
        readers = [name for name in RECIPES if RECIPES[name].task["name"] == "text"]
        parser.error(f"--folder is for {', '.join(readers)}; {given.recipe} reads no text")
    if (given.out / "run.json").exists() and not given.resume:
        parser.error(
            f"{given.out} holds a run already; add --resume to go on with it, or name another "
            "folder"
        )
    own = dict(folder=given.folder, suffixes=given.suffixes)
    options = {name: value for name, value in own.items() if value is not None}
    recipe = replace(
        recipe.seeded(given.seed),
        task=recipe.task | {"options": recipe.task["options"] | options},
    )
    recipe = replace(
        recipe,
        model=replace(recipe.model, d_vocab=given.d_vocab or recipe.model.d_vocab),
        training=replace(recipe.training, steps=given.steps or recipe.training.steps),
    )
    command = as_typed("helpers.training", arguments)
    say = partial(print, file=sys.stderr)  # what is printed is the table at the end
    torch.set_num_threads(given.threads)
    try:
        if given.folder is not None and not given.resume:
            recipe = recipe.opened(progress=True, tell=say)
            say(foretold(recipe, given.snapshots, given.device))
        run = run_recipe(
            recipe,
            given.out,
            given.resume,
            given.snapshots,
            given.weights,
            given.device,
            True,
            command,
        )
    except (OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: {str(error).splitlines()[0]}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"\n{parser.prog}: {stopped(given.out)}\n")
    runs.update_manifest(given.out)
    print(heads.discover(run.model_at()))
