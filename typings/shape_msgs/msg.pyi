class SolidPrimitive:
    BOX: int
    type: int
    dimensions: list[float]
    def __init__(self, *, type: int = 0, dimensions: list[float] = ...) -> None: ...
