"""Static pictures. Each comes with a sentence, computed from the same data, that says what it
shows.

`show(fig, says)` publishes both: the sentence is the picture's text for those who cannot see it,
and what a regression test compares. Every function here takes plain data and returns the pair, so a
cell reads `show(*patterns(...))`.

One colour, one meaning, throughout the course: `COLOUR`. Probabilities are in cividis, signed
values in a diverging map centred on zero. Colour never stands alone: lines differ in style, maps
print their numbers.
"""

from helpers.plotting.attention import pattern_row, patterns, scores_and_pattern
from helpers.plotting.basis import allowed, broken_turns, changes, signed_maps
from helpers.plotting.bigrams import bigrams, loss_and_levels, rank_sweep
from helpers.plotting.board import head_board
from helpers.plotting.circuits import copying_plane, term_board, token_maps
from helpers.plotting.clinic import namings, ward
from helpers.plotting.composing import boards, composition_panels, matching_and_copying, score_row
from helpers.plotting.core import COLOUR, show
from helpers.plotting.curves import beside_others, lines
from helpers.plotting.in_context import memories, nearest_rules, rarity, tokens_needed
from helpers.plotting.interventions import (
    accuracy_by_period,
    recovered,
    seed_curves,
    signed_board,
)
from helpers.plotting.loudness import four_streams
from helpers.plotting.optimizers import (
    kurtosis_by_basis,
    kurtosis_on_the_way,
    kurtosis_sweep,
    rounding_cost,
    twin_gaps,
)
from helpers.plotting.paths import orders, term_sum
from helpers.plotting.phases import (
    left_without,
    order_of_events,
    phase_change,
    training_plane,
    undoing,
)
from helpers.plotting.plateau import first_layer_story, fits, lottery
from helpers.plotting.reading import look_back, passage, sequences
from helpers.plotting.rotation import turned
from helpers.plotting.scaling import growth
from helpers.plotting.skip_trigrams import final_losses, skip_trigram_board
from helpers.plotting.stream import stream_diagram
from helpers.plotting.training import answer_story, bars, birth_frame, movie, training_story
from helpers.plotting.virtual import activation_places, talk_map
from helpers.plotting.votes import votes
from helpers.tables import Table, short
