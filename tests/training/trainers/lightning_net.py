"""Lightning's Trainer on a small network: Adam, accumulation, clipping."""

import warnings

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from started import start

from harness.training.hooks.lightning_callback import WatchCallback

warnings.filterwarnings("ignore")


class Anywhere(CPUAccelerator):
    """Lightning doesn't know the emulated device."""

    def setup_device(self, device):
        pass


class Net(LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.1),
            torch.nn.Flatten(),
            torch.nn.Linear(288, 4),
        )

    def training_step(self, batch, _):
        images, labels = batch
        loss = F.cross_entropy(self.net(images), labels)
        self.log("loss_ce", loss)
        return loss

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)}


def train(folder, kind):
    seed_everything(0, verbose=False)
    data = torch.utils.data.TensorDataset(torch.randn(32, 3, 8, 8), torch.randint(4, (32,)))
    loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
    trainer = Trainer(
        max_steps=4, accumulate_grad_batches=2, gradient_clip_val=0.5, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
        strategy=SingleDeviceStrategy(torch.device(kind), accelerator=Anywhere()),
        callbacks=[WatchCallback(folder, iterations=8, case="lightning")],
    )  # fmt: skip
    trainer.fit(Net(), loader)


start(train)
