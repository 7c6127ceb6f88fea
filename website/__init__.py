"""The documentation as a site: ``python -m website`` builds it. The product never imports it."""
