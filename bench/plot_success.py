"""Success against the number of episodes, as a picture, out of files that `qtopt evaluate` wrote.

    python bench/plot_success.py --out episodes.png "QT-Opt:1021:qt1.json" "QT-Opt:3088:qt3.json" ...

Points of the same name are one line.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np


def read(path: Path) -> tuple[float, float, float]:
    """Return the rate of success of the only policy in a file, and its 95 % interval."""
    scores = json.loads(path.read_text())["scores"]
    if len(scores) != 1:
        raise SystemExit(f"{path}: holds {len(scores)} policies, expected one")
    truth = scores[0]["truth"]
    return truth["rate"], *truth["interval_95"]


def main() -> None:
    """Draw one line per name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("points", nargs="+", metavar="NAME:EPISODES:FILE")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    lines: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for point in arguments.points:
        name, episodes, path = point.split(":", 2)
        lines[name].append((float(episodes), *read(Path(path))))
    figure, axes = plt.subplots(figsize=(7.0, 4.0), layout="constrained")
    for name, points in lines.items():
        x, y, low, high = np.array(sorted(points)).T
        axes.errorbar(x, 100 * y, yerr=100 * np.array([y - low, high - y]), marker="o", capsize=3, label=name)
    axes.set(xscale="log", xlabel="episodes", ylabel="success on test scenes [%]", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
