"""Random schemas and random values of them, for property tests."""

import math
import re
import string

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "name", "ab", "größe", "日本", 'say "hi"', "a/b~c", ""])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), TEXTS)


@st.composite
def bounds(draw, low=-2000, high=2000):
    pair = sorted(draw(st.tuples(st.integers(low, high), st.integers(low, high))))
    return pair[0], pair[1]


@st.composite
def integers(draw):
    low, high = draw(bounds())
    schema = {"type": "integer"}
    if draw(st.booleans()):
        schema["minimum"] = low
    if draw(st.booleans()):
        schema["exclusiveMaximum" if draw(st.booleans()) else "maximum"] = high + 1
    return schema


@st.composite
def numbers(draw):
    low, high = draw(bounds())
    scale = draw(st.sampled_from([1, 10, 100]))
    schema = {"type": "number"}
    if draw(st.booleans()):
        schema["exclusiveMinimum" if draw(st.booleans()) else "minimum"] = low / scale
    if draw(st.booleans()):
        schema["maximum"] = (high + 1) / scale
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.sampled_from([1, 0.1, 0.01]))
        schema["minimum"], schema["maximum"] = -3, 4
        schema.pop("exclusiveMinimum", None)
    return schema


@st.composite
def texts(draw):
    low, more = draw(st.integers(0, 5)), draw(st.integers(0, 200))
    schema = {"type": "string"}
    if draw(st.booleans()):
        schema["minLength"] = low
    if draw(st.booleans()):
        schema["maxLength"] = low + more
    return schema


