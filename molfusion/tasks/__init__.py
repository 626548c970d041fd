"""One LightningModule a question; any encoder fits into any of them."""

from molfusion.tasks.base import Task
from molfusion.tasks.pretraining import Pretraining
from molfusion.tasks.property import Property
from molfusion.tasks.retrieval import Retrieval
from molfusion.tasks.schedule import Constant, Schedule, WarmupCosine

__all__ = ["Constant", "Pretraining", "Property", "Retrieval", "Schedule", "Task", "WarmupCosine"]
