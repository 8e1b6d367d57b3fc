"""Double of ExecutionStatus."""


class ExecutionStatus:
    """The end of an execution."""

    def __init__(self, status: str) -> None:
        self.status = status

    def __bool__(self) -> bool:
        return self.status == "SUCCEEDED"
