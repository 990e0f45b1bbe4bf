"""Web pages, FictionBook and TEI become the text that a person reads in them."""

from __future__ import annotations

import io
import time

import pytest

from bajka.formats.decoding import decoded
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.markup import charset_named, read_html, read_xml

BOMB = '<!DOCTYPE TEI [<!ENTITY l0 "lol">{}]><TEI>&l12;</TEI>'.format(
    "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 13))
)
FB2 = """<?xml version="1.0" encoding="windows-1251"?>
<FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0" xmlns:l="http://www.w3.org/1999/xlink">
<description><title-info><genre>sf</genre><author><first-name>Антон</first-name><last-name>Чехов</last-name></author>
<book-title>Степь</book-title><date value="1888-03-01">март 1888</date><lang>ru</lang></title-info></description>
<body><title><p>Антон Чехов</p><p>Степь</p></title><section><title><p>I</p></title>
<p>Из N., уездного
города<a l:href="#n1" type="note">[1]</a>, выехала <emphasis>бричка</emphasis>.</p><empty-line/>
<poem><stanza><v>Первый стих,</v><v>второй стих.</v></stanza><stanza><v>Новая строфа.</v></stanza></poem></section></body>
<body name="notes"><section id="n1"><p>Примечание.</p></section></body>
<binary id="a.png" content-type="image/png">QUJD</binary></FictionBook>"""
TEI = """<?xml version="1.0" encoding="UTF-8"?><TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang="hr"><teiHeader><fileDesc>
<titleStmt><title>Tužna Jele</title><author>Mato Vodopić</author></titleStmt><sourceDesc><bibl><date>1993</date></bibl>
<bibl type="firstEdition"><date>1868</date></bibl></sourceDesc></fileDesc></teiHeader><text><front><titlePage><p>Naslov</p>
</titlePage><div type="preface"><p>Predgovor.</p></div></front><body><div type="chapter"><head>I.</head>
<p>Brod <hi rend="it">ide</hi><note>bilješka</note> na<pb n="3"/> škar<lb/>polako.</p><lg><l>Prvi</l><l>drugi</l></lg>
<sp><speaker>Luka.</speaker><p>Ala!</p></sp><p>A <choice><sic>krvi</sic><corr>krivi</corr></choice> put.</p></div></body>
</text></TEI>"""


def html(page: str) -> Document:
    account = Account()
    [document] = read_html(decoded(io.BytesIO(page.encode()), account, name="a.html"), name="a.html", account=account)
    return document


def xml(page: str, encoding: str = "utf-8") -> Document:
    [document] = read_xml(page.encode(encoding), name="a.xml", account=Account())
    return document


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>One\n  two<p>three", "One two\n\nthree"),
        ("<h1>Title</h1><div>a <b>b</b>c&nbsp;d &eacute;&mdash;&amp;</div>", "Title\n\na bc d é—&"),
        ("<p>first<br>second<br><br>third</p>", "first\nsecond\n\nthird"),
        ("<ul><li>bread</li><li><p>salt</p></li></ul><p>end", "bread\nsalt\n\nend"),
        ("<p>a</p><pre>  x\n    y\n\nz</pre>", "a\n\n  x\n    y\n\nz"),
        ("<script>s()</script><style>p{}</style><nav>menu</nav><p>text<p hidden>no<p style='display: none'>no", "text"),
        ('<p>word<a href="#f1"><sup>[12]</sup></a>, more<span class="pagenum">7</span>.</p>', "word, more."),
        ('<aside epub:type="footnote">note</aside><div class="footnotes">n</div><p>text', "text"),
        ("<p><ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字", "漢字"),
        ("<figure><img alt='x'><figcaption>caption</figcaption></figure><p>text", "text"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\n\nb"),
        ("<p>co\u00adop</p>", "co\u00adop"),
        ('<ul class="list" role="list"><li>bread</li></ul><div class="page">salt</div>', "bread\n\nsalt"),
        (
            '<form id="aspnetForm"><p>text<label>Name</label><input value="x"><button>Send</button></form>end',
            "text\n\nend",
        ),
    ],
)
def test_a_page_is_read_as_a_person_reads_it(page: str, text: str) -> None:
    assert html(page).text == text


def test_three_links_into_the_book_are_a_table_of_contents_and_one_is_not() -> None:
    contents = "".join(f'<p><a href="#c{n}">Chapter {n}</a></p>' for n in range(3))
    assert html(f'{contents}<h2><a href="#top">One</a></h2><p>Text.</p>').text == "One\n\nText."


def test_a_page_says_its_title_author_year_and_language() -> None:
    page = '<html lang="hr"><title>Priče</title><meta name="author" content="I. B."><meta name="dc.date" content="1916-01">'
    assert html(f"{page}<p>x").fields == {"title": "Priče", "author": "I. B.", "year": "1916", "language": "hr"}


