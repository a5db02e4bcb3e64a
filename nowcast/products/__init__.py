"""What forecasters look at, derived from volumes of reflectivity: see ``docs/products.md``."""

from __future__ import annotations

from nowcast.products.catalogue import PRODUCTS
from nowcast.products.columns import column_maximum
from nowcast.products.config import ProductConfig
from nowcast.products.make import make_products

__all__ = ["PRODUCTS", "ProductConfig", "column_maximum", "make_products"]
