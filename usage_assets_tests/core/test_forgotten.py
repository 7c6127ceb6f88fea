"""Nobody who was forgotten comes back, and nobody else goes with them."""

import json
from pathlib import Path

import pytest

from usage_assets.core.forgotten import Forgotten, ForgottenError, Person, new_address, new_id
from usage_assets_tests.models.days import cases

ADDRESS = "ann.o'neil+ai@mail.example.com"
ID = "user-Ab12"


def forgotten() -> Forgotten:
    """Ann is forgotten: her address, an id and the name of a key."""
    return Forgotten().with_stand_ins([(ADDRESS, new_address), (ID, new_id), ("ann key", new_id)])


def person(*others: str) -> Person:
    """Ann, while she is being forgotten."""
    return Person({ADDRESS: "A@x.invalid", ID: "B", **dict.fromkeys(others, "C")}, {"ann key": "D", "max": "E"})


def test_an_answer_loses_whole_ids_and_addresses_anywhere() -> None:
    for text in (
        ADDRESS,
        ADDRESS.upper(),
        f"of {ADDRESS}.",
        f"<{ADDRESS}>",
        f"'{ADDRESS}'",
        f"user:{ADDRESS}",
        ID,
        "ann key",
    ):
        kept = forgotten().in_json(json.dumps({"a": [text, 1.10], "b": {text: None}}).encode())
        assert ADDRESS not in kept.decode().lower()
        assert ID not in kept.decode()
        assert b"ann" not in kept
        assert kept.count(b"forgotten-") == 2
        assert b"1.1]" in kept
        assert forgotten().in_json(kept) == kept


def test_an_address_is_found_behind_the_escapes_of_json() -> None:
    content = json.dumps({"note": f"\n{ADDRESS}"}).replace("@", "\\u0040").encode()
    assert b"\\u0040" not in forgotten().in_json(content)


def test_others_keep_the_very_bytes() -> None:
    for text in (f"x{ADDRESS}", f"{ADDRESS}.au", f"{ID}3", f"key {ID}", ID.lower(), "ann key 2", "ann", "@", "person-"):
        content = json.dumps({"a": text}, indent=3).encode()
        assert forgotten().in_json(content) is content


def test_a_stand_in_leads_nowhere_and_stays(tmp_path: Path) -> None:
    first, path = forgotten(), tmp_path / "folder" / "forgotten.json"
    assert first.stand_in(ADDRESS) != forgotten().stand_in(ADDRESS)
    first.save(path)
    again = Forgotten.load(path).with_stand_ins([(ADDRESS, new_address), ("user-2", new_id)])
    assert again.stand_in(ADDRESS.upper()) == first.stand_in(ADDRESS)
    assert again.stand_in("user-2")
    assert first.stand_in("user-2") is None
    stored = path.read_text().lower()
    assert not any(part in stored for part in ("ann", "neil", "example.com", ID.lower()))


def test_without_its_file_nobody_is_forgotten_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "forgotten.json"
    assert Forgotten.load(path).in_json(b'"a"') == b'"a"'
    path.write_text('{"salt": "zz", "stand_ins": {}}')
    with pytest.raises(ForgottenError, match=r"forgotten.json: cannot be read: .*restore it from a backup"):
        Forgotten.load(path)


def test_in_a_table_a_name_is_replaced_only_where_it_is_the_value() -> None:
    for text, kept in cases(f"""
        {ADDRESS.title()} -> A@x.invalid
        403 for '{ADDRESS}' of {ID}, ann key -> 403 for 'A@x.invalid' of B, ann key
        ann key -> D
        gpt-5-max, input -> gpt-5-max, input
        mary-{ADDRESS} -> mary-{ADDRESS}
    """):
        assert person().in_value(text) == kept


def test_in_a_log_names_are_replaced_too() -> None:
    for text, kept in (
        (json.dumps({"text": f"\n{ADDRESS}\n"}), '{"text": "\\nA@x.invalid\\n"}'),
        (
            "GET /users/ann.o%27neil%2Bai%40mail.example.com?id=user-Ab12 (max, gpt-5-max)",
            "GET /users/A@x.invalid?id=B (E, gpt-5-max)",
        ),
        ("of 'ann key'", "of 'D'"),
        (
            f"Port refused org-{ADDRESS}-2026-11-19 and ws-{ID}-2026-11-19",
            "Port refused org-A@x.invalid-2026-11-19 and ws-B-2026-11-19",
        ),
    ):
        assert person().in_text(text) == kept


def test_an_identifier_is_what_it_would_have_been() -> None:
    for identifier, kept in cases(f"""
        org-{ADDRESS}-2026-11-19 -> org-A@x.invalid-2026-11-19
        org-ann.o_neil+ai@mail.example.com-2026-11-19-0a1b2c3d -> org-A@x.invalid-2026-11-19
        emea:org-ann_key-2026-11-19-0a1b2c3d -> emea:org-D-2026-11-19
        ws-{ID}-2026-11-19 -> ws-B-2026-11-19
        ws-xuser-Ab12-2026-11-19 -> ws-xuser-Ab12-2026-11-19
    """):
        assert person().in_identifier(identifier) == kept


def test_each_spelling_may_have_a_stand_in_of_its_own() -> None:
    """Two rows of a day that only tell them apart stay two."""
    spelled = Person({"ann@x.example": "A", "Ann@x.example": "B"})
    assert [spelled.in_value(text) for text in ("ann@x.example", "Ann@x.example", "ANN@x.example")] == ["A", "B", "A"]
