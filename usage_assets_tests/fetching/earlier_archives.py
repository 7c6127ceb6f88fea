"""Archives as earlier releases wrote them."""

from pathlib import Path

import pyarrow as pa

from usage_assets.fetching.archive import files


def as_earlier_release(archive: Path) -> None:
    """Write each answer into a file of its own, as earlier releases did."""
    for path in archive.glob("*/*/*.pack.zst"):
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
            texts = stream.read()
        for file in files.files_of(path):
            own = texts[file.offset :][: file.length]
            (path.parent / file.name).write_bytes(pa.Codec("zstd").compress(own, asbytes=True))
        path.unlink()