def test_xhtml_with_empty_tags_loses_nothing() -> None:
    page = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>A<p/>b</body></html>'
    assert html(page).text == xml(page).text == "A\n\nb"


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        (b'<meta charset="windows-1251">', "cp1251"),
        (b'<META http-equiv=Content-Type content="text/html; charset=ISO-8859-2">', "iso8859-2"),
        (b"<meta charset=iso-8859-1>", "cp1252"),
        (b'<?xml version="1.0" encoding="koi8-r"?>', "koi8-r"),
        (b"<meta charset=nonsense>", None),
        (b"<meta charset=rot13>", None),
        (b"<p>charset", None),
    ],
)
def test_the_charset_that_a_page_names(head: bytes, codec: str | None) -> None:
    assert charset_named(head) == codec


def test_a_fiction_book_in_windows_1251() -> None:
    book = xml(FB2, "cp1251")
    assert book.text == (
        "Антон Чехов\nСтепь\n\nI\n\nИз N., уездного города, выехала бричка.\n\n"
        "Первый стих,\nвторой стих.\n\nНовая строфа."
    )
    assert book.fields == {"title": "Степь", "author": "Антон Чехов", "year": "1888", "language": "ru"}


def test_a_tei_novel_without_its_apparatus() -> None:
    book = xml(TEI)
    assert book.text == ("Predgovor.\n\nI.\n\nBrod ide na škar polako.\n\nPrvi\ndrugi\n\nLuka.\nAla!\n\nA krivi put.")
    assert book.fields == {"title": "Tužna Jele", "author": "Mato Vodopić", "year": "1868", "language": "hr"}


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("<dataset><p>x</p></dataset>", "<dataset>"),
        ("<TEI><p>a</TEI>", "line 1 is not well-formed XML"),
        ("<TEI></TEI>", "no running text"),
        (BOMB, "amplification"),
        ('<!DOCTYPE TEI [<!ENTITY x SYSTEM "file:///etc/passwd">]><TEI>&x;</TEI>', "lies in another file"),
        ('<?xml version="1.0" encoding="utf-99"?><TEI>a</TEI>', "unknown encoding"),
        ("", "not well-formed"),
    ],
)
def test_xml_that_gives_no_text_is_one_sentence(page: str, sentence: str) -> None:
    with pytest.raises(UnreadableError, match=sentence):
        xml(page)


def test_xml_in_another_encoding_than_it_says() -> None:
    with pytest.raises(UnreadableError, match="says that it is utf-8, but byte"):
        xml('<?xml version="1.0" encoding="utf-8"?><TEI>žena</TEI>', "cp1250")


def test_xml_without_a_declaration_is_read_in_the_encoding_that_a_person_names() -> None:
    data = FB2.partition("\n")[2].encode("cp1251")
    with pytest.raises(UnreadableError, match="it names no encoding and is not UTF-8: name one with --encoding"):
        list(read_xml(data, name="a.fb2", account=Account()))
    account = Account()
    [book] = read_xml(data, name="a.fb2", account=account, encoding="cp1251")
    assert (book.fields["title"], account.encoding.name) == ("Степь", "cp1251")
    with pytest.raises(UnreadableError, match=r"byte \d+ is not ascii"):
        list(read_xml(data, name="a.fb2", account=Account(), encoding="ascii"))


def test_a_named_encoding_overrules_a_wrong_declaration_and_not_unicode() -> None:
    for codec in ("cp1251", "utf-8"):
        page = TEI.replace("UTF-8", "cp1252" if codec == "cp1251" else "UTF-8").replace("Brod", "Брод")
        page = page.replace("ž", "z").replace("ć", "c").replace("š", "s")
        [book] = read_xml(page.encode(codec), name="a.xml", account=Account(), encoding="cp1251")
        assert "Брод ide" in book.text


def test_a_hundred_thousand_nested_tags_do_not_hang() -> None:
    began = time.monotonic()
    assert xml("<TEI>" + "<div>" * 100_000 + "x" + "</div>" * 100_000 + "</TEI>").text == "x"
    with pytest.raises(UnreadableError, match="nested more than"):
        html("<div>" * 100_000 + "x")
    assert html("<font><p>x" * 5_000).text.count("x") == 5_000
    assert time.monotonic() - began < 10


def test_a_very_long_book_comes_in_parts() -> None:
    account = Account()
    page = "<TEI>" + f"<p>{'word ' * 3_000}</p>" * 600 + "</TEI>"
    parts = list(read_xml(page.encode(), name="a.xml", account=account))
    assert [part.name for part in parts] == ["a.xml, part 1", "a.xml, part 2"]
    assert "".join(part.text for part in parts).count("word") == 1_800_000
    assert "cut into 2 parts" in account.note
