import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Two threads spin against each other when the machine is loaded.
import torch

torch.set_num_threads(1)
