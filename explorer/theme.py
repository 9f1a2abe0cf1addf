"""The visual constants of the explorer: one palette, light and dark, as a dict and as CSS custom properties.

A hue belongs to one tensor wherever it appears (stage, text, code, plots). Each tensor has a fill for areas and a
darker (or, on a dark page, lighter) `-text` for letters. Minus is the one neutral `minus`, grey, or white on a dark
page; `zero` is the plate behind the data.
"""

import base64
from functools import lru_cache
from pathlib import Path

PALETTE = {
    "light": {
        "page": "#FFFFFF", "rail": "#F7F8FA", "zero": "#EFF1F4", "wash": "#F1F3F6",
        "line": "#E3E6EB", "line-strong": "#C9CED6", "ink": "#1B2028", "ink-soft": "#4C5461", "ink-faint": "#666E7B",
        "minus": "#5B5C60", "minus-photo": "#5B5C60", "pixel": "#C026D3",
        "input": "#5B5C60", "input-text": "#3C434E",
        "query": "#C274CE", "query-text": "#8B359B",
        "key": "#3FA7E4", "key-text": "#1774AD", "key-deep": "#0C5C99",
        "value": "#249C46", "value-text": "#136F30",
        "content": "#0B6FBE", "content-text": "#00569A",
        "position": "#D24E00", "position-text": "#B34100",
        "lambda": "#4B3399", "lambda-text": "#47308F",
        "output": "#E8A100", "output-text": "#8A5A00",
    },
    "dark": {
        "page": "#111419", "rail": "#161A20", "zero": "#20262F", "wash": "#1B2027",
        "line": "#2A303A", "line-strong": "#434B58", "ink": "#ECEFF3", "ink-soft": "#B4BBC6", "ink-faint": "#8D95A2",
        "minus": "#EAEAEB", "minus-photo": "#B4B4B6", "pixel": "#E879F9",
        "input": "#E9ECF0", "input-text": "#D5DAE1",
        "query": "#E094EA", "query-text": "#E6A9EF",
        "key": "#7CCBF7", "key-text": "#86D2FC", "key-deep": "#C9ECFF",
        "value": "#45C46A", "value-text": "#6FD68A",
        "content": "#3F8FEA", "content-text": "#6AB0F6",
        "position": "#FF7433", "position-text": "#FF8A52",
        "lambda": "#7F66EC", "lambda-text": "#AB99FA",
        "output": "#FFC84F", "output-text": "#FFCB63",
    },
}  # fmt: skip

MINUS = {"light": "grey", "dark": "white"}  # what `minus` is called

FONTS = {  # our family name: the file that Streamlit ships for its own formulas
    "Lambda Math": "KaTeX_Math-Italic*.woff2",
    "Lambda Main": "KaTeX_Main-Regular*.woff2",
    "Lambda Sum": "KaTeX_Size1-Regular*.woff2",
}


def scheme() -> str:
    """ "light" or "dark": how the page of this session is drawn."""
    import streamlit as st  # plots and programs that only want the colours do without

    return "dark" if st.context.theme.type == "dark" else "light"


def css_properties(scheme: str) -> str:
    """`--page:#FFFFFF;...` for "light" or "dark"."""
    return "".join(f"--{name}:{colour};" for name, colour in PALETTE[scheme].items())


def css_theme(selector: str) -> str:
    """Rules that give `selector` the light palette, and the dark one where it also has data-theme="dark".

    What stands in .in-light is for the light one alone, and in .in-dark for the other.
    """
    dark = f'{selector}[data-theme="dark"]'
    return (
        f"{selector}{{{css_properties('light')}color-scheme:light}}\n"
        f"{dark}{{{css_properties('dark')}color-scheme:dark}}\n"
        f'{dark} .in-light,{selector}:not([data-theme="dark"]) .in-dark{{display:none}}\n'
    )


@lru_cache(maxsize=1)
def css_fonts() -> str:
    """@font-face rules with the fonts inside, so that nothing is fetched; a font that is not found is left out."""
    import streamlit

    media = Path(streamlit.__file__).parent / "static" / "static" / "media"
    rules = []
    for family, pattern in FONTS.items():
        for path in sorted(media.glob(pattern))[:1]:
            data = base64.b64encode(path.read_bytes()).decode()
            rules.append(f'@font-face{{font-family:"{family}";src:url(data:font/woff2;base64,{data}) format("woff2")}}')
    return "\n".join(rules)
