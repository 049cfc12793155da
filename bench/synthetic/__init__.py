"""GGUFs with the shapes of real models and random weights: written in seconds, downloaded never.

Speed and memory are the real model's; the text is noise.
"""

from bench.synthetic.models import SHAPES, synthetic_model

__all__ = ["SHAPES", "synthetic_model"]
