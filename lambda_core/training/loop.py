"""The training loop, whole: one step after another, the state on disk after each epoch and when asked to stop."""

import csv
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2
from tqdm import tqdm

from lambda_core.checkpoints import CheckpointRefused
from lambda_core.data import IMAGENET_MEAN, IMAGENET_STD, Repeatable, normalize
from lambda_core.models.head import Classifying
from lambda_core.models.widening import CannotWiden, widen
from lambda_core.training.batches import batches
from lambda_core.training.config import INIT, Recipe
from lambda_core.training.faults import TrainingStopped, write_atomically, writing
from lambda_core.training.loaders import outlive_stop, served
from lambda_core.training.norms import share_norms
from lambda_core.training.optimizing import OPTIMIZERS, Average, parameter_groups, schedule

try:
    from accelerate import Accelerator
    from torchmetrics import MeanMetric
    from torchmetrics.classification import MulticlassAccuracy
except ImportError as error:
    raise ImportError(f"training needs the package {error.name}: pip install accelerate torchmetrics") from error

CURVE = ("step", "loss")  # curve.csv: the mean loss of the steps since the line before
COLUMNS = ("epoch", "size", "train_loss", "seconds", "val_loss", "val_top1", "val_top5")  # log.csv; the last at times
# Fields of a recipe that say what a step is. Others may change while a run is under way: a smaller learning rate may be
# the way out, another number of epochs stretches what is left.
FIXED = ("model", "overrides", "data", "pictures", "held_out", "batch", "accumulate", "optimizer", "seed")
# Steps between looks at the loss, and on a GPU at requests to stop: each look waits for the device.
CHECK_EVERY = 10


def read_state(folder: Path) -> dict[str, Any] | None:
    """What `Run.save` wrote to state.pt, None where nothing is. Raises TrainingStopped for a file that is none."""
    path = folder / "state.pt"
    if not path.exists():
        return None
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise misfit(folder, error) from error


def misfit(folder: Path, error: Exception) -> TrainingStopped:
    """What to say of a state.pt that does not fit, for whatever reason."""
    why = (str(error) or type(error).__name__).splitlines()[0]
    return TrainingStopped(
        f"{folder / 'state.pt'} is not a state that this recipe can go on from ({why}); it was left as it is: run "
        "the command that began it, or choose another --out"
    )


@torch.inference_mode()
def evaluate(
    model: nn.Module, loader: DataLoader, classes: int, device: torch.device | str = "cpu",
    mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD,
) -> dict[str, float]:  # fmt: skip
    """Top-1 and top-5 accuracy in per cent and mean cross-entropy over a loader, in float32, over all processes.

    mean, std: of the pictures that the network was trained on, channel by channel, as `normalize` takes them.
    """
    model.eval()
    top1 = MulticlassAccuracy(classes, average="micro").to(device)
    top5 = MulticlassAccuracy(classes, average="micro", top_k=min(5, classes)).to(device)
    loss = MeanMetric().to(device)
    with served(loader) as parts:
        for images, labels in parts:
            scores, labels = model(normalize(images.to(device), mean, std)).float(), labels.to(device)
            loss.update(nn.functional.cross_entropy(scores, labels), weight=len(labels))
            top1.update(scores, labels)
            top5.update(scores, labels)
    return {"top1": 100 * top1.compute().item(), "top5": 100 * top5.compute().item(), "loss": loss.compute().item()}


