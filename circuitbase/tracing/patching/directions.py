"""The two directions of patching."""

from enum import StrEnum


class Direction(StrEnum):
    """What is put where: noising puts the corrupted run's values into the clean run, denoising the reverse.

    Noising asks what is needed, denoising what suffices; an OR and an AND answer them oppositely.
    """

    NOISING = "noising"
    DENOISING = "denoising"
