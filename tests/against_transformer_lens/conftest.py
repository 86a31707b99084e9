"""What these tests share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Matrices this small lose by being shared out, and lose much when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
