"""How sure a success rate is, and a difference of two."""

from math import comb
from statistics import NormalDist

from qtopt_policy.errors import ConfigError


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a binomial proportion.

    (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    (E. B. Wilson 1927, JASA 22:209.) Unlike the normal approximation it holds for few trials and for rates
    near 0 and 1. No trials give (0, 1): nothing is known.

    Raises:
        ConfigError: not 0 <= successes <= trials, or the confidence is not within (0, 1).
    """
    if not 0 <= successes <= trials:
        raise ConfigError(f"{successes} successes in {trials} trials")
    if not 0.0 < confidence < 1.0:
        raise ConfigError(f"confidence {confidence}: must be in (0, 1)")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    p, n = successes / trials, float(trials)
    centre = p + z * z / (2.0 * n)
    margin = z * float((p * (1.0 - p) / n + z * z / (4.0 * n * n)) ** 0.5)
    scale = 1.0 + z * z / n
    # Exact at the ends: rounding must not leave [0, 1] or miss the observed rate there.
    low = 0.0 if successes == 0 else (centre - margin) / scale
    high = 1.0 if successes == trials else (centre + margin) / scale
    return low, high


def paired_interval(
    first_only: int, second_only: int, trials: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the difference of two rates of success on the same trials, first less second.

    With half a trial added to each of the four cells, n' = n + 2, b' = b + 1/2, c' = c + 1/2:

        (b' - c') / n'  +-  z sqrt(b' + c' - (b' - c')^2 / n') / n'

    (A. Agresti and Y. Min 2005, Statistics in Medicine 24:729: the adjusted Wald interval for matched pairs.)

    Args:
        first_only: trials in which only the first succeeded (b).
        second_only: trials in which only the second succeeded (c).
        trials: all of them (n).
        confidence: of the interval.

    Raises:
        ConfigError: the counts are negative or more than the trials, or the confidence is not within (0, 1).
    """
    if min(first_only, second_only) < 0 or first_only + second_only > trials:
        raise ConfigError(f"{first_only} and {second_only} of {trials} trials")
    if not 0.0 < confidence < 1.0:
        raise ConfigError(f"confidence {confidence}: must be in (0, 1)")
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    n, b, c = trials + 2.0, first_only + 0.5, second_only + 0.5
    difference = (b - c) / n
    margin = z * float((b + c - (b - c) ** 2 / n) ** 0.5) / n
    return max(-1.0, difference - margin), min(1.0, difference + margin)


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the two-sided p value of McNemar's exact test: is one of the two better on the same trials?

    Under the null hypothesis the discordant trials are tosses of a fair coin.
    """
    tosses = first_only + second_only
    tail = sum(comb(tosses, k) for k in range(min(first_only, second_only) + 1))
    return min(1.0, 2.0 * tail / float(2**tosses))
