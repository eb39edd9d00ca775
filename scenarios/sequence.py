"""One call after the other, each with the result of the one before; fractions stay exact."""

from fractions import Fraction

from atasks_ng import atask


@atask
async def improve(guess: Fraction, square: int) -> Fraction:
    """Return a better square root: one step of Newton's method."""
    return (guess + square / guess) / 2


async def main(square: int = 2, steps: int = 5) -> None:
    root = Fraction(square)
    for _ in range(steps):
        root = await improve(root, square)
        print(f"{root.numerator} / {root.denominator}")
    print(f"off by {float(abs(root**2 - square)):.0e} when squared")
