"""Publish the progress of downloads: the SDK for the shop's own workers, also used by orderctl's worker.

from orderctl.progress import ProgressEmitter

emitter = ProgressEmitter()
emitter.emit_progress(task_id, order_id, percent=12.5, current_file="lesson 1.mp4", speed=2_000_000)
"""

from __future__ import annotations

from orderctl.emitter import ProgressEmitter

__all__ = ["ProgressEmitter"]
