"""For every test: one thread a process, so that two test processes do not fight over two cores."""

import torch

torch.set_num_threads(1)
