"""Sets of traces as bits, 64 to a word, so that thousands of sets are met and counted at once."""

import numpy as np
from jaxtyping import Bool, Int64, UInt64


def bits(traces: Int64[np.ndarray, " chosen"], *, n_traces: int) -> UInt64[np.ndarray, " word"]:
    """Returns the bits of some traces."""
    return bits_of_rows(np.stack([np.zeros_like(traces), traces]), shape=(1, n_traces))[0]


def traces_of(words: UInt64[np.ndarray, " word"], *, n_traces: int) -> Bool[np.ndarray, " trace"]:
    """Returns which traces some bits stand for."""
    return np.unpackbits(words.view(np.uint8), count=n_traces, bitorder="little").view(bool)


def bits_of_rows(placed: Int64[np.ndarray, "2 set"], *, shape: tuple[int, int]) -> UInt64[np.ndarray, "row word"]:
    """Returns a row of bits for each of `shape[0]` rows; `placed` holds (row, trace) of every bit that is set."""
    words = np.zeros((shape[0], -(-shape[1] // 64)), dtype=np.uint64)
    np.bitwise_or.at(words, (placed[0], placed[1] // 64), np.uint64(1) << (placed[1] % 64).astype(np.uint64))
    return words
