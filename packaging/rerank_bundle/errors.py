"""Every error of the bundle's making and checking, as a tree.

BundleError
├── SourceError          the checkpoint cannot be packaged: no config, no weights, damaged JSON
│   ├── UnsafeFile       it holds a pickle, a link, a requirements.txt or a path that leads out of it
│   ├── TokenizerMismatch  its tokenizer.json and tokenizer_config.json make other token ids of the same text
│   └── HubError         it could not be fetched: not pinned, not found, gated, no network
├── SettingError         a --setting is not one of the engine's settings
├── ArchiveError         the tarball is not one that may be unpacked: links, escaping paths, bombs, strangers
├── ManifestError        the members are not those that the manifest lists, or the manifest cannot be read
├── ScoringError         the bundle's own code could not load the model or score a pair
├── ScoreMismatch        it scored, but not what was recorded (canary) or published (acceptance)
└── PrecisionRefused     a lower precision cannot be had here, or ranks too differently from fp32
"""


class BundleError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        tip: what the reader can do about it; None when the message already says it.
    """

    def __init__(self, message: str, *, tip: str | None = None) -> None:
        super().__init__(message)
        self.tip = tip


class SourceError(BundleError):
    """The source is not a checkpoint that can be packaged."""


class UnsafeFile(SourceError):
    """The source holds a file that must not be shipped."""


class TokenizerMismatch(SourceError):
    """tokenizer.json and tokenizer_config.json disagree, so that scores would depend on who reads them."""


class HubError(SourceError):
    """The checkpoint could not be fetched from the model hub."""


class SettingError(BundleError):
    """A setting written into the bundle is unknown, malformed or out of bounds."""


class ArchiveError(BundleError):
    """The tarball must not be unpacked, or is none."""


class ManifestError(BundleError):
    """The manifest is missing or damaged, or the members are not what it says."""


class ScoringError(BundleError):
    """The bundle's own code could not load the model or score a pair."""


class ScoreMismatch(BundleError):
    """The scores are not those that were recorded or published."""


class PrecisionRefused(BundleError):
    """A lower precision cannot be had here, or its scores are too far from those of fp32."""
