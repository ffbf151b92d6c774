"""How rows of columns compare with the ones before them."""

import numpy as np


def row_order(columns: tuple[np.ndarray, ...]) -> np.ndarray:
    """Returns for each row but the first how it compares with the one before: 1 later, 0 equal, -1 earlier."""
    order = np.zeros(max(0, len(columns[0]) - 1), dtype=np.int8)
    for column in columns:
        order = np.where(order == 0, np.sign(np.diff(column.astype(np.int64))), order)
    return order
