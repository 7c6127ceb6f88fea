"""Random damages to the files of all tables of a lake: each is named, and the commands that are printed heal them."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from usage_assets_lake.files import LakeFile, current_files
from usage_assets_lake.repair.files import EVERY, damages
from usage_assets_lake_tests.test_repair import DAYS, follow, held, lake_of, terminal
from usage_assets_tests.terminal import Said, Terminal

__all__ = ["terminal"]

pytestmark = pytest.mark.timeout(7200)

FIRST = int(os.environ.get("USAGE_FIRST_SEED", "0"))
EXAMPLES = int(os.environ.get("USAGE_EXAMPLES", "15"))
AT_ONCE = 3
"""Files that are damaged before somebody repairs; USAGE_EXAMPLES / 100 times more."""

LOST_TOGETHER = ("accounting.cost_sources", "ledger.partition_versions", "openai.projects")
"""Found with seed 7: days were computed again without what is stated, and refused, or without names."""

Bytes = Mapping[str, bytes]
"""What files hold now: path -> content. A file that is not there has none."""


def flip(chance: Random, file: LakeFile, content: Bytes) -> Bytes:
    changed = bytearray(content[file.path])
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return {file.path: bytes(changed)}


def cut(chance: Random, file: LakeFile, content: Bytes) -> Bytes:
    whole = content[file.path]
    return {file.path: whole[: chance.randrange(len(whole))]}


def swap(chance: Random, file: LakeFile, content: Bytes) -> Bytes:
    """With any other file, of any table."""
    other = chance.choice([path for path in sorted(content) if content[path] != content[file.path]])
    return {file.path: content[other], other: content[file.path]}


def lose(chance: Random, file: LakeFile, content: Bytes) -> Bytes:
    return {file.path: b""}


def age(chance: Random, file: LakeFile, content: Bytes) -> Bytes:
    """Put a file in its place that its table had before, or has elsewhere."""
    folder = Path(file.path).parent
    older = [each.read_bytes() for each in sorted(folder.glob("*.parquet")) if str(each) != file.path]
    others = [each for each in older if each != content[file.path]]
    return {file.path: chance.choice(others)} if others else lose(chance, file, content)


DAMAGES: Sequence[Callable[[Random, LakeFile, Bytes], Bytes]] = (flip, cut, swap, lose, age)
ENGINE = ("Traceback", "IO Error", "Invalid Input", "INTERNAL", "TProtocol", "transaction is aborted", "Binder Error")


def write(content: Bytes) -> None:
    for path, whole in content.items():
        if whole:
            Path(path).write_bytes(whole)
        else:
            Path(path).unlink()


def files_of(terminal: Terminal) -> Sequence[LakeFile]:
    lake = lake_of(terminal)
    with lake.session() as session:
        return current_files(session)


def plain(said: Said) -> Said:
    """What was said, in our words."""
    assert not [word for word in ENGINE if word in said.out + said.err], said
    return said


def damaged(terminal: Terminal, number: int, chance: Random) -> tuple[Bytes, Bytes]:
    """Damage a file, or two; return what they hold now, and what they held."""
    files = [file for file in files_of(terminal) if Path(file.path).exists()]
    content = {file.path: Path(file.path).read_bytes() for file in files}
    now = DAMAGES[number % len(DAMAGES)](chance, chance.choice(files), content)
    write(now)
    return now, {path: content[path] for path in now}


def test_each_random_damage_is_named_and_what_has_a_source_comes_back(terminal: Terminal) -> None:
    chance = Random(FIRST)
    written = plain(terminal.type("backfill", "--start", str(DAYS[0]), "--end", str(DAYS[-1])))
    assert written.code == 0, "now each table has older files, too"
    before, lake = held(terminal), lake_of(terminal)
    for number in range(EXAMPLES):
        now, whole = damaged(terminal, number, chance)
        assert {damage.file.path for damage in damages(lake, EVERY)} == {*now}, (number, *now)
        write(whole)
    assert not damages(lake, EVERY)
    stated = {file.path for file in files_of(terminal) if file.table in LOST_TOGETHER}
    write(dict.fromkeys(stated, b""))
    lake.detach()
    heal(terminal, stated)
    assert held(terminal) == before
    for number in range(1 + EXAMPLES // 100):
        bad = {path for each in range(AT_ONCE) for path in damaged(terminal, number + each, chance)[0]}
        lake.detach()
        heal(terminal, bad)
        assert held(terminal) == before, (number, *bad)


def heal(terminal: Terminal, bad: Collection[str]) -> None:
    """Type what is printed."""
    shown = plain(terminal.type("repair"))
    assert shown.code == 1
    assert all(path in shown.out for path in bad), (bad, shown)
    done = plain(terminal.type("repair", "--yes"))
    assert done.code == 0, done
    follow(terminal, done)
    deep = plain(terminal.type("doctor", "--deep", "--all"))
    assert "repair" not in deep.out, deep
