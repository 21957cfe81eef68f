"""Which pre-trained model? Scores, cost, and how well the scores predict fine-tuning."""

from transferlab.select.correlation import Correlation, rank_correlation, smallest_convincing
from transferlab.select.costs import Cost, cost
from transferlab.select.ranking import SCORES, fine_tuned_accuracy, rank_models
from transferlab.select.report import Ranking
from transferlab.select.scores import h_score, knn, leep, linear_probe, logme, nce

__all__ = [
    "SCORES",
    "Correlation",
    "Cost",
    "Ranking",
    "cost",
    "fine_tuned_accuracy",
    "h_score",
    "knn",
    "leep",
    "linear_probe",
    "logme",
    "nce",
    "rank_correlation",
    "rank_models",
    "smallest_convincing",
]
