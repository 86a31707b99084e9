"""Does training give the stream axes? The experiments behind notebook 07.

- `twins`: one initialisation and its rotated copy, trained on the same batches. An optimiser that
  does not know the axes keeps them the same model in other coordinates.
- `grow`: one training, with the kurtosis of its stream over the way. The weights can be stored in
  other coordinates than those they are used in: optimisers act where weights are stored.
- `rounding`: what it costs to round the stream of a trained model, as trained and rotated, on seeds
  kept for this alone.

The model has two layers and a root mean square normalization without gains, so that any rotation is
allowed, and all its weights start Gaussian, so that no axis is preferred by the start. Rates are
constant: it is the time at a high rate that counts here.

`python -m helpers.experiments.privileged` runs everything again and writes
data/sweeps/privileged_basis.

Sources: Elhage, Lasenby, Olah 2023, Privileged Bases in the Transformer Residual Stream; SGD
against Adam: Caples & Neuhaus 2024.
"""

from helpers.experiments.privileged.records import (
    FOLDER,
    GROWN,
    KEPT,
    ROUNDED,
    TWINS,
    experiment,
    main,
    model_of,
    shipped,
)
from helpers.experiments.privileged.setting import (
    POINTS,
    fresh_model,
    half_repeated,
    held_out,
    rounded_loss,
    stream,
    trainer,
)
from helpers.experiments.privileged.trainings import BITS, grow, rounding, store, twins
