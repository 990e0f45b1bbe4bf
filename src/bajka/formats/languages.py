"""What a text of a language looks like, as far as it tells a right reading of its bytes from a wrong one.

Hand-written from general knowledge of the languages, not counted over texts. A language is one row: its letters outside
ASCII (for scripts other than Latin: all letters) with the commonest first, and a handful of its commonest words (for
scripts without spaces: its commonest characters).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Language:
    """One row; `writing` says what a word is and whether ASCII letters stand inside words."""

    name: str
    writing: str  # "latin", "other" (an alphabet of its own), "han" (no spaces; Han characters belong to it)
    letters: str
    common: str  # words, or for "han" characters

    @cached_property
    def ranks(self) -> dict[str, float]:
        """From 0 (commonest letter) to 1 (rarest)."""
        return {letter: place / len(self.letters) for place, letter in enumerate(self.letters)}

    @cached_property
    def words(self) -> frozenset[str]:
        """The commonest words, or characters."""
        return frozenset(self.common if self.writing == "han" else self.common.split())


_KANA = (
    "のいてしにたるはとをがなでかっれらもすりこだまきうあくさけんよつどそちおえせみわめろじばや"
    "ょへべひほびぶむげごぎぐずぜぞざぢづぬねふゆぼぽぱぴぷぺぁぃぅぇぉゃゅゎゐゑーンスルトラリ"
    "イアドックシレタロジテコマフグムサカバメナニプキオチパウデブミエハボダセャュビノポガソズワ"
    "ベモネモヤケゴョヒピツユザペゲギヌヘホヂヅゼゾヨァィゥェォヴヰヱヲヵヶぁ"
)
_SIMPLIFIED = (
    "的一是了不在人有我他这个们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过"
    "天去能对小多然于心学么之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前"
    "些所同日手又行意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常"
    "与活正感"
)
_TRADITIONAL = (
    "的一是了不在人有我他這個們來到時大地為子中你說生國年著就那和要她出也得裡後自以會家可下而過"
    "天去能對小多然於心學麼之都好看起發當沒成只如事把還用第樣道想作種開美總從無情己面最女但現前"
    "些所同日手又行意動方期它頭經長兒回位分愛老因很給名法間斯知世什兩次使身者被高已親其進此話常"
    "與活正感"
)

LANGUAGES = (
    Language(
        "English", "latin", "éèêçëïöüñáàâôæœ", "the of and to in a that was he it his with as had for is she her not"
    ),
    Language(
        "German", "latin", "üäöß", "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als er"
    ),
    Language(
        "French",
        "latin",
        "éèàêçâîôûùëïœæÿ",
        "de la le et les des en un du une que est pour qui dans il au sur ne se pas",
    ),
    Language("Italian", "latin", "èàòùìéîóú", "di e che la il un a per in una è non si del con le da i della più come"),
    Language("Spanish", "latin", "óíáéñúü", "de la que el en y a los se del las un por con no una su para es al lo"),
    Language(
        "Portuguese", "latin", "ãçáéóíêâõàúôü", "de a que o e do da em um para com não uma os no se na por mais as"
    ),
    Language(
        "Dutch", "latin", "ëéïöüèáóê", "de en van het een in is dat op te zijn met voor niet aan er om hij was die"
    ),
    Language(
        "Danish and Norwegian",
        "latin",
        "åøæéòôü",
        "og i det på at en af er til som den de for med han jeg ikke var et av",
    ),
    Language("Swedish", "latin", "äåöéà", "och i att det som en på är av för med till den har de inte om ett han var"),
    Language(
        "Finnish", "latin", "äöåšž", "ja on ei se että hän oli mutta niin kuin ole kun myös joka tai en minä sitä"
    ),
    Language(
        "Icelandic", "latin", "ðáíþéöæúóý", "og að í á sem er til var við um með en hann það af ekki fyrir þá eru"
    ),
    Language("Polish", "latin", "łęąóżśćńź", "w i na z się do nie że to jest a jak o po od za ale co był tak"),
    Language("Czech", "latin", "íáéěřžčýšůúťóňď", "a se na v je že to s z do o i ve za by jako ale po jsem k"),
    Language("Slovak", "latin", "áíéčžýšľťúňôďóäĺŕ", "a sa na v je že to s z do o aj vo za by ako ale po som k"),
    Language(
        "Hungarian", "latin", "áéöóőíüúű", "a az és hogy nem is egy ez de meg volt csak ha már mint van azt el ki"
    ),
    Language("Romanian", "latin", "ăîșțâşţ", "de și în a la cu nu se o că un pe din ce mai care să este fi si"),
    Language("Slovene", "latin", "čšžćđ", "je in v na se da za so pa z ne s ki po bi ni o tudi kot"),
    Language("Croatian", "latin", "šžčćđ", "je i u se na da su za od ne a što o kao s sam bi iz to koji nije ali"),
    Language("Turkish", "latin", "ıüşğçöâîû", "ve bir bu da de için o ile çok ne gibi daha kadar ama var en mi olan"),
    Language("Estonian", "latin", "äõüöšž", "ja on ei et see ta oli ma kui mis aga oma ning siis nagu ka ole"),
    Language("Latvian", "latin", "āīšēņļūžģčķ", "un ir ar no uz par kas ka es tas nav bet kā pie lai arī tā pa to"),
    Language("Lithuanian", "latin", "ėšįųžąūčę", "ir kad į iš su tai o kaip yra bet ne jis buvo už po ar jo apie"),
    Language(
        "Russian",
        "other",
        "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё",
        "и в не на я что он с как а его но по это к у она так из было все бы",
    ),
    Language(
        "Ukrainian",
        "other",
        "оанитвіерсклдумпязьгбчхйжюшцїєщфґ",
        "і на в не що та я з до як він у за це а його але й про його",
    ),
    Language(
        "Belarusian", "other", "аніыорстлкдевяумпзцьгйбчхшўжюэфё", "і ў на не з што у як да ён я а за яго але гэта па"
    ),
    Language(
        "Bulgarian",
        "other",
        "аоиетнрсвлдпкмзъугябчщжйхшцфюь",
        "и на да се в не от за е че си с то по като но ще го му ли",
    ),
    Language(
        "Serbian",
        "other",
        "аоиенрсјтуклвдмпзгбчшцжћхњљђфџ",
        "је и у се на да су за од не а што о као с сам би из то није али",
    ),
    Language(
        "Macedonian", "other", "аоиетнрсвлдкпмјузгбчшцжхќњџѓљфѕ", "на и во да се од е не за ќе со ги што го си ја но"
    ),
    Language(
        "Greek",
        "other",
        "αοιετσνηυρπκμλςόίάέδήύώγωχθφβξζϊψΐϋΰ",
        "και το να του η της με που την από για τα ο τον δεν στο θα τη οι",
    ),
    Language("Hebrew", "other", "יוהלאמרבתשנעםדקחפטצןגזסכךףץ", "את של על לא הוא אל כי זה היה אני מה כל גם לו היא אם"),
    Language(
        "Arabic",
        "other",
        "اليمنوترعبسدفهكحقةجشصىأخطضذإزئءثغظؤآپچگژی",
        "في من على أن إلى لا ما هذا عن كان هو مع التي كل لم",
    ),
    Language("Japanese", "han", _KANA, "のいてしにたるはとをがなでかっれらもすりこだまき"),
    Language(
        "Chinese (simplified)",
        "han",
        "",
        _SIMPLIFIED,
    ),
    Language(
        "Chinese (traditional)",
        "han",
        "",
        _TRADITIONAL,
    ),
    Language("Korean", "hangul", "", "이 그 수 것 있는 그는 한 나는 하는 그리고 내 그녀는 더 또 안"),
)

_CYRILLIC = ("Russian", "Ukrainian", "Belarusian", "Bulgarian", "Serbian", "Macedonian")
_WESTERN = (
    *("English", "German", "French", "Italian", "Spanish", "Portuguese", "Dutch", "Danish and Norwegian", "Swedish"),
    *("Finnish", "Icelandic"),
)
_CENTRAL = ("Polish", "Czech", "Slovak", "Hungarian", "Romanian", "Slovene", "Croatian", "German")
_BALTIC = ("Estonian", "Latvian", "Lithuanian")
MADE_FOR: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("cp1250", "iso8859_2", "cp852", "mac_latin2"), _CENTRAL),
    **dict.fromkeys(("cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "cp855", "mac_cyrillic"), _CYRILLIC),
    **dict.fromkeys(("cp1252", "iso8859_15", "latin_1", "iso8859_1", "cp850", "cp858", "mac_roman"), _WESTERN),
    **dict.fromkeys(("cp1257", "iso8859_13", "cp775"), _BALTIC),
    **dict.fromkeys(("cp1254", "iso8859_9", "cp857"), ("Turkish",)),
    **dict.fromkeys(("cp1253", "iso8859_7", "cp737"), ("Greek",)),
    **dict.fromkeys(("cp1255", "iso8859_8", "cp862"), ("Hebrew",)),
    **dict.fromkeys(("cp1256", "iso8859_6", "cp864"), ("Arabic",)),
    **dict.fromkeys(("cp932", "euc_jp"), ("Japanese",)),
    "gb18030": ("Chinese (simplified)", "Chinese (traditional)"),
    "big5": ("Chinese (traditional)",),
    "cp949": ("Korean",),
}
"""The languages that an old encoding was made for: any other under it is unlikely, though it may look possible."""
