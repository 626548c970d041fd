"""One LightningModule a question; any encoder fits into any of them."""

from molfusion.tasks.base import Task
from molfusion.tasks.captioning import Captioning
from molfusion.tasks.generation import Generation
from molfusion.tasks.optimizers import AdamWMatrices
from molfusion.tasks.pretraining import Pretraining
from molfusion.tasks.property import Property
from molfusion.tasks.retrieval import Retrieval
from molfusion.tasks.schedule import Constant, CosineRestarts, EpochCosine, EpochDecay, Schedule, StepCosine, WarmupCosine

__all__ = [
    "AdamWMatrices",
    "Captioning",
    "Constant",
    "CosineRestarts",
    "EpochCosine",
    "EpochDecay",
    "Generation",
    "Pretraining",
    "Property",
    "Retrieval",
    "Schedule",
    "StepCosine",
    "Task",
    "WarmupCosine",
]
