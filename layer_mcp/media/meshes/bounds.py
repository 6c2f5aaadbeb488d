"""Boxes around meshes, and the matrices that place them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

Matrix = tuple[float, ...]
"""Three rows of four: what is multiplied with a point and 1."""

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True)
class Box:
    """The smallest and the largest coordinates on three axes."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def size(self) -> list[float] | None:
        """Return the lengths on the axes to four digits, or None if they aren't finite."""
        sizes = [high - low for low, high in zip(self.low, self.high, strict=True)]
        if not all(math.isfinite(size) and size >= 0 for size in sizes):
            return None
        return [float(f"{size:.{SIGNIFICANT_DIGITS}g}") for size in sizes]

    def moved(self, matrix: Matrix) -> "Box":
        """Return the box around this box after a transformation."""
        low, high = list[float](), list[float]()
        for row in range(0, 12, 4):
            ends = [
                sorted((matrix[row + axis] * self.low[axis], matrix[row + axis] * self.high[axis]))
                for axis in range(3)
            ]
            low.append(matrix[row + 3] + sum(end[0] for end in ends))
            high.append(matrix[row + 3] + sum(end[1] for end in ends))
        return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def around(boxes: Iterable[Box]) -> Box | None:
    """Return the box around boxes; None if there are none."""
    found = list(boxes)
    if not found:
        return None
    lows = [min(box.low[axis] for box in found) for axis in range(3)]
    highs = [max(box.high[axis] for box in found) for axis in range(3)]
    return Box((lows[0], lows[1], lows[2]), (highs[0], highs[1], highs[2]))


def multiply(left: Matrix, right: Matrix) -> Matrix:
    """Return the transformation that does `right`, then `left`."""
    return tuple(
        left[row] * right[column]
        + left[row + 1] * right[4 + column]
        + left[row + 2] * right[8 + column]
        + (left[row + 3] if column == 3 else 0.0)
        for row in (0, 4, 8)
        for column in range(4)
    )


def from_columns(values: list[float]) -> Matrix:
    """Return the matrix that glTF writes as 16 numbers, column by column."""
    return tuple(values[column * 4 + row] for row in range(3) for column in range(4))


def from_parts(move: list[float], turn: list[float], scale: list[float]) -> Matrix:
    """Return the matrix of a translation, a unit quaternion (x, y, z, w) and a scale."""
    x, y, z, w = turn
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return tuple(
        value
        for row, offset in zip(rows, move, strict=True)
        for value in (*(part * factor for part, factor in zip(row, scale, strict=True)), offset)
    )
