"""Looking at a page: what axe finds (WCAG 2.2 AA), and whether anything stands out sideways."""

from collections.abc import Sequence
from itertools import product

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    # Where each rule held is not asked: to say so takes axe as long as to look.
    "resultTypes": ["violations"],
}
# Buttons whose words and icon do not stand in the middle.
OFF_CENTRE = """
[...document.querySelectorAll(".btn")].filter(button => button.checkVisibility()).filter(button => {
  const shown = document.createTreeWalker(button, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT)
  const boxes = []
  while (shown.nextNode()) {
    const node = shown.currentNode, range = document.createRange()
    if (node.nodeName !== "svg" && !node.data?.trim()) continue
    if ((node.parentElement).closest(".visually-hidden, svg")) continue
    range.selectNode(node)
    boxes.push(...range.getClientRects())
  }
  const left = Math.min(...boxes.map(box => box.left)) - button.getBoundingClientRect().left
  const right = button.getBoundingClientRect().right - Math.max(...boxes.map(box => box.right))
  return boxes.length && Math.abs(left - right) > 3
}).map(button => button.textContent.trim().split(/\\s+/).join(" "))
"""
LOOKS = list(product([1440, 375], ["light", "dark"]))
# Both widths and both themes in two looks, for the many pages that are built of the same parts.
TWO_LOOKS = [(1440, "light"), (375, "dark")]


def look_at(page: Page, name: str, looks: Sequence[tuple[int, str]] = LOOKS) -> list[str]:
    """What is wrong with the page as it stands, in each look, one line each."""
    wrong = []
    for width, scheme in looks:
        page.set_viewport_size({"width": width, "height": 900})
        # Without motion, or axe meets buttons halfway between two colours.
        page.emulate_media(
            color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce"
        )
        for violation in Axe().run(page, options=RULES).response["violations"]:
            nodes = [node["html"][:120] for node in violation["nodes"][:2]]
            wrong.append(f"{name} {width} {scheme}: {violation['id']} {nodes}")
    wrong += [f"{name}: {words!r} is off the middle" for words in page.evaluate(OFF_CENTRE)]
    for width in (1440, 768, 375, 320):
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong.append(f"{name} {width}: scrolls sideways")
    return wrong
