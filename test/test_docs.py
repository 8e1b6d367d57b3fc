"""What the documentation quotes and links exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "models").glob("*/*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def sources() -> str:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    # Joined as Python joins neighbouring strings, without what is put in at run time.
    text = "\n".join(path.read_text() for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_messages_in_the_troubleshooting_page_are_in_the_code() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 20
    code = sources()
    assert [message for message in messages if message not in code] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
