"""XML as events, safe against hostile files: no recursion, no other file is read, no entity grows without bound."""

from __future__ import annotations

import codecs
import re
from html.entities import html5
from xml.parsers import expat

from bajka.formats.document import UnreadableError
from bajka.formats.elements import Enough, Events

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0?\0", "utf-16-le"),
    (b"\0<\0?", "utf-16-be"),
)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")


def xml_encoding(data: bytes, *, named: str | None = None) -> str:
    """The Python codec that a mark or the XML declaration names; UTF-8 without either.

    `named` is a person's word, often for many files at once: it overrules the file, unless that is Unicode as it says.
    """
    own = _own_encoding(data) or "utf-8"
    return named if named and not (own.startswith("utf") and _is_in(own, data)) else own


def decode_xml(data: bytes, *, named: str | None = None) -> str:
    """The text of an XML file; raises `UnreadableError` when it is not in its encoding, by the rule of `xml_encoding`."""
    encoding = xml_encoding(data, named=named)
    try:
        return data.decode(encoding).lstrip("\ufeff \t\r\n")
    except UnicodeDecodeError as error:
        if encoding == named:
            raise UnreadableError(f"byte {error.start} is not {encoding}", asks=True) from None
        if not _own_encoding(data):
            raise UnreadableError(
                "it names no encoding and is not UTF-8: name one with --encoding", asks=True
            ) from None
        reason = f"its XML says that it is {encoding}, but byte {error.start} is not: save it again as UTF-8"
        raise UnreadableError(reason) from None
    except (LookupError, UnicodeError):
        raise UnreadableError(f'its XML names an unknown encoding "{encoding}": save it again as UTF-8') from None


def _own_encoding(data: bytes) -> str:
    marked = next((codec for mark, codec in _MARKS if data.startswith(mark)), "")
    declared = _DECLARED.match(data.lstrip()[:300])
    return marked or (declared.group(1).decode("ascii").lower() if declared else "")


def _is_in(encoding: str, data: bytes) -> bool:
    try:
        data.decode(encoding)
    except (LookupError, UnicodeError):
        return False
    return True


def parse_xml(text: str, events: Events) -> None:
    """Tell `events` about every tag and text; raises `UnreadableError` when the XML is damaged or hostile.

    Tags and attributes lose their namespaces. HTML's named characters (&nbsp;) are understood although no DTD is read.
    expat keeps its own limit against entities that multiply (a hundred times the file, beyond 8 MB).
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)
    parser.UseForeignDTD(True)  # as if there were a DTD: an undefined entity is then told to us and is no error

    def other_file(context: str | None, base: str | None, system: str | None, public: str | None) -> int:
        if context and system:
            raise UnreadableError(f'a part of it lies in another file ("{system[:80]}"): save it as one file')
        parser.ExternalEntityParserCreate(context).Parse("", True)  # every DTD is taken to be empty
        return 1

    parser.ExternalEntityRefHandler = other_file
    parser.SkippedEntityHandler = lambda name, is_parameter: None if is_parameter else events.data(_character(name))
    parser.StartElementHandler = lambda tag, attributes: events.start(
        _local(tag), {_local(key): value for key, value in attributes.items()}
    )
    parser.EndElementHandler = lambda tag: events.end(_local(tag))
    parser.CharacterDataHandler = events.data
    try:
        parser.Parse(text, True)
    except Enough:
        return
    except expat.ExpatError as error:
        reason = f"line {error.lineno} is not well-formed XML ({expat.errors.messages[error.code]})"
        raise UnreadableError(reason) from None


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _character(name: str) -> str:
    return html5.get(f"{name};", f"&{name};")
