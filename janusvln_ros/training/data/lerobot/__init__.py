"""LeRobot datasets, read and written; they need pyarrow."""

try:
    import pyarrow.parquet  # noqa: F401
except ImportError:
    raise RuntimeError('LeRobot datasets need pyarrow; get it by: pip install pyarrow') from None
