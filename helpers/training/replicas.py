"""The course's runs once more, from other seeds, for a sentence on training rests on several.

`data/sweeps/NAME` holds, for each recipe, the last weights of every further seed in half precision.
`models` gives them together with the shipped run, which is the first of them.

    python -m helpers.training.replicas
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from helpers.model import AttentionOnlyTransformer
from helpers.training import runs, sweeps
from helpers.training.command import Parser, as_typed, positive, where_to_run
from helpers.training.recipes import RECIPES
from helpers.training.seeds import seeds

FOLDER = runs.DATA / "sweeps"
COUNT = {"two_layers": 8, "chain": 8, "chain_one_layer": 8, "text": 3, "text_one_layer": 3}


def train(recipe: str, seed: int, device: str = "cpu") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Train one seed to the end: its record (the mean loss of the last 20 steps, in nats), and its
    weights."""
    made = RECIPES[recipe].seeded(seed).trainer(device)
    while made.step_number < made.config.steps:
        made.step()
    record = dict(seed=seed, loss=round(sum(made.losses[-20:]) / len(made.losses[-20:]), 4))
    weights = {
        name: weight.detach().cpu().clone() for name, weight in made.model.named_parameters()
    }
    return record, weights


def models(recipe: str, data: Path | None = None) -> dict[int, AttentionOnlyTransformer]:
    """The trained models of a recipe by their seeds, the shipped run's first.

    ValueError for a recipe without replicas.
    """
    if recipe not in COUNT:
        raise ValueError(f"no seeds of {recipe!r} are stored; there are: {', '.join(COUNT)}")
    data = runs.DATA if data is None else data
    found = {}
    shipped = runs.load(data / "runs" / recipe)
    found[shipped.model.seed] = shipped.model_at()
    stored = sweeps.load(data / "sweeps" / recipe)
    for record in stored.results:
        seed = record["seed"]
        model = AttentionOnlyTransformer(replace(shipped.model, seed=seed))
        names = dict(model.named_parameters())
        model.load_state_dict({name: stored.tensors[f"{seed}/{name}"].float() for name in names})
        found[seed] = model
    return {seed: model.requires_grad_(False) for seed, model in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(
        "python -m helpers.training.replicas",
        description="Train further seeds of the course's runs.",
    )
    parser.add_argument("recipe", nargs="*", default=[*COUNT], help=f"of {', '.join(COUNT)}; all")
    parser.add_argument("--out", type=Path, default=FOLDER, help="default: data/sweeps")
    parser.add_argument(
        "--count", type=positive, help="how many seeds with the shipped one (3 or 8)"
    )
    where_to_run(parser)
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.recipe) - set(COUNT)):
        parser.error(f"no recipe is called {', '.join(unknown)}; choose of {', '.join(COUNT)}")
    if given.count == 1:
        parser.error("--count 1 is the shipped seed alone, which is not trained; give 2 or more")
    command = as_typed("helpers.training.replicas", arguments)
    for recipe in given.recipe:
        settings = [
            dict(recipe=recipe, seed=seed, device=given.device)
            for seed in seeds(given.count or COUNT[recipe])[1:]
        ]
        sweeps.sweep_into(
            given.out / recipe,
            train,
            settings,
            command,
            given.jobs,
            given.scheduler,
            recipe,
            name=lambda record: str(record["seed"]),
        )


if __name__ == "__main__":
    from helpers.training.replicas import main

    main()
