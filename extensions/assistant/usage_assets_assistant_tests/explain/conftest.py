"""The report's company, whose figures are explained."""

from usage_assets_report_tests.conftest import company, november, published

__all__ = ["company", "november", "published"]
