"""Draws the packages on their floors with the arrows between them: docs/images/architecture.svg, as text.

Each package is a box on the floor that pyproject.toml gives it. An arrow that passes other floors gets a waypoint on
each, boxes and waypoints of a floor are put in an order with few crossings, and then moved as near to their
neighbours as the order and the boxes allow. Nothing is drawn by chance: the same imports give the same bytes.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from xml.sax.saxutils import escape

from import_graph import House, arrows, reduced

WIDTH, TOP, LEGEND = 980, 28, 92
BOX, HEIGHT, GAP, LANE = 232, 58, 38, 26
"""Width and height of a box, the space between floors, and the width that a passing arrow takes."""
LETTERS = 34
"""In a line of a box."""
EDGE = 34
"""Free space at the sides."""
WIDE = ((20, "wide"), (5, "middle"), (0, "thin"))
"""From how many imports on an arrow is how wide."""
SWEEPS = 60

Node = str | tuple[str, str, int]
"""A package, or the waypoint of an arrow (from, to) on a floor."""
Places = Mapping[Node, float]

STYLE = """
    .floor  { fill: #8a94a6; fill-opacity: .07 }
    .card   { fill: #ffffff; stroke: #8a94a6; stroke-width: 1.5 }
    .people { fill: #fff4e0; stroke: #c47f17 }
    .model  { fill: #e8f1fc; stroke: #2f6fb5 }
    .name   { font: 600 16px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1c2430 }
    .what   { font: 12.5px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #4a5566 }
    .flow   { fill: none; stroke: #7d889b }
    .head   { fill: #7d889b }
    .flow.of-people { stroke: #c47f17 }
    .head.of-people { fill: #c47f17 }
    .flow.of-model  { stroke: #2f6fb5 }
    .head.of-model  { fill: #2f6fb5 }
    .thin   { stroke-width: 1.4 }
    .middle { stroke-width: 2.4 }
    .wide   { stroke-width: 4 }
    @media (prefers-color-scheme: dark) {
      .floor  { fill-opacity: .13 }
      .card   { fill: #1b212b; stroke: #76839a }
      .people { fill: #33270f; stroke: #e0a443 }
      .model  { fill: #14283f; stroke: #6aa5e8 }
      .name   { fill: #eef2f8 }
      .what   { fill: #b4bfcf }
      .flow   { stroke: #8f9bb0 }
      .head   { fill: #8f9bb0 }
      .flow.of-people { stroke: #e0a443 }
      .head.of-people { fill: #e0a443 }
      .flow.of-model  { stroke: #6aa5e8 }
      .head.of-model  { fill: #6aa5e8 }
    }"""


@dataclass(frozen=True)
class Drawing:
    """What stands where."""

    floors: tuple[tuple[Node, ...], ...]
    """From the top floor to the ground, each from left to right."""
    chains: tuple[tuple[Node, ...], ...]
    """Each arrow with its waypoints."""
    x: Places
    """Middles."""

    def top(self, node: Node) -> float:
        """Upper edge of a node's floor."""
        return TOP + (HEIGHT + GAP) * next(i for i, floor in enumerate(self.floors) if node in floor)


def picture(house: House) -> str:
    """The whole SVG."""
    between = arrows(house)
    drawing = _arrange(house, reduced(between))
    height = TOP + (HEIGHT + GAP) * len(drawing.floors) + LEGEND - GAP
    listed = " / ".join(" and ".join(floor) for floor in house.floors)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' role="img" aria-labelledby="title desc">',
        '  <title id="title">The packages of Assent on their floors</title>',
        *textwrap.wrap(
            f'<desc id="desc">From the top floor to the ground: {listed}. A package imports only from floors below its'
            " own. Written by docs/build_architecture.py.</desc>",
            116,
            initial_indent="  ",
            subsequent_indent="  ",
        ),
        f"  <style>{STYLE}\n  </style>",
        f"  <defs>{''.join(_marker(wing) for wing in ('', 'of-people', 'of-model'))}\n  </defs>",
        *_bands(len(drawing.floors)),
        *_flows(house, drawing, between),
        *(_box(house, drawing, package) for package in house.packages if package in drawing.x),
        *_legend(height - LEGEND + 26),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def about(house: House, package: str) -> str:
    """What a package says of itself in its first line, up to the first colon or full stop, and no more than fits."""
    said = house.modules[(package,)].first_line.replace("`", "")
    said = re.sub(r"^Assent's \w+: ", "", said)
    said = re.split(r"[:;.](?:\s|$)", said)[0]
    while len(textwrap.wrap(said, LETTERS)) > 2 and "," in said:
        said = said.rpartition(",")[0]
    return said[:1].lower() + said[1:] if said[1:2].islower() or said[1:2] == " " else said


def _arrange(house: House, pairs: Sequence[tuple[str, str]]) -> Drawing:
    levels = [[p for p in floor if (p,) in house.modules] for floor in house.floors]
    level = {package: i for i, floor in enumerate(levels) for package in floor}
    floors: list[list[Node]] = [list(floor) for floor in levels]
    chains: list[tuple[Node, ...]] = []
    for a, b in pairs:
        if a not in level or b not in level:
            continue
        way: list[Node] = [(a, b, i) for i in range(level[a] + 1, level[b])]
        for one, i in zip(way, range(level[a] + 1, level[b]), strict=True):
            floors[i].append(one)
        chains.append((a, *way, b))
    wing = _wing_of(house)
    ordered = _order(floors, chains, wing)
    return Drawing(tuple(map(tuple, ordered)), tuple(chains), _spread(ordered, chains, wing))


def _order(
    floors: Sequence[Sequence[Node]], chains: Sequence[Sequence[Node]], wing: Callable[[Node], float]
) -> list[list[Node]]:
    """People left, machine right, and waypoints where arrows cross least: neighbours and whole ways change places."""
    links = _links(chains)
    best = [sorted(floor, key=lambda n: (wing(n), str(n))) for floor in floors]
    cost = _cost(best, links, wing)
    while True:
        for other in _others(best, chains):
            if (price := _cost(other, links, wing)) < cost - 1e-9:
                best, cost = other, price
                break
        else:
            return best


def _others(floors: Sequence[Sequence[Node]], chains: Sequence[Sequence[Node]]) -> Iterator[list[list[Node]]]:
    """Orders near this one: a node elsewhere on its floor, or all waypoints of an arrow moved together."""
    for i, floor in enumerate(floors):
        for node in floor:
            rest = [n for n in floor if n != node]
            for k in range(len(floor)):
                yield [*map(list, floors[:i]), [*rest[:k], node, *rest[k:]], *map(list, floors[i + 1 :])]
    for chain in chains:
        way = set(chain[1:-1])
        for share in (0.0, 0.25, 0.5, 0.75, 1.0) if len(way) > 1 else ():
            moved = []
            for floor in floors:
                rest = [n for n in floor if n not in way]
                k = round(share * len(rest))
                moved.append([*rest[:k], *(n for n in floor if n in way), *rest[k:]])
            yield moved


def _cost(floors: Sequence[Sequence[Node]], links: Mapping[Node, list[Node]], wing: Callable[[Node], float]) -> float:
    """Crossings, packages on the wrong side of another one, and a little for ways that are not straight."""
    total = 0.0
    right = [_shares(floor) for floor in floors]
    for above, below in pairwise(range(len(floors))):
        place = {n: k for k, n in enumerate(floors[below])}
        ends = [(k, place[m]) for k, n in enumerate(floors[above]) for m in links.get(n, ()) if m in place]
        total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(ends) for c, d in ends[i + 1 :])
        total += sum(0.3 * abs(right[above][a] - right[below][b]) for a, b in ends)
    for floor in floors:
        sides = [wing(n) for n in floor if isinstance(n, str)]
        total += sum(9.0 for a, b in pairwise(sides) if a > b)
    return total


def _shares(floor: Sequence[Node]) -> list[float]:
    """How far right each place of a floor is, boxes counted by their width, the floor in the middle."""
    ends = list(accumulate((_room_of(n) for n in floor), initial=0.0))
    return [0.5 + ((a + b) / 2 - ends[-1] / 2) / WIDTH for a, b in pairwise(ends)]


def _spread(
    floors: Sequence[Sequence[Node]], chains: Sequence[Sequence[Node]], wing: Callable[[Node], float]
) -> dict[Node, float]:
    """Middles of all nodes: each near its neighbours, packages of a wing near its side, none over another."""
    links = _links(chains)
    x: dict[Node, float] = {n: WIDTH * (k + 1) / (len(floor) + 1) for floor in floors for k, n in enumerate(floor)}
    for sweep in range(SWEEPS):
        for floor in floors if sweep % 2 else list(reversed(floors)):
            wish, weight = [], []
            for node in floor:
                is_package = isinstance(node, str)
                near = _mean([x[m] for m in links.get(node, ())], WIDTH / 2)
                wish.append(WIDTH / 2 + wing(node) * WIDTH * 0.31 if is_package else near)
                weight.append(1000.0 if is_package else 1.0)
            x |= zip(floor, _apart(wish, weight, [_room_of(n) for n in floor]), strict=True)
    for chain in sorted(chains, key=lambda c: (-len(c), str(c))):
        _straighten(x, floors, chain)
    return {node: round(value) for node, value in x.items()}


def _straighten(x: dict[Node, float], floors: Sequence[Sequence[Node]], chain: Sequence[Node]) -> None:
    """Put as many waypoints in a row as possible one below the other, in what is free on their floors."""
    way = list(chain[1:-1])
    while way:
        run, low, high = [], EDGE / 2, WIDTH - EDGE / 2
        for node in way:
            left, right = _free(x, next(floor for floor in floors if node in floor), node)
            if max(low, left) > min(high, right):
                break
            run, low, high = [*run, node], max(low, left), min(high, right)
        run = run or way[:1]
        if len(run) > 1:
            wish = _mean([x[n] for n in run], 0.0)
            x |= dict.fromkeys(run, min(max(wish, low), high))
        way = way[len(run) :]


def _free(x: Places, floor: Sequence[Node], node: Node) -> tuple[float, float]:
    """Between which places a waypoint can stand on its floor."""
    k = floor.index(node)
    left = max((x[n] + (_room_of(n) + LANE) / 2 for n in floor[:k]), default=EDGE / 2)
    return left, min((x[n] - (_room_of(n) + LANE) / 2 for n in floor[k + 1 :]), default=WIDTH - EDGE / 2)


def _apart(wish: Sequence[float], weight: Sequence[float], room: Sequence[float]) -> list[float]:
    """The nearest places to those wished (least squares) that keep the order and do not overlap."""
    shift = [0.0]
    for a, b in pairwise(room):
        shift.append(shift[-1] + (a + b) / 2)
    low, high = EDGE + room[0] / 2, WIDTH - EDGE - room[-1] / 2 - shift[-1]
    blocks: list[tuple[float, float, int]] = []
    for value, own, offset in zip(wish, weight, shift, strict=True):
        block = (value - offset, own, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, heavy, number = blocks.pop()
            block = ((mean * heavy + block[0] * block[1]) / (heavy + block[1]), heavy + block[1], number + block[2])
        blocks.append(block)
    flat = [min(max(mean, low), high) for mean, _, number in blocks for _ in range(number)]
    return [value + offset for value, offset in zip(flat, shift, strict=True)]


def _flows(house: House, drawing: Drawing, between: Mapping[tuple[str, str], int]) -> Iterator[str]:
    """The arrows; where several leave or reach one box they are spread over its edge."""
    for chain in drawing.chains:
        a, b = str(chain[0]), str(chain[-1])
        xs = [_port(drawing, chain, 0), *(drawing.x[n] for n in chain[1:-1]), _port(drawing, chain, -1)]
        path = ""
        for i, (node, below) in enumerate(pairwise(chain)):
            y, to = drawing.top(node) + HEIGHT, drawing.top(below) - (5 if below == b else 0)
            path += f"M{xs[i]:g} {y:g}" if i == 0 else f"V{y:g}"
            middle = (y + to) / 2
            path += (
                f"V{to:g}"
                if xs[i] == xs[i + 1]
                else f"C{xs[i]:g} {middle:g} {xs[i + 1]:g} {middle:g} {xs[i + 1]:g} {to:g}"
            )
        wing, width = _of(house, a), next(name for least, name in WIDE if between[a, b] >= least)
        style, head = " ".join(filter(None, ("flow", wing, width))), f"head-{wing}" if wing else "head"
        title = f"<title>{a} imports {b}</title>"
        yield f'  <path class="{style}" d="{path}" marker-end="url(#{head})">{title}</path>'


def _step(x: float, y: float, to_x: float, to_y: float) -> str:
    """From one floor to the next, straight where it can be."""
    middle = (y + to_y) / 2
    return f"V{to_y:g}" if x == to_x else f"C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y:g}"


def _port(drawing: Drawing, chain: Sequence[Node], end: int) -> float:
    """Where on the edge of its box an arrow begins (end 0) or ends (-1)."""
    box, beside = chain[end], 1 if end == 0 else -2
    others = sorted((c for c in drawing.chains if c[end] == box), key=lambda c: (drawing.x[c[beside]], c[0], c[-1]))
    step = min(30.0, (BOX - 60) / max(len(others) - 1, 1))
    return round(drawing.x[box] + step * (others.index(tuple(chain)) - (len(others) - 1) / 2), 1)


def _box(house: House, drawing: Drawing, package: str) -> str:
    x, y = drawing.x[package], drawing.top(package)
    card = " ".join(("card", _of(house, package).removeprefix("of-"))).strip()
    lines = textwrap.wrap(about(house, package), LETTERS)
    first = y + (22 if len(lines) > 1 else 26)
    rows = "".join(
        f'<text class="what" x="{x:g}" y="{first + 16 + 14 * i:g}" text-anchor="middle">{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    return (
        f'  <rect class="{card}" x="{x - BOX / 2:g}" y="{y:g}" width="{BOX}" height="{HEIGHT}" rx="10"/>'
        f'<text class="name" x="{x:g}" y="{first:g}" text-anchor="middle">{package}</text>{rows}'
    )


def _bands(number: int) -> Iterator[str]:
    for i in range(number):
        y = TOP + (HEIGHT + GAP) * i - 8
        yield f'  <rect class="floor" x="8" y="{y}" width="{WIDTH - 16}" height="{HEIGHT + 16}" rx="12"/>'


def _legend(y: int) -> Iterator[str]:
    words = (
        ("card people", "people side: never torch"),
        ("card model", "machine side: never a database"),
        ("card", "neither side"),
    )
    x = 34.0
    for card, text in words:
        yield f'  <rect class="{card}" x="{x:g}" y="{y}" width="22" height="16" rx="4"/>'
        yield f'  <text class="what" x="{x + 30:g}" y="{y + 12.5}">{text}</text>'
        x += 54 + 5.9 * len(text)
    for (_, width), text in zip(reversed(WIDE), ("few imports", "5 or more", "20 or more"), strict=True):
        yield f'  <path class="flow {width}" d="M{x:g} {y + 8}h28"/>'
        yield f'  <text class="what" x="{x + 36:g}" y="{y + 12.5}">{text}</text>'
        x += 56 + 5.9 * len(text)
    yield (
        f'  <text class="what" x="34" y="{y + 44}">An arrow says "imports" and always leads down. An arrow is left out'
        " where a longer way of arrows leads to the same package.</text>"
    )


def _marker(wing: str) -> str:
    name, head = (f"head-{wing}", f"head {wing}") if wing else ("head", "head")
    return (
        f'\n    <marker id="{name}" viewBox="0 0 10 10" refX="5" refY="5" markerWidth="11" markerHeight="11"'
        f' markerUnits="userSpaceOnUse" orient="auto"><path class="{head}" d="M0 0L10 5L0 10z"/></marker>'
    )


def _of(house: House, package: str) -> str:
    """The wing of a package as a class of the picture's style."""
    return "of-people" if package in house.people else "of-model" if package in house.machine else ""


def _wing_of(house: House) -> Callable[[Node], float]:
    """-1 for the people side, which stands left, 1 for the machine side."""
    sides = {**dict.fromkeys(house.people, -1.0), **dict.fromkeys(house.machine, 1.0)}
    return lambda node: sides.get(node, 0.0) if isinstance(node, str) else 0.0


def _links(chains: Sequence[Sequence[Node]]) -> dict[Node, list[Node]]:
    """The neighbours of each node, above and below."""
    found: dict[Node, list[Node]] = {}
    for chain in chains:
        for a, b in pairwise(chain):
            found.setdefault(a, []).append(b)
            found.setdefault(b, []).append(a)
    return found


def _room_of(node: Node) -> float:
    return BOX + 16 if isinstance(node, str) else LANE


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
