"""Word-processor files: the running text, or one sentence."""

from __future__ import annotations

import io
import zipfile

import pytest

from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.office import read_docx, read_odt, read_rtf

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
ODT = """<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0">
<office:automatic-styles><style:style style:name="P9" style:parent-style-name="Illustration"/></office:automatic-styles>
<office:body><office:text>{}</office:text></office:body></office:document-content>"""
RTF = r"{\rtf1\ansi\ansicpg1250\deff0{\fonttbl{\f0\fcharset238 Arial;}{\f1\fcharset204 Arial;}}"


def zipped(parts: dict[str, str]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


def docx(body: str, **parts: str) -> str:
    page = f"<w:document {W}><w:body>{body}</w:body></w:document>"
    others = {f"word/{name}.xml": content for name, content in parts.items()}
    return next(read_docx(zipped({"word/document.xml": page, **others}), name="a.docx", account=Account())).text


def odt(body: str, **parts: str) -> str:
    return next(read_odt(zipped({"content.xml": ODT.format(body), **parts}), name="a.odt", account=Account())).text


def rtf(source: str | bytes) -> Document:
    data = source if isinstance(source, bytes) else source.encode("ascii")
    return next(read_rtf(io.BytesIO(data), name="a.rtf", account=Account()))


def run(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def test_a_file_written_by_python_docx() -> None:
    library = pytest.importorskip("docx")
    written = library.Document()
    written.core_properties.title, written.core_properties.author = "Šuma Striborova", "I. B."
    written.add_heading("Prva glava", 1)
    paragraph = written.add_paragraph("Bio jednom ")
    paragraph.add_run("čovjek").bold = True
    paragraph.add_run("\u00a0i žena.\nStih.")
    written.add_table(1, 2).cell(0, 1).text = "ćelija"
    written.add_paragraph("Slika 1", style="Caption")
    written.save(file := io.BytesIO())
    [book] = read_docx(file, name="a.docx", account=Account())
    assert book.text == "Prva glava\n\nBio jednom čovjek i žena.\nStih.\n\nćelija"
    assert book.fields == {"title": "Šuma Striborova", "author": "I. B."}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (f"<w:p>{run('a ')}<w:ins>{run('b')}</w:ins><w:del><w:r><w:delText>c</w:delText></w:r></w:del></w:p>", "a b"),
        (f"<w:p>{run('word')}<w:r><w:footnoteReference w:id='1'/></w:r>{run('.')}</w:p>", "word."),
        (f"<w:p><w:hyperlink>{run('a')}</w:hyperlink><w:sdt><w:sdtContent>{run(' b')}</w:sdtContent></w:sdt></w:p>", "a b"),
        (f"<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr>{run('a')}<w:r><w:tab/></w:r>{run('b')}</w:p>", "a b"),
        ("".join(f"<w:p><w:pPr><w:numPr/></w:pPr>{run(item)}</w:p>" for item in "ab") + f"<w:p>{run('c')}</w:p>", "a\nb\n\nc"),
        (
            '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> TOC \\o </w:instrText></w:r>'
            f"{run('Chapter 1 ... 5')}</w:p><w:p>{run('Chapter 2')}<w:r><w:fldChar w:fldCharType='end'/></w:r></w:p>"
            f"<w:p>{run('text')}</w:p>",
            "text",
        ),
    ],
)  # fmt: skip
def test_what_of_a_docx_is_running_text(body: str, text: str) -> None:
    assert docx(body) == text


def test_contents_are_known_by_the_english_name_of_their_style() -> None:
    styles = f'<w:styles {W}><w:style w:styleId="Sadraj1"><w:name w:val="toc 1"/></w:style></w:styles>'
    body = f'<w:p><w:pPr><w:pStyle w:val="Sadraj1"/></w:pPr>{run("I. 7")}</w:p><w:p>{run("text")}</w:p>'
    assert docx(body, styles=styles) == "text"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<text:h>I</text:h><text:p>a<text:s text:c='3'/>b<text:tab/><text:span>c</text:span></text:p>", "I\n\na b c"),
        ("<text:p>a<text:line-break/>b</text:p><text:p/><text:p>c</text:p>", "a\nb\n\nc"),
        ("<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:p>here</text:p>", "here"),
        ("<text:p>word<text:note><text:note-body><text:p>n</text:p></text:note-body></text:note>.</text:p>", "word."),
        ("<text:list>" + "<text:list-item><text:p>a</text:p></text:list-item>" * 2 + "</text:list>", "a\na"),
        ("<text:table-of-content><text:p>I 5</text:p></text:table-of-content><text:p>x</text:p>", "x"),
        ("<text:p text:style-name='P9'>Fig. 1</text:p><text:p>x</text:p>", "x"),
        ("<text:object-index><text:p>Table 1, 5</text:p></text:object-index><text:p>x</text:p>", "x"),
    ],
)  # fmt: skip
def test_what_of_an_odt_is_running_text(body: str, text: str) -> None:
    assert odt(body) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (RTF + r"\'8eivio je\par i \u269?uo}", "Živio je\n\ni čuo"),
        ((RTF + r"\f0 ").encode() + "čaša".encode("cp1250") + rb"\f1 \'f1\'ed\'e5\'e3}", "čašaснег"),
        (RTF + r"prvi\line drugi\par\par tre{\footnote n}\'e6i}", "prvi\ndrugi\n\ntreći"),
        (RTF + r"a{\rtlch \deleted\insrsid1 gone}{\v hidden}b{\*\unknown x}{\pict 0102}}", "ab"),
        (RTF + r"\u-10179?\u-8704?\trowd a\cell b\cell\row}", "😀a\n\nb"),
    ],
)
def test_what_of_an_rtf_is_running_text(source: str | bytes, text: str) -> None:
    assert rtf(source).text == text


def test_an_rtf_says_title_and_author() -> None:
    book = rtf(RTF + r"{\info{\upr{\title Pri?a}{\*\ud{\title Pri\u269?a}}}{\author Ivan}}x}")
    assert book.fields == {"title": "Priča", "author": "Ivan"}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"plain", "is no RTF"),
        (rb"{\rtf1 \u-10179?}", "its letters are not"),
        (rb"{\rtf1\ansicpg1252 \'81}", "its letters are not"),
        (rb"{\rtf1 \u99999999999999?}", "damaged RTF"),
        (b"{\\rtf1 " + b"{" * 100_000, "no running text"),
    ],
)
def test_an_rtf_that_gives_no_text_is_one_sentence(source: bytes, sentence: str) -> None:
    with pytest.raises(UnreadableError, match=sentence):
        rtf(source)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Word file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "closed with a password"),
        (b"PK\x03\x04 and no more", "damaged"),
        (zipped({"a.txt": "x"}).getvalue(), '"word/document.xml" is missing'),
        (zipped({"word/document.xml": "<a><b>"}).getvalue(), "not well-formed"),
        (zipped({"word/document.xml": "<a/>"}).getvalue(), "no running text"),
        (zipped({"word/document.xml": " " * (80 << 20)}).getvalue(), "unpacks to more than"),
    ],
    ids=["doc", "password", "damaged", "other zip", "broken xml", "empty", "bomb"],
)
def test_a_docx_that_gives_no_text_is_one_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(UnreadableError, match=sentence):
        next(read_docx(io.BytesIO(data), name="a.docx", account=Account()))


def test_an_odt_with_a_password_is_one_sentence() -> None:
    manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>"
    with pytest.raises(UnreadableError, match="closed with a password"):
        odt("<text:p>x</text:p>", **{"META-INF/manifest.xml": manifest})
