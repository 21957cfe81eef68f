"""What happened in each epoch of a run."""

from dataclasses import dataclass, field


@dataclass
class History:
    """What happened in each epoch of a run.

    Attributes:
        steps: gradient steps taken at the end of the epoch, counted from the start of the run.
        loss: mean training loss per sample during the epoch, without the penalty.
        penalty: the penalty's value at the end of the epoch (empty without a penalty).
        val_loss: loss on the validation data (empty without validation data).
        val_accuracy: accuracy on the validation data, 0..1.
        seconds: wall time of the epoch.
    """

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    penalty: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        return len(self.loss)

    def __repr__(self) -> str:
        if not self.loss:
            return "History: nothing trained yet"
        steps = f"{self.steps[-1]:,} steps in {sum(self.seconds):.1f} s"
        text = (
            f"History: {self.epochs} epochs, {steps}, loss {self.loss[0]:.3f} → {self.loss[-1]:.3f}"
        )
        if self.val_accuracy:
            text += f", validation accuracy {self.val_accuracy[-1]:.1%}"
        return text