class Run:
    """A training run in a folder: state.pt (all that is needed to go on), log.csv (a line an epoch), curve.csv (a line
    every few steps).

    What a step does depends on the recipe and its number alone, never on when or where it runs: the order of the
    photographs and their augmentation are seeded by (seed, epoch, index); dropout, drop-path, mixup and cutmix by
    (seed, step) and the number of the process, so several processes equal one only without these four.
    """

    def __init__(
        self, recipe: Recipe, model: nn.Module, folder: Path, classes: tuple[str, ...], accelerator: Accelerator
    ) -> None:
        self.recipe, self.folder, self.classes, self.accelerator = recipe, folder, tuple(classes), accelerator
        self.device = accelerator.device
        last = recipe.channels_last and self.device.type != "mps"  # its batch norm is not right there in each PyTorch
        self.memory_format = torch.channels_last if last else torch.contiguous_format
        self.model = model.to(self.device).to(memory_format=self.memory_format)
        self.average = Average(self.model, recipe.ema)
        if recipe.checkpoint_blocks:
            cast(Classifying, self.model).set_grad_checkpointing()
        if accelerator.num_processes > 1:
            self.model = share_norms(self.model, self.device)
        groups = parameter_groups(self.model, recipe.weight_decay)
        # On a GPU a small network is as fast as its kernels are launched: one for all parameters.
        optimizer = OPTIMIZERS[recipe.optimizer](groups, recipe.lr, self.device.type == "cuda" or None)
        self.optimizer = accelerator.prepare_optimizer(optimizer)
        wrapped = accelerator.prepare_model(self.model)
        mode = "reduce-overhead" if self.device.type == "cuda" else "default"  # launches as one graph
        self.forward = torch.compile(wrapped, dynamic=False, mode=mode) if recipe.compile else wrapped
        self.mixed = _mix(recipe, len(classes))  # of the epoch at hand
        self.epoch, self.step, self.begun = 0, 0, 0  # whole epochs, steps in all, steps of this epoch
        self.loss_sum, self.seconds = 0.0, 0.0  # of this epoch
        self.history: list[dict[str, float]] = []  # a row an epoch, as in log.csv
        self.curve: list[tuple[int, float]] = []  # a point every few steps, as in curve.csv
        self.init = "random weights"  # in words, what the run began from
        # how pictures are prepared, as in a checkpoint
        self.preprocess: dict[str, Any] = {"size": recipe.size, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
        self.changes: list[dict[str, Any]] = []  # what was changed of the recipe on the way, and of the data
        self.changed: dict[str, Any] = {}  # of these, by the command that goes on
        self.counts: dict[str, int] = {}  # of pictures, by what they are for
        self.stop = 0  # a signal's number, set by it: save and leave after the step at hand

    def close(self) -> None:
        """Leave the other processes, all at one time, with no thread of theirs left.

        Who leaves early breaks the connections of the others. DistributedDataParallel holds its process group, and a
        thread of gloo that is still there when the interpreter ends may abort the process.
        """
        self.accelerator.wait_for_everyone()
        self.forward = self.model
        self.accelerator.free_memory()
        self.accelerator.end_training()

    def save(self) -> None:
        """Write state.pt, then the logs that are in it: of a run that is lost in between, `write_logs` writes them."""
        if not self.accelerator.is_main_process:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        scaler = self.accelerator.scaler
        state = {
            "architecture": {"name": self.recipe.model, "overrides": self.recipe.overrides},
            "classes": list(self.classes),
            "counts": self.counts,
            "preprocess": self.preprocess,
            "recipe": asdict(self.recipe),
            "history": self.history,
            "curve": self.curve,
            "init": self.init,
            "changes": self.changes,
            "epoch": self.epoch,
            "step": self.step,
            "begun": self.begun,
            "loss_sum": self.loss_sum,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler else {},
        }

        def write(path: Path) -> None:
            with path.open("wb") as file:  # torch.save to a path would not tell why a write failed
                torch.save(state, file)

        write_atomically(self.folder / "state.pt", write)
        self.write_logs()

    def write_logs(self) -> None:
        """Write log.csv and curve.csv as the run has them."""
        if self.accelerator.is_main_process:
            write_atomically(self.folder / "log.csv", self._write_log)
            write_atomically(self.folder / "curve.csv", self._write_curve)

    def resume(self, init: str | None = None) -> bool:
        """Go on from state.pt if it is there. Raises TrainingStopped for one that does not fit or cannot be read.

        init: the checkpoint that the run was begun from, if anybody says so: another one does not fit.
        """
        state = read_state(self.folder)
        if state is None:
            return False
        try:
            if tuple(state["classes"]) != self.classes:
                raise ValueError(f"it was begun with the classes {_few(state['classes'])}, not {_few(self.classes)}")
            self._check_recipe(state["recipe"])
            self.prepare_as(state.get("preprocess", {}))
            if init and (begun := state.get("init", Path(init).name)) != Path(init).name:
                raise ValueError(f"it was begun from {begun}, not from --init {Path(init).name}")
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            decays = [group["weight_decay"] for group in self.optimizer.param_groups]
            self.optimizer.optimizer.load_state_dict(state["optimizer"])
            for group, decay in zip(self.optimizer.param_groups, decays, strict=True):
                group["weight_decay"] = decay  # the recipe's, which may have changed; the state has that of before
            if self.accelerator.scaler and state["scaler"]:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            self.epoch, self.step, self.begun = state["epoch"], state["step"], state["begun"]
            self.loss_sum, self.seconds = state["loss_sum"], state["seconds"]
            self.history, self.curve = state["history"], state["curve"]
            self.init, self.changes = state.get("init", self.init), state.get("changes", [])
            before, now = ({**state["recipe"], "expects": ""}, asdict(replace(self.recipe, expects="")))
            before, now = before | state.get("counts", {}), now | self.counts
            self.changed = {name: value for name, value in now.items() if before.get(name, value) != value}
            if self.changed:
                self.changes.append({"after_epoch": self.epoch, **self.changed})
        except Exception as error:
            raise misfit(self.folder, error) from error
        return True

    def _check_recipe(self, begun: dict[str, Any]) -> None:
        """ValueError where the run was begun with a recipe whose steps are others."""
        now = asdict(self.recipe)
        for name in FIXED:
            if begun.get(name, now[name]) != now[name]:
                raise ValueError(f"it was begun with {name}={begun[name]!r}, not {now[name]!r}")

    def prepare_as(self, preprocess: Mapping[str, Any]) -> None:
        """Prepare pictures as a checkpoint's `preprocess` says, at the recipe's size; as before where it says nothing.

        mean and std are of training and of evaluation, crop and interpolation of evaluation alone.
        """
        names = ("mean", "std", "crop", "interpolation")
        self.preprocess |= {name: preprocess[name] for name in names if name in preprocess}

    def start_from(self, other: nn.Module) -> None:
        """Take over the weights of a network of the same shape, or of a narrower one (`models.widening`).

        Raises CheckpointRefused for any other.
        """
        try:
            # The average is never run in mixed precision.
            widen(other, self.average.module, self.recipe.seed, self.recipe.size)
        except CannotWiden as error:
            raise CheckpointRefused(
                f"the weights to start from belong to a network of another shape: {error} (--set model={INIT} trains "
                "their own)"
            ) from error
        self.model.load_state_dict(self.average.module.state_dict())

    def loader(self, data: Repeatable, workers: int, start: int = 0) -> tuple[DataLoader, int]:
        """This process's batches of the epoch at hand from a step on, and how many whole steps remain."""
        lists = list(self._lists(len(data), start))
        pinned = self.device.type == "cuda"
        loader = DataLoader(
            data, batch_sampler=lists, num_workers=workers, pin_memory=pinned, worker_init_fn=outlive_stop
        )
        return loader, len(lists) // self.recipe.accumulate

    def _lists(self, count: int, start: int) -> Iterator[list[int]]:
        return batches(
            count, self.recipe.batch, seed=self.recipe.seed, epoch=self.epoch, start=start,
            accumulate=self.recipe.accumulate,
            rank=self.accelerator.process_index, world=self.accelerator.num_processes,
        )  # fmt: skip

    def train_epoch(self, data: Repeatable, workers: int, total: int, log: Any = None) -> dict[str, float] | None:
        """The rest of the epoch at hand; its mean loss and seconds, or None if the run was asked to stop."""
        data.epoch = self.epoch
        self.mixed = _mix(self.recipe.at(self.epoch), len(self.classes))
        if self.accelerator.is_main_process:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / "curve.csv", self._write_curve)  # without what a lost run added
        loader, steps = self.loader(data, workers, self.begun)
        self.model.train()
        started, losses = time.perf_counter(), []
        bar = tqdm(
            total=self.begun + steps, initial=self.begun, unit="step", mininterval=5,
            desc=f"epoch {self.epoch + 1}/{self.recipe.epochs}", disable=not self.accelerator.is_main_process,
        )  # fmt: skip
        with served(loader) as parts:
            for number in range(steps):
                losses.append(self.train_step(parts, total))
                bar.update()
                # torchrun gives its processes 30 s, and ten steps on a CPU may take longer
                often = self.accelerator.num_processes == 1 or self.device.type == "cpu"
                leaving = often and self.asked_to_stop()
                if leaving or (number + 1) % CHECK_EVERY == 0 or number + 1 == steps:
                    mean = self._check(losses)
                    bar.set_postfix(loss=f"{mean:.3f}")
                    self.curve.append((self.step, mean))
                    if self.accelerator.is_main_process:
                        with (
                            writing(self.folder / "curve.csv"),
                            (self.folder / "curve.csv").open("a", encoding="utf-8") as file,
                        ):
                            file.write(f"{self.step},{mean}\n")
                    if log is not None:
                        log(self.step, mean)
                    losses = []
                    # Not what this process was told since: the others know nothing of it before the next step.
                    if (leaving if often else self.asked_to_stop()) and number + 1 < steps:
                        self.seconds += time.perf_counter() - started
                        self.save()
                        return None
        bar.close()
        row = {"train_loss": self.loss_sum / self.begun, "seconds": self.seconds + time.perf_counter() - started}
        self.epoch, self.begun, self.loss_sum, self.seconds = self.epoch + 1, 0, 0.0, 0.0
        return row

    def _check(self, losses: list[Tensor]) -> float:
        """The mean loss of the last steps over all processes. Raises TrainingStopped if it is not a number."""
        values = self.accelerator.reduce(torch.stack(losses), reduction="mean").tolist()
        if not all(map(math.isfinite, values)):
            kept = f"; {self.folder / 'state.pt'} holds the last good state" if self.history else ""
            raise TrainingStopped(
                f"the loss became {next(v for v in values if not math.isfinite(v))} before step {self.step}{kept}: "
                "take a smaller learning rate (--set lr=...), or train in float32"
            )
        for value in values:  # one by one: the same sum wherever the run was cut
            self.loss_sum += value
        return sum(values) / len(values)

    def asked_to_stop(self) -> bool:
        """Whether any process was asked to: all leave after the same step."""
        if self.accelerator.num_processes == 1:
            return bool(self.stop)
        asked = torch.tensor(float(self.stop), device=self.device)
        told = int(self.accelerator.gather(asked.view(1)).max().item())
        if told:  # a signal that came meanwhile stands: it is told of at the next step
            self.stop = self.stop or told
        return bool(told)

    def train_step(self, parts: Iterator, total: int) -> Tensor:
        """One step of the optimizer, over `accumulate` parts of a batch. Returns the loss, still on the device."""
        recipe, accelerator = self.recipe, self.accelerator
        torch.manual_seed((recipe.seed * 1_000_003 + self.step) * 101 + accelerator.process_index)
        done = self.epoch * (total // recipe.epochs) + self.begun  # unlike `step`, of the pictures that there are now
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr * schedule(done, total, recipe.warmup)
        whole = torch.zeros((), device=self.device)
        for _ in range(recipe.accumulate):
            images, labels = next(parts)
            with accelerator.accumulate(self.forward):
                images = images.to(self.device, non_blocking=True)
                images = normalize(images, self.preprocess["mean"], self.preprocess["std"])
                images, targets = self.mixed(images, labels.to(self.device, non_blocking=True))
                scores = self.forward(images.contiguous(memory_format=self.memory_format))
                loss = nn.functional.cross_entropy(scores.float(), targets, label_smoothing=recipe.label_smoothing)
                accelerator.backward(loss)
                if accelerator.sync_gradients and recipe.clip:
                    accelerator.clip_grad_norm_(self.model.parameters(), recipe.clip)
                self.optimizer.step()
                self.optimizer.zero_grad()
            whole += loss.detach() / recipe.accumulate
        self.average.update_parameters(self.model)
        self.step += 1
        self.begun += 1
        return whole

    def _write_log(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.history)

    def _write_curve(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([CURVE, *self.curve])


def _few(names: Sequence[str]) -> str:
    """The first of many names."""
    return ", ".join(names[:3] if len(names) <= 3 else [*names[:3], "..."])


def _mix(recipe: Recipe, classes: int) -> Any:
    """(images, labels) -> (images, targets): mixup or cutmix, one of them at random a batch, or neither."""
    choices: list[nn.Module] = []
    if recipe.mixup:
        choices.append(v2.MixUp(num_classes=classes, alpha=recipe.mixup))
    if recipe.cutmix:
        choices.append(v2.CutMix(num_classes=classes, alpha=recipe.cutmix))
    return v2.RandomChoice(choices) if choices else lambda images, labels: (images, labels)
