import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from rerank_bundle.build import BundleReport, build
from rerank_bundle.errors import SourceError
from rerank_bundle.stored_gzip import StoredGzip
from rerank_bundle.tarball import write_tarball


def test_the_member_set_is_exact(built: BundleReport, inference: Path) -> None:
    """The archive holds the checkpoint, the manifest and each Python file of inference/, in order, and nothing else."""
    model = ["bundle.json", "config.json", "model.safetensors"]
    tokenizer = ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]
    engine = sorted(path.relative_to(inference).as_posix() for path in (inference / "rerank_engine").rglob("*.py"))
    code = sorted(f"code/{name}" for name in ["inference.py", "serve.py", *engine])

    with tarfile.open(built.path) as archive:
        assert [*model, *tokenizer, *code] == archive.getnames()
    assert [*model, *tokenizer, *code] == list(built.members)


def test_two_builds_are_byte_equal(built: BundleReport, tiny_checkpoint: Path, inference: Path, tmp_path: Path) -> None:
    """The same checkpoint gives the same bytes, and the report's digest and size are theirs."""
    again = build(tiny_checkpoint, tmp_path / "another-name.tar.gz", source_id="demo", inference=inference)
    raw = again.path.read_bytes()

    assert raw == built.path.read_bytes()
    assert (hashlib.sha256(raw).hexdigest(), len(raw)) == (again.sha256, again.size)


def test_headers_carry_no_trace_of_the_machine(built: BundleReport) -> None:
    """Time, owner, names and modes are fixed, and every member is a plain file."""
    with tarfile.open(built.path) as archive:
        seen = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.type) for m in archive.getmembers()}

    assert {(0, 0, 0, "", "", 0o644, tarfile.REGTYPE)} == seen


def test_gzip_header_carries_no_name_and_no_time(built: BundleReport) -> None:
    """RFC 1952: no flags, mtime 0, unknown system."""
    assert bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]) == built.path.read_bytes()[:10]


@pytest.mark.parametrize("size", [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071, 300_000])
def test_stored_gzip_is_gzip(size: int) -> None:
    """What is stored is what any gzip reader returns, around the limits of a block as well."""
    data = bytes(number % 251 for number in range(size))
    target = io.BytesIO()
    writer = StoredGzip(target)
    for start in range(0, size, 50_000):
        writer.write(data[start : start + 50_000])
    writer.close()

    assert data == gzip.decompress(target.getvalue())


def test_how_it_is_written_does_not_change_the_bytes() -> None:
    """One long write and many short ones store the same blocks."""
    data, one, many = bytes(200_000), io.BytesIO(), io.BytesIO()
    writer = StoredGzip(one)
    writer.write(data)
    writer.close()
    writer = StoredGzip(many)
    for start in range(0, len(data), 777):
        writer.write(data[start : start + 777])
    writer.close()

    assert one.getvalue() == many.getvalue()


def test_a_failed_build_leaves_the_old_bundle(tmp_path: Path) -> None:
    """The output is replaced when the new one is complete, and never by half of it."""
    output = tmp_path / "out" / "model.tar.gz"
    output.parent.mkdir()
    output.write_bytes(b"the old one")
    with pytest.raises(FileNotFoundError):
        write_tarball({"config.json": tmp_path / "vanished"}, output)

    assert b"the old one" == output.read_bytes()
    assert [output] == list(output.parent.iterdir())


@pytest.mark.parametrize("name", ["../config.json", "/config.json", "weights.bin", "code/rerank_engine/x.pyc"])
def test_strange_members_are_not_written(tmp_path: Path, name: str) -> None:
    """A name that verify would refuse is refused when packing."""
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="cannot be packaged"):
        write_tarball({name: tmp_path / "file"}, tmp_path / "model.tar.gz")


def test_progress_is_told_per_member(tmp_path: Path) -> None:
    """The last word of the progress is that everything was written."""
    (tmp_path / "a").write_bytes(b"12345")
    told: list[tuple[str, int, int]] = []
    members = {"config.json": tmp_path / "a", "README.md": tmp_path / "a"}
    write_tarball(members, tmp_path / "model.tar.gz", progress=lambda *now: told.append(now))

    assert [("writing", 5, 10), ("writing", 10, 10)] == told
