"""What a page shows and says to a screen reader, but for code, names and numbers."""

import base64
import re
from html.parser import HTMLParser

_CODE = {"pre", "code", "style", "script", "title"}
_NAMES = {"mono", "word", "rule"}
_SAID = {"aria-label", "data-label", "alt", "title"}
_ENGLISH = re.compile(r"[a-z]{2,},? [a-z]{2,}")
_VOID = {"meta", "link", "img", "source", "br", "input", "path"}


class _Shown(HTMLParser):
    def __init__(self):
        super().__init__()
        self.texts, self._open = [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.texts += [given[name] for name in _SAID if given.get(name)]
        for address in (given.get("src"), given.get("srcset")):
            if address and address.startswith("data:image/svg"):
                drawing = base64.b64decode(address.partition("base64,")[2]).decode("utf-8")
                self.texts += re.findall(r"<text[^>]*>([^<]*)</text>", drawing)
        if tag not in _VOID:
            named = bool(_NAMES & set((given.get("class") or "").split()))
            self._open.append((tag, tag in _CODE or named))

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, text):
        if text.strip() and not any(code for _, code in self._open):
            self.texts.append(" ".join(text.split()))


def texts_on(page):
    """The texts of a page, each once."""
    reader = _Shown()
    reader.feed(page)
    return list(dict.fromkeys(reader.texts))


def english_on(page):
    """The texts of a page that hold English words in a row, each once."""
    return [text for text in texts_on(page) if _ENGLISH.search(text)]
