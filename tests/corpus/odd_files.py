"""Hand-made bad and odd books, archives, folders and names; texts and tables: odd_texts.py."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from odd_texts import OWL, STORY, Odd, refused, txt, works

PAGE = f'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>{STORY}</p></body></html>'
FB2 = f'<?xml version="1.0"?><FictionBook xmlns="f"><body><section><p>{STORY}</p></section></body></FictionBook>'
EPUB = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<container><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>',
    "b.opf": '<package version="3.0"><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
    '</manifest><spine><itemref idref="a"/></spine></package>',
    "a.xhtml": PAGE,
}
DOCX = {
    "[Content_Types].xml": "<Types/>",
    "word/document.xml": '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    f"<w:p><w:r><w:t>{STORY}</w:t></w:r></w:p></w:body></w:document>",
}
ODT = {
    "mimetype": "application/vnd.oasis.opendocument.text",
    "content.xml": '<o:document-content xmlns:o="o" xmlns:t="t"><o:body><o:text>'
    f"<t:p>{STORY}</t:p></o:text></o:body></o:document-content>",
}
RTF = rf"{{\rtf1\ansi\ansicpg1250 {STORY}\par}}"


def zipped(parts: dict[str, bytes | str]) -> bytes:
    """A zip file, always the same."""
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def tarred(parts: dict[str, bytes | str], mode: str = "w") -> bytes:
    """A tar archive; a content that begins with "->" is a link."""
    with tarfile.open(fileobj=(file := io.BytesIO()), mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in parts.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            if data.startswith(b"->"):
                info.type, info.linkname = tarfile.SYMTYPE, data[2:].decode()
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def parquet(**columns: list[object]) -> bytes:
    """A Parquet file."""
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), file := io.BytesIO())
    return file.getvalue()


def zstd(data: bytes) -> bytes:
    """A zstd file."""
    import zstandard

    return zstandard.compress(data)


def without_middle(data: bytes) -> bytes:
    """The bytes with a third of them gone."""
    return data[: len(data) // 3] + data[2 * len(data) // 3 :]


NESTED = zipped({"b.zip": zipped({"c.zip": zipped({"d.zip": zipped({"a.txt": STORY})})})})
TEXT_GZ = gzip.compress(STORY.encode(), mtime=0)
PACKED = zipped({"a.txt": STORY})
DAMAGED = PACKED[:35] + b"\x1f\x8c" + PACKED[37:]  # the first bytes of what is packed

BOOKS = {
    "a page": works({"a.html": PAGE}, STORY),
    "a page of nothing": refused({"a.html": "<html><body></body></html>"}, "no running text"),
    "a page of scripts": refused({"a.html": "<script>fox</script><style>owl</style>"}, "no running text"),
    "a page that is text": works({"a.html": STORY}, STORY),
    "a page that never closes": works({"a.html": f"<div><p>{STORY}<b><i>"}, STORY),
    "a page cut in a tag": works({"a.html": f"<p>{STORY}</p><a hre"}, STORY),
    "a page of broken characters": works({"a.html": "<p>fox &#xD800; &#0; &#99999999; &nosuch; owl"}, number=1),
    "a page in depth": refused({"a.html": "<div>" * 50_000 + "fox"}, "nested more than 10,000 deep"),
    "a page of open tags": works({"a.html": "<b " * 20_000 + ">fox"}, number=1),
    "a page of comments that never end": refused({"a.html": "<!-- " * 20_000}, "no running text"),
    "a page of a wrong charset": works({"a.html": f'<meta charset="klingon"><p>{STORY}'}, STORY),
    "a page of UTF-16 that says otherwise": works(
        {"a.html": f'<meta charset="utf-8"><p>{STORY}'.encode("utf-16")}, STORY
    ),
    "an fb2": works({"a.fb2": FB2}, STORY),
    "an fb2 cut off": refused({"a.fb2": FB2[:-30]}, "not well-formed"),
    "an fb2 of another encoding": refused({"a.fb2": FB2.replace("?>", ' encoding="klingon"?>')}, "unknown encoding"),
    "an fb2 that multiplies": refused(
        {
            "a.fb2": "<!DOCTYPE x ["
            + '<!ENTITY a "fox">'
            + "".join(f'<!ENTITY {b} "{f"&{a};" * 50}">' for a, b in ("ab", "bc", "cd", "de", "ef"))
            + "]><FictionBook><body>&f;</body></FictionBook>"
        },
        "well-formed",
    ),
    "an fb2 that reads other files": refused(
        {"a.fb2": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><FictionBook>&a;</FictionBook>'},
        "another file",
    ),
    "other XML": refused({"a.xml": "<rss><item>fox</item></rss>"}, "its XML is <rss>"),
    "XML of text": works({"a.xml": STORY}, number=1),
    "an epub": works({"a.epub": zipped(EPUB)}, STORY),
    "an epub cut off": refused({"a.epub": zipped(EPUB)[:-100]}, "damaged"),
    "an epub with a hole": refused({"a.epub": without_middle(zipped(EPUB))}, "damaged"),
    "an epub without a page": refused({"a.epub": zipped({**EPUB, "a.xhtml": ""})}, "no running text"),
    "an epub without pages": refused({"a.epub": zipped({"mimetype": "application/epub+zip"})}, "no EPUB"),
    "an epub that leads out": refused(
        {"a.epub": zipped({**EPUB, "b.opf": EPUB["b.opf"].replace("a.xhtml", "../../etc/passwd")})}, "cannot be used"
    ),
    "text called epub": works({"a.epub": STORY}, STORY),
    "a zip called epub": refused({"a.epub": zipped({"a.txt": STORY})}, "no .epub"),
    "an epub called text": works(txt(zipped(EPUB)), STORY),
    "a docx": works({"a.docx": zipped(DOCX)}, STORY),
    "a docx cut off": refused({"a.docx": zipped(DOCX)[:200]}, "damaged"),
    "a docx of broken XML": refused({"a.docx": zipped({**DOCX, "word/document.xml": "<w:document>"})}, "well-formed"),
    "a docx in depth": refused({"a.docx": zipped({**DOCX, "word/document.xml": "<w:p>" * 20_000})}, "well-formed"),
    "an old doc": refused({"a.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)}, ".doc files are not read"),
    "an old doc called docx": refused({"a.docx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)}, "old Word file"),
    "a spreadsheet": refused(
        {"a.xlsx": zipped({"[Content_Types].xml": "", "xl/book.xml": ""})}, "save its sheet as .csv"
    ),
    "an odt": works({"a.odt": zipped(ODT)}, STORY),
    "an odt without content": refused({"a.odt": zipped({"mimetype": ODT["mimetype"]})}, "cannot be used"),
    "an rtf": works({"a.rtf": RTF}, STORY),
    "an rtf cut off": works({"a.rtf": RTF[:60]}, number=1),
    "an rtf of nothing": refused({"a.rtf": r"{\rtf1}"}, "no running text"),
    "an rtf in depth": works({"a.rtf": r"{\rtf1 " + "{" * 20_000 + "fox" + "}" * 20_001}, "fox"),
    "an rtf of an odd code page": refused({"a.rtf": r"{\rtf1\ansi\ansicpg99999 fox \'ff}"}, "cannot be used"),
    "an rtf of impossible letters": refused({"a.rtf": r"{\rtf1\ansi \u99999999? fox\par}"}, "cannot be used"),
    "a pdf": refused({"a.pdf": b"%PDF-1.7\n" + bytes(99)}, ".pdf files are not read"),
    "a picture called text": refused(txt(b"\x89PNG\r\n\x1a\n" + bytes(range(99))), "it is binary"),
    "a parquet": works({"a.parquet": parquet(text=[STORY, OWL])}, STORY, OWL),
    "a parquet cut off": refused({"a.parquet": parquet(text=[STORY])[:-9]}, "damaged or no Parquet"),
    "a parquet of four bytes": refused({"a.parquet": b"PAR1"}, "damaged or no Parquet"),
    "a parquet with a hole": refused({"a.parquet": without_middle(parquet(text=[STORY] * 9))}, "damaged or no Parquet"),
    "a parquet of numbers": refused({"a.parquet": parquet(a=[1, 2], b=[0.5, 1.5])}, "only numbers"),
    "a parquet of nothing": refused({"a.parquet": parquet(text=[])}, "no"),
    "a parquet of bytes": refused({"a.parquet": parquet(text=[b"fox"])}, "no column of texts"),
    "a parquet of lists": refused({"a.parquet": parquet(text=[["fox"]])}, "no column of texts"),
}

ARCHIVES = {
    "a gz": works({"a.txt.gz": TEXT_GZ}, STORY),
    "a bz2 called text": works(txt(bz2.compress(STORY.encode())), STORY),
    "an xz without an ending": works({"a": lzma.compress(STORY.encode())}, STORY),
    "a zst": works({"a.txt.zst": zstd(STORY.encode())}, STORY),
    "text called gz": works({"a.txt.gz": STORY}, STORY),
    "a gz cut off": refused({"a.txt.gz": TEXT_GZ[:-9]}, "damaged or cut off"),
    "a bz2 cut off": refused({"a.txt.bz2": bz2.compress(STORY.encode())[:-9]}, "damaged or cut off"),
    "an xz cut off": refused({"a.txt.xz": lzma.compress(STORY.encode())[:-9]}, "damaged or cut off"),
    "a zst cut off": refused({"a.txt.zst": zstd(STORY.encode())[:-9]}, "damaged or cut off"),
    "a gz with a hole": refused({"a.txt.gz": without_middle(TEXT_GZ)}, "damaged or cut off"),
    "a gz with a wrong checksum": refused({"a.txt.gz": TEXT_GZ[:-8] + bytes(4) + TEXT_GZ[-4:]}, "(CRC check failed)"),
    "a gz of nothing": refused({"a.txt.gz": gzip.compress(b"")}, "it is empty"),
    "a gz with something behind": refused({"a.txt.gz": TEXT_GZ + b"fox"}, "damaged or cut off"),
    "two in one gz": works({"a.txt.gz": TEXT_GZ + gzip.compress(OWL.encode())}, STORY + OWL),
    "a gz of zeros": refused({"a.txt.gz": gzip.compress(bytes(1 << 27))}, "more than 200 times its size"),
    "a gz of an epub": works({"a.epub.gz": gzip.compress(zipped(EPUB))}, STORY),
    "a zip": works({"a.zip": zipped({"b.txt": STORY, "c/d.txt": OWL})}, STORY, OWL),
    "a zip of nothing": refused({"a.zip": zipped({})}, "a.zip"),
    "a zip of pictures": refused({"a.zip": zipped({"a.png": b"\x89PNG"})}, "(.png)"),
    "a zip cut off": refused({"a.zip": zipped({"b.txt": STORY})[:-9]}, "damaged or cut off"),
    "a zip with a hole": refused({"a.zip": without_middle(zipped({"b.txt": STORY}))}, "damaged or cut off"),
    "a zip of damaged data": refused({"a.zip": DAMAGED}, "zip file that is damaged or cut off ("),
    "a zip that leads out": refused({"a.zip": zipped({"../../b.txt": STORY})}, "leads out of the archive"),
    "a zip of zips of zips": refused({"a.zip": NESTED}, "packed more than twice over"),
    "a zip of the same name twice": works({"a.zip": zipped({"b.txt": STORY, "./b.txt": OWL})}, STORY, OWL),
    "text called zip": refused({"a.zip": STORY}, "no .zip file"),
    "a tar": works({"a.tar": tarred({"b.txt": STORY})}, STORY),
    "a tar.gz": works({"a.tar.gz": tarred({"b.txt": STORY, "c.txt": OWL}, "w:gz")}, STORY, OWL),
    "a tar.xz called text": works(txt(tarred({"b.txt": STORY}, "w:xz")), STORY),
    "a tar cut off": refused({"a.tar": tarred({"b.txt": STORY * 99})[:700]}, "damaged or cut off"),
    "a tar of nothing": refused({"a.tar": tarred({})}, "a.tar"),
    "a tar that leads out": refused({"a.tar": tarred({"/etc/passwd.txt": STORY})}, "leads out of the archive"),
    "a tar of links": refused({"a.tar": tarred({"b.txt": "->/etc/passwd"})}, "no regular file"),
}


def _made(*steps: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for step in steps:
            step(folder)

    return make


def _write(name: str, content: str = STORY) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


def _deep(folder: Path) -> None:
    """Folders in folders, as far as paths go."""
    for _ in range(600):
        folder = folder / "a"
        folder.mkdir()
    (folder / "a.txt").write_text(STORY)


def _unreadable(folder: Path) -> None:
    (folder / "b.txt").write_text(OWL)
    (folder / "b.txt").chmod(0)


def _nothing(folder: Path) -> None:
    (folder / "a" / "b" / "c").mkdir(parents=True)


def _circle(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    (folder / "up").symlink_to("..")


FOLDERS = {
    "an empty folder": refused({}, "the folder is empty"),
    "a folder of folders": refused(_nothing, "the folder is empty"),
    "a folder of hidden files": refused({".a.txt": STORY, ".git/b.txt": STORY}, "the folder is empty"),
    "links in a circle": works(_made(_circle, _write("c.txt")), STORY),
    "a link in a circle alone": refused(lambda folder: (folder / "a").symlink_to("a"), "a link to nothing"),
    "a link to a text that is there": works(
        _made(_write("a.txt"), lambda folder: (folder / "b.txt").symlink_to("a.txt")), STORY
    ),
    "a pipe": refused(lambda folder: os.mkfifo(folder / "a.txt"), "it is not a regular file"),
    "a device": refused({}, "it is not a regular file", given=("/dev/zero",)),
    "a folder called .txt": works({"a.txt/b.txt": STORY, "a.txt/c.txt": OWL}, STORY, OWL),
    "a newline in a name": works({"a\nb.txt": STORY}, STORY),
    "a name of control characters": works({"\x1b[31m\x07.txt": STORY}, STORY),
    "a name of emoji": works({"🦊👩‍👩‍👧.txt": STORY}, STORY),
    "a name of 250 letters": works({"x" * 246 + ".txt": STORY}, STORY),
    "a name from right to left": works({"\u202etxt.fox.txt": STORY}, STORY),
    "a name that is a pattern": works({"[a*?].txt": STORY}, STORY),
    "a name that is an option": works({"--limit": STORY}, STORY),
    "a name of dots": works({"...txt": "", "a...txt": STORY}, STORY),
    "a name that looks like a dataset": works({"hf:.txt": STORY}, STORY),
    "equal files": works({"a.txt": STORY, "b.txt": STORY, "c.txt": STORY + "\n"}, STORY),
    "files that are nearly equal": works({f"{n}.txt": f"{STORY} {OWL} {STORY} {n}" for n in range(20)}, number=20),
    "every file empty": refused({f"{n}.txt": "" for n in range(20)}, "all 20 files were skipped"),
    "a good file among bad ones": works(
        {"a.csv": "n\n1", "b.json": "{", "c.epub": "x", "d.txt": "\0", "e.gz": b"\x1f\x8b\x08", "f.txt": STORY},
        "x",
        STORY,
    ),
    "500 files of one letter": works({f"{n}.txt": chr(0x4E00 + n) for n in range(500)}, number=500),
    "a path that is not there": refused({}, "There is no file or folder", given=("nowhere/a.txt",)),
    "a path of nothing": refused({}, "There is no file or folder", given=("",)),
    "a path of spaces": refused({}, "There is no file or folder", given=("  ",)),
    "a path with a NUL": refused({}, "There is no file or folder", given=("a\0b",)),
    "a path that is too long": refused({}, "There is no file or folder", given=("x" * 5_000,)),
    "a path below a file": refused(txt(STORY), "There is no file or folder", given=("a.txt/b.txt",)),
    "a home that is not there": refused({}, "There is no file or folder", given=("~nobody-of-this-name/a.txt",)),
    "a dataset without a name": refused({}, "is no name of a dataset", given=("hf:",)),
    "a dataset that leads out": refused({}, "is no name of a dataset", given=("hf:../../etc",)),
    "a dataset of too many parts": refused({}, "has a part too many", given=("hf:a/b:c:d:e",)),
    "a dataset with an empty part": refused({}, "has a part too many", given=("hf:a/b:",)),
    "a dataset of spaces": refused({}, "is no name of a dataset", given=("hf: ",)),
    "a dataset of letters": refused({}, "is no name of a dataset", given=("hf:лиса/сова",)),
    "no texts": refused({}, "No texts were given", given=()),
    "settings that exclude all": refused(txt(STORY), "shorter than", minimum_characters=9_000),
    "settings that contradict": refused(txt(STORY), "swap them", minimum_characters=9, maximum_characters=8),
    "a share of everything": refused(txt(STORY), "validation_share", validation_share=0.95),
    "shares that take all": works(txt(STORY), STORY, validation_share=0.5, test_share=0.6),
    "the text repaired": works(txt("The Å¡uma."), "The šuma.", mojibake=True),
    "everything small": works(txt("ĐŠİIẞ"), "đšiiß", lowercase=True),
}
if hasattr(os, "geteuid") and os.geteuid():
    FOLDERS["an unreadable file"] = works(_made(_write("a.txt"), _unreadable), STORY)

ON_LINUX = {  # other systems have no such names, and shorter paths
    "600 folders in each other": works(_deep, STORY),
    "a name that is no UTF-8": works({os.fsdecode(b"\xff\xfe.txt"): STORY, "b.txt": OWL}, OWL, STORY),
}

FILES: dict[str, Odd] = BOOKS | ARCHIVES
if os.name == "posix":
    FILES |= FOLDERS
if sys.platform == "linux":
    FILES |= ON_LINUX
