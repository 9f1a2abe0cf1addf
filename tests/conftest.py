"""For every test: one thread a process, so that two test processes do not fight over two cores, and no deadlines."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")
