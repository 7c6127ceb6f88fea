"""Drift is found in the source of an SDK, named, and silent where somebody has reviewed it."""

from pathlib import Path

import pytest

from usage_assets_tests.drift import schemas, sdk
from usage_assets_tests.drift.__main__ import not_reviewed
from usage_assets_tests.drift.surface import Asked

RESOURCE = """
from ..types.costs_page import CostsPage
from ..types.group_by import GroupBy

class Costs:
    def list(self, *, start: int, group_by: List[GroupBy] | Omit = omit, models: List[str] | Omit = omit):
        return self._get(
            path_template("/organization/{id}/costs?beta=true", id=id),
            options=make(
                query=transform({"start": start, "group_by": group_by, "models": models}, X), security={"key": True}
            ),
            cast_to=CostsPage,
        )

    def create(self, *, name: str):
        return self._post("/organization/costs", cast_to=CostsPage)
"""
TYPES = {
    "costs_page": """
class Amount(BaseModel):
    value: Optional[float] = None
    currency: str

class CostsResult(BaseModel):
    object: Literal["organization.costs.result"]
    amount: Optional[Amount] = None
    model_groups: Dict[str, Amount]
    quantity: float

class UsageResult(BaseModel):
    object: Literal["organization.usage.result"]
    input_tokens: int

class Bucket(BaseModel):
    results: List[Annotated[Union[CostsResult, UsageResult, None], PropertyInfo(discriminator="object")]]

class CostsPage(BaseModel):
    data: List[Bucket]
    next_page: Optional[str]
""",
    "group_by": 'GroupBy: TypeAlias = Literal["model", "user_id"]',
    "another": "class Amount(BaseModel):\n    other: str",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small SDK."""
    for folder, files in (("types", TYPES), ("resources", {"costs": RESOURCE})):
        (tmp_path / folder).mkdir()
        for name, text in files.items():
            (tmp_path / folder / f"{name}.py").write_text(text)
    return tmp_path


def test_what_an_sdk_reads_is_found_in_its_source(package: Path) -> None:
    assert sdk.surface(package, "types", "resources", "organization") == {
        "organization/{}/costs": Asked(
            fields={
                "data.results.object",
                "data.results.amount.value",
                "data.results.amount.currency",
                "data.results.model_groups.*.value",
                "data.results.model_groups.*.currency",
                "data.results.quantity",
                "next_page",
            },
            group_by={"model", "user_id"},
            parameters={"start", "group_by", "models"},
        )
    }


def test_what_is_reviewed_is_silent_and_what_is_over_is_named(tmp_path: Path) -> None:
    reviewed = tmp_path / "reviewed.toml"
    reviewed.write_text('[[reviewed]]\nwhy = "known"\nlines = ["sdk a: field * is new", "sdk b: endpoint is new"]\n')
    lines = ["sdk a: field x is new", "sdk a: group_by x is new"]
    assert not_reviewed(lines, reviewed) == (["sdk a: group_by x is new"], ["sdk b: endpoint is new"])


def test_rows_keep_what_our_schemas_have() -> None:
    new, _ = not_reviewed([*schemas.differences()])
    assert new == []
