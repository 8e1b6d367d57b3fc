"""A report as a browser reads it: references, text, and whether its tags close."""

import base64
from html.parser import HTMLParser

import cv2
import numpy as np
from numpy.typing import NDArray

VOID = {"meta", "img", "input", "br", "link"}


class Parsed(HTMLParser):
    """Collects references and text, and checks that tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.classes: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key in ("src", "href", "xlink:href") and value is not None:
                self.references.append(value)
            if key == "class" and value is not None:
                self.classes += value.split()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def decode(uri: str) -> NDArray[np.uint8]:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(body, validate=True), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, dtype=np.uint8)
