"""A generator and a discriminator with an optimizer each, two backward passes an iteration."""

import torch
import torch.nn.functional as F

from harness import Training, case

ITERATIONS = 8


def generator():
    return torch.nn.Sequential(
        torch.nn.ConvTranspose2d(8, 16, 4),
        torch.nn.BatchNorm2d(16),
        torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
        torch.nn.Tanh(),
    )


def discriminator():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 4, stride=2, padding=1),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Dropout2d(0.2),
        torch.nn.Flatten(),
        torch.nn.Linear(256, 1),
    )


@case(iterations=ITERATIONS, repeats=5, tier="fp32")
def gan(device):
    nets = {"generator": generator().to(device), "discriminator": discriminator().to(device)}
    g, d = nets["generator"], nets["discriminator"]
    adam = {
        name: torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=False) for name, net in nets.items()
    }
    real = [torch.randn(4, 1, 8, 8) for _ in range(3)]

    def step(images):
        z = torch.randn(4, 8, 1, 1, device=device)  # drawn on the host, whatever the device
        fake = g(z)
        adam["discriminator"].zero_grad()
        loss_d = F.softplus(-d(images.to(device))).mean() + F.softplus(d(fake.detach())).mean()
        loss_d.backward()
        adam["discriminator"].step()
        adam["generator"].zero_grad()
        loss_g = F.softplus(-d(fake)).mean()
        loss_g.backward()
        adam["generator"].step()
        return {"d": {"loss_adv": loss_d}, "g": {"loss_adv": loss_g}}

    return Training(nets, adam, batches=real, step=step)
