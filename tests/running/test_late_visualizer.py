"""The visualizer of a recorded run: nothing is made for it before something is drawn, and then what mmengine draws."""

import numpy as np
import torch
from mmengine.visualization import Visualizer

from harness.running.late_visualizer import LateVisualizer


def drawn(kind, name):
    visualizer = kind.get_instance(name, vis_backends=None)
    visualizer.set_image(np.full((40, 60, 3), 200, np.uint8))
    visualizer.draw_bboxes(torch.tensor([[5.0, 5.0, 30.0, 20.0]]), edge_colors="r")
    visualizer.draw_texts("here", torch.tensor([10.0, 25.0]), colors="b")
    visualizer.add_scalar("loss", 1.0)
    return visualizer.get_image()


def test_it_draws_what_mmengine_draws():
    assert LateVisualizer.get_instance("waiting", vis_backends=None).fig_save_canvas is None
    theirs = drawn(Visualizer, "theirs")
    assert len(np.unique(theirs)) > 2
    assert np.array_equal(drawn(LateVisualizer, "ours"), theirs)
