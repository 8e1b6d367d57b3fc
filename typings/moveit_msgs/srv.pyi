class ServoCommandType:
    class Request:
        JOINT_JOG: int
        TWIST: int
        POSE: int
        command_type: int
        def __init__(self, *, command_type: int = 0) -> None: ...

    class Response:
        success: bool
