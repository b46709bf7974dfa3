"""Names of the migrations, so that an up-to-date file opens without importing them.

Each names a file in migrations/ and the function in it; they apply in this order.
"""

MIGRATION_SET = "registry"
MIGRATIONS = ("m001_memory", "m002_search", "m003_release", "m004_ledger", "m005_sources",
              "m006_corrections", "m007_judging")  # fmt: skip
