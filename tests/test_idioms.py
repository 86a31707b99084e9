"""Each line of the table runs."""

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from helpers.experiments import idioms
from tests.against_transformer_lens.test_families import GPT, SIZES, folder

__all__ = ["folder"]  # a fixture


def test_ten_idioms_run_and_say_what_they_give(folder):
    config = AutoConfig.for_model("gpt2", **(SIZES | GPT))
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    table = idioms.table(str(folder))
    given = {now: gives for _, now, gives in table.rows}
    assert len(table.rows) == 10
    assert given['cache["pattern", 0]'] == "[1, 4, 12, 12]"
    assert given["TransformerBridge.boot_transformers(folder)"] == "TransformerBridge"


def test_what_is_given_is_said_by_its_shape():
    assert idioms.given(torch.zeros(2, 3)) == "[2, 3]"
    assert idioms.given(None).startswith("nothing")
