"""How sure a success rate is."""

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
