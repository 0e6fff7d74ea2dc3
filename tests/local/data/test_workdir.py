"""Archives of models are unpacked below one folder, on Pythons with and without the filters of tarfile."""

import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from rerank_local.data.container.workdir import WorkDir
from rerank_local.data.errors import ModelDataFailed

URL = "s3://models/model.tar.gz"


@pytest.fixture(params=["filters of tarfile", "none, as in Python 3.11.2"])
def _filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "filters of tarfile":
        return
    for name in [name for name in vars(tarfile) if name.endswith("_filter")]:
        monkeypatch.delattr(tarfile, name)

    def without_filter(method: Callable[..., None]) -> Callable[..., None]:
        def call(self: tarfile.TarFile, *args: Any, **kwargs: Any) -> None:
            if "filter" in kwargs:
                raise TypeError("got an unexpected keyword argument 'filter'")
            method(self, *args, **kwargs)

        return call

    for name in ("extract", "extractall"):
        monkeypatch.setattr(tarfile.TarFile, name, without_filter(getattr(tarfile.TarFile, name)))


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def file(name: str, content: bytes = b"content", mode: int = 0o666) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.mode = mode
    return member, content


def other(kind: bytes, name: str, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def unpacked(archive: bytes) -> WorkDir:
    work = WorkDir()
    work.unpack(lambda url: io.BytesIO(archive), URL)
    return work


@pytest.mark.usefixtures("_filters")
def test_an_archive_is_unpacked() -> None:
    """Folders, files, links within the folder; of two members with one name the last one counts."""
    work = unpacked(
        packed(
            other(tarfile.DIRTYPE, "code"),
            file("code/serve.py", b"old"),
            file("./code/serve.py", b"new"),
            file("code/start", mode=0o777),
            other(tarfile.LNKTYPE, "hard.py", "code/serve.py"),
            other(tarfile.SYMTYPE, "deep/soft.py", "../code/serve.py"),
        )
    )
    model = work.base / "model"

    assert b"new" == (model / "code" / "serve.py").read_bytes() == (model / "hard.py").read_bytes()
    assert b"new" == (model / "deep" / "soft.py").read_bytes()
    assert (0o644, 0o755) == tuple((model / "code" / name).stat().st_mode & 0o777 for name in ("serve.py", "start"))
    work.close()


@pytest.mark.usefixtures("_filters")
@pytest.mark.parametrize(
    "members",
    [
        pytest.param([file("../outside")], id="name above the folder"),
        pytest.param([file("code/../../outside")], id="name that climbs out"),
        pytest.param([file("/tmp/outside")], id="absolute name"),
        pytest.param([other(tarfile.SYMTYPE, "link", "/etc/passwd")], id="link to an absolute path"),
        pytest.param([other(tarfile.SYMTYPE, "a/link", "../../outside")], id="link out of the folder"),
        pytest.param(
            [other(tarfile.SYMTYPE, "here", "."), other(tarfile.SYMTYPE, "up", "here/..")], id="link through a link"
        ),
        pytest.param([other(tarfile.LNKTYPE, "link", "../outside")], id="hard link out of the folder"),
        pytest.param([other(tarfile.CHRTYPE, "device")], id="device"),
        pytest.param([other(tarfile.FIFOTYPE, "pipe")], id="pipe"),
    ],
)
def test_members_that_leave_the_folder_are_refused(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    """With the member's name, and nothing is written outside."""
    with pytest.raises(ModelDataFailed, match=rf"member '{members[-1][0].name}"):
        unpacked(packed(*members))


@pytest.mark.usefixtures("_filters")
def test_no_member_is_written_through_a_link() -> None:
    """A link and then a file below it: the link's place is taken by the folder, so the archive is refused."""
    archive = packed(other(tarfile.SYMTYPE, "code", "other"), file("code/serve.py"), file("other/kept.py"))

    with pytest.raises(ModelDataFailed, match="File exists"):
        unpacked(archive)


@pytest.mark.usefixtures("_filters")
def test_an_archive_that_is_cut_short_is_refused() -> None:
    """Half of its bytes do not make half of a model."""
    archive = packed(file("model.safetensors", bytes(range(256)) * 4_000))

    with pytest.raises(ModelDataFailed, match="valid tar"):
        unpacked(archive[: len(archive) // 2])
