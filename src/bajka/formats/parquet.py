"""Reading Parquet, however large: batches of a few megabytes, and only the columns that are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from bajka.config import CorpusSettings
from bajka.errors import MissingExtraError
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.fields import Row, choose, conditions, documents_of, joined, sample_of

_BATCH_BYTES = 8_000_000
_BATCH_ROWS = 2_000
_BUFFER = 1 << 20  # without it pyarrow reads a whole column of a row group at once


def read_parquet(file: BinaryIO, *, name: str, settings: CorpusSettings, account: Account) -> Iterator[Document]:
    """One row a document; `Document.fields` holds only the columns that the template names, others are never read.

    "data.text" is a column inside another; lists of texts can stand in a template. Raises `UnreadableError` when the
    file is damaged or no column is plainly the text, `MissingExtraError` without pyarrow.
    """
    table = _opened(file)
    names, lists = _columns(table.schema_arrow, _is_one_value), _columns(table.schema_arrow, _is_list_of_texts)
    if not names:
        raise UnreadableError("it has no column of texts")
    choice = choose(sample_of(_rows(table, names)), settings, word="field", account=account)
    account.columns = names + lists
    wanted = conditions(settings)
    others = [name for name in account.columns if name.casefold() in wanted and name != choice.text]
    rows = _rows(table, [choice.text, *others])
    yield from documents_of(rows, choice, name=name, account=account)


def _opened(file: BinaryIO) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("Reading .parquet files", extra="data") from None
    try:
        return pyarrow.parquet.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(error) from None


def _columns(schema: Any, fits: Callable[[Any], bool], *, before: str = "") -> list[str]:
    """The columns whose type `fits`, "data.text" for one inside another."""
    from pyarrow import types

    names = []
    for column in schema:
        kind = column.type.value_type if types.is_dictionary(column.type) else column.type
        if types.is_struct(kind):
            names += _columns(kind, fits, before=f"{before}{column.name}.")
        elif fits(kind):
            names.append(before + column.name)
    return names


def _is_one_value(kind: Any) -> bool:
    """Whether values are one text, number or date."""
    from pyarrow import types

    is_binary = types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    return not (types.is_nested(kind) or types.is_null(kind) or is_binary)


def _is_list_of_texts(kind: Any) -> bool:
    from pyarrow import types

    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    held = kind.value_type.value_type if types.is_dictionary(kind.value_type) else kind.value_type
    return bool(types.is_string(held) or types.is_large_string(held) or types.is_string_view(held))


def _rows(table: Any, names: list[str]) -> Iterator[tuple[int, Row]]:
    import pyarrow

    number = 0
    try:
        for batch in table.iter_batches(batch_size=_batch_rows(table), columns=names, use_threads=False):
            flat = pyarrow.Table.from_batches([batch])
            while any(pyarrow.types.is_struct(column.type) for column in flat.schema):
                flat = flat.flatten()
            values = {column: _texts(flat[column]) for column in names}
            for place in range(flat.num_rows):
                number += 1
                yield number, {column: held for column in names if (held := values[column][place]) is not None}
    except (pyarrow.ArrowException, OSError, MemoryError) as error:
        raise _damaged(error) from None


def _batch_rows(table: Any) -> int:
    """So many rows that a batch stays near `_BATCH_BYTES`."""
    metadata = table.metadata
    total: int = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    rows: int = max(1, metadata.num_rows)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(1, total)))


def _texts(column: Any) -> list[str | None]:
    """The values as text; bytes that are no UTF-8 become halves of surrogate pairs, which make a row a broken one."""
    import pyarrow

    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        kind = pyarrow.list_(pyarrow.binary()) if _is_list_of_texts(column.type) else pyarrow.binary()
        values = column.cast(kind).to_pylist()
    return [None if held is None else _text(held) for held in values]


def _text(held: Any) -> str:
    match held:
        case bool():
            return str(held).lower()
        case bytes():
            return held.decode(errors="surrogateescape")
        case list():
            return joined(_text(one) for one in held if one is not None)
        case _:
            return str(held)


def _damaged(error: BaseException) -> UnreadableError:
    first = (str(error) or "no memory for what it claims to hold").splitlines()[0].partition(": ")[0]
    return UnreadableError(f"it is damaged or no Parquet file ({first}): fetch or write it again")
