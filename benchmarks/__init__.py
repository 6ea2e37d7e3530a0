"""What is claimed of speed and memory, measured. Never with the stores of a service that this shell happens to name."""

from medley.local.process import forget_settings

forget_settings()
