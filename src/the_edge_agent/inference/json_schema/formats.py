"""The ``format`` keyword as data: each name is a regular expression, so it is checked and generated alike.

Dates are real ones (no 31 April, 29 February only in leap years); times are RFC 3339's. Knows nothing of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from the_edge_agent.inference.json_schema.regex import Pattern, parse_pattern

_LEAP_YEAR = r"([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DATE = (
    r"([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    rf"|{_LEAP_YEAR}-02-29)"
)
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf"{_CLOCK}:[0-5][0-9](\.[0-9]{{1,9}})?(Z|[+-]{_CLOCK})"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_HEX = "[0-9a-fA-F]"
_URI_CHAR = rf"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%{_HEX}{{2}})"

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "date": f"^{_DATE}$",
        "time": f"^{_TIME}$",
        "date-time": f"^{_DATE}T{_TIME}$",
        "uuid": f"^{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}$",
        "email": rf"^[A-Za-z0-9_%+-]+(\.[A-Za-z0-9_%+-]+)*@{_LABEL}(\.{_LABEL})+$",
        "hostname": rf"^{_LABEL}(\.{_LABEL})*$",
        "ipv4": rf"^{_OCTET}(\.{_OCTET}){{3}}$",
        "uri": rf"^[A-Za-z][A-Za-z0-9+.-]*:{_URI_CHAR}+$",
    }
)


@cache
def format_pattern(name: str) -> Pattern:
    """The compiled pattern of a format. Raises KeyError for a name that isn't in the table."""
    return parse_pattern(FORMATS[name])
