"""The derivation of a number as HTML: the terms of each part of a network, with their formulas, down to the sum."""

import re
from collections.abc import Iterable
from html import escape

from explorer.blocks import Costs
from explorer.drawing import LETTERS, Line, lines
from explorer.theme import PALETTE
from lambda_core.cost import Term
from lambda_core.tables import Maps

STYLE = """<style>
.derivation { font-variant-numeric: tabular-nums lining-nums; max-width: 1040px; font-size: 14px; line-height: 20px }
.derivation details { border-top: 1px solid VAR_line; padding: 7px 0 } .derivation summary { cursor: pointer }
.derivation summary b, .derivation .sum b { float: right; font-weight: 600 }
.derivation .sum { border-top: 1px solid VAR_line-strong; padding: 9px 0; font-weight: 600 }
.derivation div.terms { overflow-x: auto; padding: 6px 0 6px 18px }
.derivation table { border-collapse: collapse; width: 100% } .derivation p { font-size: 14px; line-height: 20px; margin: 6px 0 }
.derivation td:nth-child(1) { width: 26% } .derivation td:nth-child(2) { width: 7% } .derivation td:nth-child(3) { width: 20% } .derivation td:nth-child(4) { width: 27% }
.derivation td { padding: 2px 20px 2px 0; border: 0; white-space: nowrap } .derivation td:last-child { text-align: right; padding: 0 }
.derivation code { font-size: 13px; background: none; padding: 0; color: inherit } .derivation i { font-style: normal; font-weight: 600 }
.derivation .soft { color: VAR_ink-soft }
</style>"""  # noqa: E501


def style(scheme: str) -> str:
    return re.sub(r"VAR_([\w-]+)", lambda found: PALETTE[scheme][found[1]], STYLE)


def formula(text: str, scheme: str) -> str:
    """A formula with its letters in their hues."""
    ink = PALETTE[scheme]

    def coloured(found: re.Match[str]) -> str:
        if found[0] not in LETTERS:
            return found[0]
        hue = LETTERS[found[0]][0]
        return f'<i style="color:{ink.get(f"{hue}-text", ink[hue])}">{found[0]}</i>'

    return re.sub("[A-Za-z]+", coloured, escape(text))


def grouped(text: str) -> str:
    """Digits in threes: 2·3136·529 is 2·3,136·529."""
    return re.sub(r"\d+", lambda found: f"{int(found[0]):,}", text)


def _table(found: Iterable[Line], scheme: str) -> str:
    rows = "".join(
        f"<tr><td>{escape(line.where)}</td><td class='soft'>{f'{line.times} ×' if line.times > 1 else ''}</td>"
        f"<td><code>{formula(line.term.formula, scheme)}</code></td>"
        f"<td class='soft'><code>{grouped(line.term.substituted)}</code></td><td>{line.value:,}</td></tr>"
        for line in found
    )
    return f"<div class='terms'><table>{rows}</table></div>"


def legend(terms: Iterable[Term], scheme: str) -> str:
    used = set(re.findall("[A-Za-z]", "".join(term.formula for term in terms)))
    words = [
        f"<code>{formula(letter, scheme)}</code> {says}" for letter, (_, says) in LETTERS.items() if letter in used
    ]
    return f"<p class='soft'>{', '.join(words)}.</p>" if words else ""


def of_network(found: Costs, metric: str, scheme: str) -> str:
    """Parameters or FLOPs, part by part; the sums of the parts end in the number."""
    parts = [("stem", "Stem", [found.stem])]
    for stage in found.stages:
        blocks = f"{stage.name}: {len(stage.letters)} block{'s' * (len(stage.letters) > 1)}, {stage.letters}"
        parts.append((stage.name, blocks, [*stage.blocks, stage.rest]))
    parts.append(("classifier", "Classifier", [found.head]))
    total, html, terms = getattr(found.whole, metric), [], []
    for _, title, costs in parts:
        own = sorted((line for line in lines(costs, metric) if line.value), key=lambda line: -line.value)
        value = sum(line.value for line in own)
        terms += [line.term for line in own]
        html.append(
            f"<details><summary>{escape(title)} <span class='soft'>{value / total:.1%}</span> <b>{value:,}</b>"
            f"</summary>{_table(own, scheme)}</details>"
        )
    said = "FLOPs, 2 a multiply-add, for one image" if metric == "flops" else "parameters"
    html.append(f"<div class='sum'>The sum, {said} <b>{total:,}</b></div>{legend(terms, scheme)}")
    return f"{style(scheme)}<div class='derivation'>{''.join(html)}</div>"


def of_maps(recipe: Maps, scheme: str) -> str:
    """Memory, stage by stage of a ResNet-50, in entries and then in bytes."""
    html, terms = [], []
    for number, stage in enumerate(recipe.memory, start=2):
        own = [Line(term.name, 1, term) for term in stage.maps]
        terms += list(stage.maps)
        said = f"c{number} <span class='soft'>entries of {stage.bytes_an_entry} bytes</span>"
        html.append(
            f"<details open><summary>{said} <b>{stage.map_bytes:,} bytes</b></summary>{_table(own, scheme)}</details>"
        )
    total = sum(stage.map_bytes for stage in recipe.memory)
    html.append(f"<div class='sum'>{total:,} bytes <b>{total / 2**30:.3f} GiB</b></div>{legend(terms, scheme)}")
    return f"{style(scheme)}<div class='derivation'>{''.join(html)}</div>"
