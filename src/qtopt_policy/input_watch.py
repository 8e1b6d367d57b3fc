"""Which inputs have fallen silent, on the steady clock."""


class InputWatch:
    """Notes when each input was last heard.

    Args:
        sources: names of the inputs.
        patience: silence after which an input counts as silent [s].
    """

    def __init__(self, sources: tuple[str, ...], patience: float) -> None:
        self._patience = patience
        self._heard = dict.fromkeys(sources, 0.0)

    def restart(self, steady: float) -> None:
        """Count from now on."""
        self._heard = dict.fromkeys(self._heard, steady)

    def heard(self, source: str, steady: float) -> None:
        """Note that `source` has delivered."""
        self._heard[source] = steady

    def silent(self, steady: float) -> tuple[str, ...]:
        """Return the inputs that have been silent for longer than the patience."""
        return tuple(name for name, heard in self._heard.items() if steady - heard > self._patience)

    def longest(self, steady: float) -> float:
        """Return the longest silence of any input [s]."""
        return steady - min(self._heard.values())
