"""The few exceptions that are ours. Each subclasses the built-in that a caller would catch."""


class TraceFormatError(ValueError):
    """Raised when a file or value is not a trace of ours, or one of a format that this version does not know."""


class RecordingError(RuntimeError):
    """Raised when a recording is begun inside another one, or a trace is read before its recording has ended."""


class OverwriteError(RuntimeError):
    """Raised in strict mode, in place of a write that would destroy what a live graph has saved for backward."""
