"""Fields become conditions: what a template makes of a record, and of a prompt."""

from __future__ import annotations

import pytest

from bajka.corpus import Document, Template
from bajka.errors import InputError, SettingsError

PLOTS = "<|title|>{title}<|genre|>{genre}<|plot|>{plot}"


def cut(document: Document) -> list[tuple[str, str]]:
    """The stretches of text, each with the marker before it."""
    places = [*(place for place, _ in document.markers), len(document.text)]
    return [
        (marker, document.text[begin:end])
        for (_, marker), begin, end in zip(document.markers, places, places[1:], strict=False)
    ]


def test_each_field_stands_behind_its_marker() -> None:
    document = Template.parse(PLOTS).fill({"title": "The Iron Fox", "genre": "horror", "plot": "It rains."})
    assert document.text == "The Iron FoxhorrorIt rains."
    assert cut(document) == [("<|title|>", "The Iron Fox"), ("<|genre|>", "horror"), ("<|plot|>", "It rains.")]


@pytest.mark.parametrize("genre", [{}, {"genre": ""}, {"genre": " \n"}])
def test_a_missing_field_goes_with_its_marker(genre: dict[str, str]) -> None:
    document = Template.parse(PLOTS).fill({"title": "Fox", "plot": "It rains."} | genre)
    assert cut(document) == [("<|title|>", "Fox"), ("<|plot|>", "It rains.")]


def test_words_outside_the_brackets_are_text() -> None:
    document = Template.parse("Title: {title}\n\n{plot}\nTHE END").fill({"title": "Fox", "plot": "It rains."})
    assert document.text == "Title: Fox\n\nIt rains.\nTHE END"
    assert document.markers == ()
    assert Template.parse("Title: {title}\n\n{plot}").fill({"plot": "It rains."}).text == "\n\nIt rains."


def test_a_record_is_cleaned_field_by_field_and_keeps_its_other_fields() -> None:
    record = Document("it rains ", "plots.csv#3", {"Title": " fox", "year": "1901"})
    document = Template.parse(PLOTS).apply(record, clean=str.upper)
    assert cut(document) == [("<|title|>", "FOX"), ("<|plot|>", "IT RAINS ")]
    assert (document.name, document.fields) == (record.name, record.fields)


def test_a_prompt_leaves_the_last_field_open() -> None:
    template = Template.parse(PLOTS)
    assert cut(template.prompt({"title": "Fox"})) == [("<|title|>", "Fox"), ("<|plot|>", "")]
    assert cut(template.prompt({}, "Once")) == [("<|plot|>", "Once")]
    assert template.prompt({"TITLE": "Fox"}) == template.prompt({"title": "Fox"})


def test_a_field_that_the_template_lacks_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no field titel\. Did you mean title\?"):
        Template.parse(PLOTS).prompt({"titel": "Fox"})


def test_a_value_that_looks_like_a_marker_is_text() -> None:
    document = Template.parse(PLOTS).fill({"title": "<|plot|>{genre}", "plot": "It rains."})
    assert cut(document)[0] == ("<|title|>", "<|plot|>{genre}")


def test_markers_and_fields_are_told_in_order() -> None:
    template = Template.parse(PLOTS)
    assert template.markers == ("<|title|>", "<|genre|>", "<|plot|>")
    assert template.fields == ("title", "genre", "plot")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("<|title|>", "has no field"),
        ("{a}{a}", "names a field twice"),
        ("<|endoftext|>{a}", "already stands before every document"),
    ],
)
def test_a_template_that_cannot_be_used_gets_a_sentence(source: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Template.parse(source)
