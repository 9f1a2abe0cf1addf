"""The derivation of a number as HTML: the terms of each part of a network, with their formulas, down to the sum."""

import re
from collections.abc import Iterable, Mapping
from html import escape
from types import MappingProxyType

from explorer.bars import percent
from explorer.blocks import Costs
from explorer.drawing import LETTERS, Line, lines
from explorer.theme import PALETTE
from lambda_core.cost import Term
from lambda_core.cost.engines import LETTERS as ENGINE_LETTERS
from lambda_core.tables import Maps

STYLE = """<style>
.derivation { font-variant-numeric: tabular-nums lining-nums; max-width: 1040px; font-size: 14px; line-height: 20px }
.derivation details { border-top: 1px solid VAR_line; padding: 7px 0 } .derivation summary { cursor: pointer }
.derivation summary b, .derivation .sum b { float: right; font-weight: 600 }
.derivation .sum { border-top: 1px solid VAR_line-strong; padding: 9px 0; font-weight: 600 }
.derivation div.terms { padding: 6px 0 6px 18px }
.derivation table { border-collapse: collapse; width: 100% } .derivation p { font-size: 14px; line-height: 20px; margin: 6px 0 }
@media (min-width: 761px) { .derivation td.where { width: 24% } .derivation td.times { width: 6% } .derivation td.formula { width: 22% } .derivation td.numbers { width: 33% } }
.derivation td { padding: 2px 20px 2px 0; border: 0; vertical-align: baseline } .derivation td:last-child { text-align: right; padding: 0; white-space: nowrap }
.derivation td.times, .derivation td span { white-space: nowrap }
.derivation code { font-size: 13px; background: none; padding: 0; color: inherit } .derivation i { font-style: normal; font-weight: 600 }
.derivation .soft { color: VAR_ink-soft }
@media (max-width: 760px) { .derivation tr { display: grid; grid-template-columns: auto 1fr auto; padding: 4px 0 } .derivation td { padding: 0 }
  .derivation td.where { grid-area: 1 / 1 / auto / 3; padding-right: 12px } .derivation td:last-child { grid-area: 1 / 3 }
  .derivation td.times { grid-area: 2 / 1; padding-right: 8px } .derivation td.times:empty { display: none }
  .derivation td.formula { grid-area: 2 / 2 / auto / 4 } .derivation td.times:empty + td.formula { grid-column-start: 1 } .derivation td.numbers { grid-area: 3 / 1 / auto / 4 }
  .derivation td span { white-space: normal; overflow-wrap: anywhere } }
</style>"""  # noqa: E501


# In a network d is also the depth of an embedding, which these parameters have.
EMBEDDINGS = {"d·o", "h·d·r"}
# What letters are in the formulas of one layer, `lambda_core.cost.memory` and `.operations`, where a network's differ.
ONE_LAYER = {"s": "side of the map", "d": "channels, in and out", "x": "multiply-adds of the engine, by its own count"}
NOTHING: Mapping[str, str] = MappingProxyType({})


def of_kind(kind: str) -> dict[str, str]:
    """What letters are in the formulas of one kind of layer, where that is not what they are in a network."""
    return ONE_LAYER | ENGINE_LETTERS.get(kind.removeprefix("lambda, "), {})


def style(scheme: str) -> str:
    return re.sub(r"VAR_([\w-]+)", lambda found: PALETTE[scheme][found[1]], STYLE)


def formula(text: str, scheme: str) -> str:
    """A formula with its letters in their hues; letters of one engine alone have that of all that has no tensor."""
    ink = PALETTE[scheme]

    def coloured(found: re.Match[str]) -> str:
        hue, _ = LETTERS.get(found[0], ("input", ""))
        return f'<i style="color:{ink.get(f"{hue}-text", ink[hue])}">{found[0]}</i>'

    return re.sub("[A-Za-z]", coloured, escape(text))


def grouped(text: str) -> str:
    """Digits in threes: 2·3136·529 is 2·3,136·529."""
    return re.sub(r"\d+", lambda found: f"{int(found[0]):,}", text)


def _products(html: str) -> str:
    """A sum that breaks between its products, and not within one."""
    products = html.replace(" + ", "&nbsp;+</span> <span>")
    return f"<span>{products}</span>"


def table(found: Iterable[Line], scheme: str) -> str:
    rows = "".join(
        f"<tr><td class='where'>{escape(line.where)}</td>"
        f"<td class='times soft'>{f'{line.times} ×' if line.times > 1 else ''}</td>"
        f"<td class='formula'><code>{_products(formula(line.term.formula, scheme))}</code></td>"
        f"<td class='numbers soft'><code>{_products(grouped(line.term.substituted))}</code></td>"
        f"<td>{line.value:,}</td></tr>"
        for line in found
    )
    return f"<div class='terms'><table>{rows}</table></div>"


def meanings(terms: Iterable[Term], own: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """What each letter of some formulas is. own: what it is there, where a network's letters mean something else."""
    used = set(re.findall("[A-Za-z]", "".join(term.formula for term in terms)))
    known = {letter: says for letter, (_, says) in LETTERS.items()} | dict(own)
    return {letter: says for letter, says in known.items() if letter in used}


def legend(terms: Iterable[Term], scheme: str, own: Mapping[str, str] = NOTHING) -> str:
    words = [f"<code>{formula(letter, scheme)}</code> {says}" for letter, says in meanings(terms, own).items()]
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
        mine = sorted((line for line in lines(costs, metric) if line.value), key=lambda line: -line.value)
        value = sum(line.value for line in mine)
        terms += [line.term for line in mine]
        html.append(
            f"<details><summary>{escape(title)} <span class='soft'>{percent(value / total)}</span> <b>{value:,}</b>"
            f"</summary>{table(mine, scheme)}</details>"
        )
    said = "FLOPs, 2 a multiply-add, for one image" if metric == "flops" else "parameters"
    own = {"d": "channels out, of embeddings their depth"} if EMBEDDINGS & {term.formula for term in terms} else NOTHING
    html.append(f"<div class='sum'>The sum, {said} <b>{total:,}</b></div>{legend(terms, scheme, own)}")
    return f"{style(scheme)}<div class='derivation'>{''.join(html)}</div>"


def of_maps(recipe: Maps, scheme: str) -> str:
    """Memory, stage by stage of a ResNet-50, in entries and then in bytes."""
    html, terms = [], []
    for number, stage in enumerate(recipe.memory, start=2):
        own = [Line(term.name, 1, term) for term in stage.maps]
        terms += list(stage.maps)
        said = f"c{number} <span class='soft'>entries of {stage.bytes_an_entry} bytes</span>"
        html.append(
            f"<details open><summary>{said} <b>{stage.map_bytes:,} bytes</b></summary>{table(own, scheme)}</details>"
        )
    total = sum(stage.map_bytes for stage in recipe.memory)
    letters = legend(terms, scheme, of_kind(recipe.kind))
    html.append(f"<div class='sum'>{total:,} bytes <b>{total / 2**30:.3f} GiB</b></div>{letters}")
    return f"{style(scheme)}<div class='derivation'>{''.join(html)}</div>"
