"""A program of its own: the sizes of a Parquet file's columns by its own account; `sprig.data.sources.parquet` runs it.

pyarrow 26 ends the process that looks at a column in a damaged footer (statistics that do not fit the schema): that
must not be the run's. Standard input is the file; the arguments are the columns that matter, none: all; the answer is
JSON, a list of [column, bytes when unpacked, bytes as they are] for each row group and column.
"""

import json
import sys
from collections.abc import Collection


def main(columns: Collection[str]) -> None:
    """Answer."""
    import pyarrow.parquet as pq

    metadata = pq.ParquetFile(sys.stdin.buffer).metadata
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    sizes = ((chunk.path_in_schema, chunk.total_uncompressed_size, chunk.total_compressed_size) for chunk in chunks)
    print(json.dumps([size for size in sizes if not columns or size[0] in columns]))


if __name__ == "__main__":
    main(sys.argv[1:])
