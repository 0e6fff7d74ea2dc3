import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rerank_bundle.build import BundleReport
from rerank_bundle.errors import ArchiveError
from rerank_bundle.unpack import Limits, unpack

Craft = Callable[..., Path]


def _of_type(kind: bytes, name: str = "config.json", link: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, link
    return header


def _refused(archive: Path, tmp_path: Path, **more: Limits) -> str:
    """What unpacking it raises; nothing may have been written beside the folder it was given."""
    folder = tmp_path / "box" / "inside"
    folder.mkdir(parents=True)
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, folder, **more)
    assert [folder] == list(folder.parent.iterdir())
    return str(caught.value)


def test_a_bundle_unpacks_to_its_members(built: BundleReport, unpacked: Path) -> None:
    """Every member lies where its name says."""
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}

    assert set(built.members) == found


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a character device"),
        (tarfile.BLKTYPE, "a block device"),
        (tarfile.FIFOTYPE, "a named pipe"),
        (tarfile.DIRTYPE, "a folder entry"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"Z", "of an unknown type"),
    ],
)
def test_anything_but_a_plain_file_is_refused(craft: Craft, tmp_path: Path, kind: bytes, said: str) -> None:
    """Links, devices, pipes and folders have no place in a bundle."""
    assert said in _refused(craft((_of_type(kind, link="/etc/passwd"), b"")), tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/etc/cron.d/job", "absolute"),
        ("../outside.json", "leads out"),
        ("code/../../outside.py", "leads out"),
        ("./config.json", "plain form"),
        ("code\\serve.py", "plain form"),
        ("C:evil.json", "absolute"),
        ("pytorch_model.bin", "does not belong"),
        ("code/sitecustomize.py", "does not belong"),
        ("code/torch/__init__.py", "does not belong"),
    ],
)
def test_strange_names_are_refused(craft: Craft, tmp_path: Path, name: str, said: str) -> None:
    """A path that leads out, or a file that no bundle holds, is refused by its name."""
    assert said in _refused(craft((tarfile.TarInfo(name), b"x")), tmp_path)


@pytest.mark.parametrize("second", ["config.json", "CONFIG.json"])
def test_a_second_member_of_a_name_is_refused(craft: Craft, tmp_path: Path, second: str) -> None:
    """Doubles are refused, also those that only some file systems take for doubles."""
    archive = craft((tarfile.TarInfo("config.json"), b"1"), (tarfile.TarInfo(second), b"2"))

    assert "is there twice" in _refused(archive, tmp_path)


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extension_headers_are_refused(craft: Craft, tmp_path: Path, format: int) -> None:
    """Headers that give the next member another name could smuggle one past the checks."""
    archive = craft((tarfile.TarInfo("code/rerank_engine/" + "a" * 300 + ".py"), b"x"), format=format)

    assert "extension header" in _refused(archive, tmp_path)


def test_too_many_members_are_refused(craft: Craft, tmp_path: Path) -> None:
    """The number of files is limited."""
    entries = [(tarfile.TarInfo(f"code/rerank_engine/m{number}.py"), b"") for number in range(4)]

    assert "more than 3 members" in _refused(craft(*entries), tmp_path, limits=Limits(members=3))


def test_a_bomb_is_refused_before_it_is_written(craft: Craft, tmp_path: Path) -> None:
    """A small archive that would unpack to a lot is refused by what its header says, before a byte is written."""
    archive = craft((tarfile.TarInfo("model.safetensors"), bytes(80 * 1024**2)))
    said = _refused(archive, tmp_path, limits=Limits(ratio=2.0))

    assert "would unpack to 83,886,080 bytes" in said
    assert [] == list((tmp_path / "box" / "inside").iterdir())


def test_the_size_is_limited_in_all(craft: Craft, tmp_path: Path) -> None:
    """The limit holds for all members together."""
    archive = craft((tarfile.TarInfo("config.json"), bytes(600)), (tarfile.TarInfo("README.md"), bytes(600)))

    assert "1,000 are allowed" in _refused(archive, tmp_path, limits=Limits(unpacked_bytes=1000))


def test_an_archive_that_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    """A member shorter than its header says ends the archive early."""
    header = tarfile.TarInfo("config.json")
    header.size = 5000
    path = tmp_path / "short.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + b"{}"))

    assert "is cut short" in _refused(path, tmp_path)


def test_a_truncated_download_is_refused(built: BundleReport, tmp_path: Path) -> None:
    """Half a bundle is not a bundle."""
    path = tmp_path / "half.tar.gz"
    path.write_bytes(built.path.read_bytes()[: built.size // 2])

    assert "not a complete gzip file" in _refused(path, tmp_path)


def test_a_flipped_bit_is_noticed(built: BundleReport, tmp_path: Path) -> None:
    """gzip's checksum notices damage that the tar headers do not show."""
    raw = bytearray(built.path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path = tmp_path / "flipped.tar.gz"
    path.write_bytes(raw)

    assert "not a complete gzip file" in _refused(path, tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 a zip file", gzip.compress(b"not a tar archive" * 99, mtime=0)],
    ids=["empty", "zip", "no tar"],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """What is no gzipped tar archive is said to be none."""
    path = tmp_path / "other.tar.gz"
    path.write_bytes(content)

    assert _refused(path, tmp_path).startswith(("other.tar.gz is not a complete gzip file", "The archive is damaged"))


def test_nothing_may_follow_the_end(tmp_path: Path) -> None:
    """Data behind the end marker, which other readers might read, is refused."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("config.json"))
    path = tmp_path / "longer.tar.gz"
    path.write_bytes(gzip.compress(raw.getvalue()) + gzip.compress(b"hidden"))

    assert "goes on after its end" in _refused(path, tmp_path)


def test_a_missing_file_says_how_to_build_one(tmp_path: Path) -> None:
    """The tip names the command."""
    with pytest.raises(ArchiveError) as caught:
        unpack(tmp_path / "absent.tar.gz", tmp_path)

    assert "Build it first: rerank package SOURCE." == caught.value.tip