PATTERNS = st.fixed_dictionaries(
    {
        "type": st.just("string"),
        "pattern": st.sampled_from(
            [
                "^[A-Z]{2,4}-[0-9]+$",
                "^(foo|ba[rz])*$",
                "x",
                "^\\d{3}",
                "[^a-z]$",
                "^$|^\\s\\S$",
                '^["\\\\/\\n]+$',
                "^.?é.?$",
            ]
        ),
    },
    optional={"maxLength": st.integers(6, 90)},
)
FORMATS = st.fixed_dictionaries(
    {"format": st.sampled_from(["date", "time", "date-time", "uuid", "email", "ipv4", "hostname", "uri"])}
)
ENUMS = st.fixed_dictionaries(
    {"enum": st.lists(SCALARS | st.lists(SCALARS, max_size=2), min_size=1, max_size=4)}
)
LEAVES = st.one_of(
    integers(),
    numbers(),
    texts(),
    PATTERNS,
    FORMATS,
    ENUMS,
    st.sampled_from(
        [{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, {"type": "number"}, {}, True]
    ),
)


@st.composite
def objects(draw, children):
    members = draw(st.dictionaries(NAMES, children, max_size=4))
    schema = {"type": "object", "properties": members}
    schema["required"] = [name for name in members if draw(st.booleans())]
    more = draw(st.sampled_from(["absent", "false", "true", "schema"]))
    if more != "absent":
        schema["additionalProperties"] = {"false": False, "true": True, "schema": draw(children)}[more]
    return schema


@st.composite
def arrays(draw, children):
    schema = {"type": "array", "items": draw(children)}
    low = draw(st.integers(0, 3))
    if draw(st.booleans()):
        schema["minItems"] = low
    if draw(st.booleans()):
        schema["maxItems"] = low + draw(st.integers(0, 2))
    if draw(st.booleans()):
        schema["prefixItems"] = draw(st.lists(children, min_size=1, max_size=3))
    return schema


def _grow(children):
    unions = st.lists(children, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    return st.one_of(objects(children), arrays(children), unions)


SCHEMAS = st.recursive(LEAVES, _grow, max_leaves=8)


def values(schema):
    """Values of a schema in the canonical part that the grammar derives (where the schema says nothing: no members)."""
    return _Values().of(schema)


class _Values:
    def of(self, schema):
        if schema is True or schema == {}:
            return st.recursive(
                SCALARS,
                lambda c: st.lists(c, max_size=2) | st.dictionaries(TEXTS, c, max_size=2),
                max_leaves=4,
            )
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if "anyOf" in schema:
            return st.one_of([self.of(option) for option in schema["anyOf"]])
        if "format" in schema:
            return st.sampled_from(EXAMPLES[schema["format"]])
        if "pattern" in schema:
            top = schema.get("maxLength", 200)
            pattern = re.compile(
                schema["pattern"].replace("$", "\\Z"), re.ASCII
            )  # as ECMAScript has \d and \w
            return st.from_regex(pattern, alphabet=ALPHABET).filter(lambda text: len(text) <= top)
        kind = schema["type"]
        if isinstance(kind, list):
            return st.one_of([self.of({**schema, "type": one}) for one in kind])
        return getattr(self, kind)(schema)

    def null(self, schema):
        return st.none()

    def boolean(self, schema):
        return st.booleans()

    def string(self, schema):
        low = schema.get("minLength", 0)
        return st.text(
            st.characters(exclude_categories=["Cs"]),
            min_size=low,
            max_size=min(schema.get("maxLength", low + 10), 300),
        )

    def integer(self, schema):
        low = schema.get("minimum", -3000)
        high = schema.get("maximum", schema.get("exclusiveMaximum", 3001) - 1)
        return st.integers(low, max(low, high)).filter(lambda value: value <= high)

    def number(self, schema):
        decimals = {1: 0, 0.1: 1, 0.01: 2}.get(schema.get("multipleOf"), 4)
        low = schema.get("minimum", schema.get("exclusiveMinimum", -50))
        high = schema.get("maximum", 60)

        def fits(value):
            return value <= high and (value >= low if "exclusiveMinimum" not in schema else value > low)

        unit = 10**decimals
        first, last = math.ceil(low * unit), math.floor(high * unit)
        return st.integers(first, max(first, last)).map(lambda count: _plain(count, unit)).filter(fits)

    def array(self, schema):
        low = schema.get("minItems", 0)
        high = schema.get("maxItems", low + 4)
        prefix = schema.get("prefixItems", [])

        @st.composite
        def build(draw):
            size = draw(st.integers(low, high))
            return [draw(self.of(prefix[i] if i < len(prefix) else schema["items"])) for i in range(size)]

        return build()

    def object(self, schema):
        @st.composite
        def build(draw):
            value = {}
            for name, member in schema["properties"].items():
                if name in schema["required"] or draw(st.booleans()):
                    value[name] = draw(self.of(member))
            if schema.get("additionalProperties") not in (None, False):
                plain = st.text(string.ascii_letters + "äß日", min_size=1, max_size=5)
                names = draw(
                    st.lists(plain.filter(lambda n: n not in schema["properties"]), max_size=2, unique=True)
                )
                for name in names:
                    value[name] = draw(self.of(schema["additionalProperties"]))
            return value

        return build()


def _plain(count, unit):
    return count // unit if count % unit == 0 else count / unit


ALPHABET = st.characters(
    exclude_categories=["Cs", "Zs", "Zl", "Zp"], exclude_characters="\r\x1c\x1d\x1e\x1f\x85\ufeff"
)
EXAMPLES = {
    "date": ["2024-02-29", "2000-02-29", "1999-12-31", "2023-04-30"],
    "time": ["23:59:59Z", "00:00:00.123+05:30"],
    "date-time": ["2024-02-29T12:00:00Z", "1970-01-01T00:00:00.5-01:00"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
    "email": ["nina@example.com", "a.b+c@mail.example.org"],
    "ipv4": ["0.0.0.0", "255.255.255.255", "10.1.20.199"],
    "hostname": ["localhost", "a-b.example.com"],
    "uri": ["https://example.com/a?b=c#d", "mailto:a@example.com"],
}
