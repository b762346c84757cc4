"""Why a plugin can't do its work, in words for the person who has to mend it."""


class PluginError(Exception):
    """Ends the call with a stable word and a sentence.

    `path` says where, as a JSON pointer such as `/items/0/qty`. Any other exception is passed on with its traceback.
    """

    kind = "other"

    def __init__(self, code: str, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path


class BadDocument(PluginError):
    """Blames the document."""

    kind = "bad-document"


class BadSettings(PluginError):
    """Blames the webhook's settings for this plugin."""

    kind = "bad-settings"
