"""mmengine's visualizer for a run that nobody looks at: its figure is made when something is drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mmengine.registry import VISUALIZERS
from mmengine.visualization import Visualizer

__all__ = ["LateVisualizer"]


@VISUALIZERS.register_module()
class LateVisualizer(Visualizer):  # type: ignore[misc]  # mmengine is not typed
    """Every Runner has a visualizer, and mmengine's makes a figure at once.

    To import matplotlib for it is a fifth of the processor time of a small run. A hook of the user's that draws finds
    the figure there: whatever is drawn is drawn on an image, which is set first.
    """

    fig_save_canvas: Any
    fig_save: Any
    ax_save: Any

    def _initialize_fig(self, fig_cfg: dict[str, Any]) -> tuple[Any, ...]:
        return None, SimpleNamespace(get_dpi=lambda: 0.0), None

    def set_image(self, image: Any) -> None:
        """As mmengine's; the first one makes the figure."""
        if self.fig_save_canvas is None:
            self.fig_save_canvas, self.fig_save, self.ax_save = super()._initialize_fig(self.fig_save_cfg)
            self.dpi = self.fig_save.get_dpi()
        super().set_image(image)
