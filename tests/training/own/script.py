"""A script of a user's own, watched in place: python script.py FOLDER DEVICE [FAULT]."""

import sys

import torch
import torch.nn.functional as F

import harness


def main(folder, kind, *faults):
    if kind == "emulated":
        from harness.lab.emulation import install
        from harness.lab.faults import parse_fault

        install("fp32", [parse_fault(fault) for fault in faults])
        kind = "sdaa"
    torch.manual_seed(1)
    device = torch.device(kind)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Flatten(), torch.nn.Linear(288, 5)
    ).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    data = [(torch.randn(4, 3, 8, 8), torch.randint(5, (4,))) for _ in range(10)]
    losses = []
    with harness.watch(model, optimizer, folder=folder, iterations=6, case="script") as watching:
        for images, labels in data:
            with watching.step((images, labels)):
                loss = F.cross_entropy(model(images.to(device)), labels.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                watching.log(loss=loss)
            losses.append(loss.item())
    print(losses)


if __name__ == "__main__":
    main(*sys.argv[1:])
