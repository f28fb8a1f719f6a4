"""The adoption agency: the effect of the end tag of a formatting element (HTML standard, 13.2.6.4.7)."""

from __future__ import annotations

from html5lib.constants import tableInsertModeElements

from .tree import SPECIAL, Element, Tree


def run_adoption_agency(tree: Tree, name: str, *, unbounded: bool) -> bool:
    """Close a formatting element by its end tag.

    Args:
        tree: the tree that is being built.
        name: the name in the end tag.
        unbounded: whether the inner loop goes through all elements, or ends after three.

    Returns:
        False if there is no formatting element of that name, and the end tag is to be processed like any other.
    """
    stack, formatting = tree.openElements, tree.activeFormattingElements
    if stack[-1].name == name and stack[-1] not in formatting:
        stack.pop()
        return True
    for _ in range(8):
        element = tree.elementInActiveFormattingElements(name)  # type: ignore[no-untyped-call]
        if not element:
            return False
        if element not in stack:
            formatting.remove(element)
            return True
        if not tree.elementInScope(element):
            return True
        inside = stack[stack.index(element) :]
        block = next((node for node in inside if node.nameTuple in SPECIAL), None)
        if block is None:
            del stack[stack.index(element) :]
            formatting.remove(element)
            return True
        _adopt(tree, element, block, unbounded)
    return True


def _adopt(tree: Tree, element: Element, block: Element, unbounded: bool) -> None:
    """Move a block out of a formatting element, a copy of which takes over the block's content (4.9 to 4.19)."""
    stack, formatting = tree.openElements, tree.activeFormattingElements
    ancestor = stack[stack.index(element) - 1]
    top, bookmark = _copy_between(tree, element, block, unbounded)
    fostered = ancestor.name in tableInsertModeElements  # Chrome's list; the standard's has `template` too
    parent, before = tree.getTableMisnestedNodePosition() if fostered else (ancestor, None)
    parent.insertBefore(top, before)
    clone = element.cloneNode()
    block.reparentChildren(clone)
    block.appendChild(clone)
    formatting.insert(formatting.index(bookmark) + 1, clone)
    formatting.remove(element)
    stack.remove(element)
    stack.insert(stack.index(block) + 1, clone)


def _copy_between(tree: Tree, element: Element, block: Element, unbounded: bool) -> tuple[Element, Element]:
    """Wrap a block in copies of the formatting elements between it and another; close what else is open there (4.13).

    Returns:
        The outermost copy, or the block if there is none, and the formatting element that the new one is to follow.
    """
    stack, formatting = tree.openElements, tree.activeFormattingElements
    top, bookmark = block, element
    between = stack[stack.index(element) + 1 : stack.index(block)]
    for count, node in enumerate(reversed(between if unbounded else between[-3:]), 1):
        if count > 3 and node in formatting:
            formatting.remove(node)
        if node not in formatting:
            stack.remove(node)
            continue
        clone = node.cloneNode()
        formatting[formatting.index(node)] = stack[stack.index(node)] = clone
        if top is block:
            bookmark = clone
        clone.appendChild(top)
        top = clone
    return top, bookmark
