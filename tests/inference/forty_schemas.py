"""Forty schemas of the kinds people write, each within what a few hundred tokens can hold."""


def obj(required=None, /, *, extra=None, **members):
    schema = {
        "type": "object",
        "properties": members,
        "required": list(members) if required is None else required,
    }
    schema["additionalProperties"] = False if extra is None else extra
    return schema


def text(**more):
    return {"type": "string", "maxLength": 12, **more}


def list_of(items, low=0, high=3):
    return {"type": "array", "items": items, "minItems": low, "maxItems": high}


INT = {"type": "integer", "minimum": -100, "maximum": 1000}
FLAG = {"type": "boolean"}
NULL = {"type": "null"}

SCHEMAS = {
    "one text": obj(name=text()),
    "two texts": obj(name=text(), city=text()),
    "optional member": obj(["name"], name=text(), nickname=text()),
    "all optional": obj([], a=INT, b=INT, c=INT),
    "integer range": obj(age={"type": "integer", "minimum": 18, "maximum": 99}),
    "negative range": obj(degrees={"type": "integer", "minimum": -40, "maximum": -5}),
    "exclusive range": obj(share={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
    "decimals": obj(price={"type": "number", "minimum": 0.5, "maximum": 99.95, "multipleOf": 0.01}),
    "steps": obj(minutes={"type": "integer", "minimum": 0, "maximum": 60, "multipleOf": 15}),
    "free number": obj(value={"type": "number"}),
    "enum": obj(colour={"enum": ["red", "green", "blue"]}),
    "mixed enum": obj(value={"enum": [1, "one", True, None, 1.5, ["a"], {"b": 2}]}),
    "const": obj(version={"const": 2}, name=text()),
    "boolean": obj(ok=FLAG),
    "null": obj(nothing=NULL),
    "nullable by list": obj(name={"type": ["string", "null"], "maxLength": 8}),
    "nullable by keyword": obj(name=text(nullable=True)),
    "list of texts": obj(tags=list_of(text(maxLength=6), 1, 4)),
    "list of numbers": list_of(INT, 2, 5),
    "list of objects": list_of(obj(id=INT, name=text()), 1, 2),
    "nested lists": list_of(list_of(INT, 1, 2), 1, 2),
    "tuple": {"type": "array", "prefixItems": [text(), INT, FLAG], "items": False, "minItems": 3},
    "tuple with rest": {"type": "array", "prefixItems": [text()], "items": INT, "minItems": 2, "maxItems": 4},
    "nested objects": obj(person=obj(name=text(), address=obj(city=text(), zip=text(pattern="^[0-9]{5}$")))),
    "deep": obj(a=obj(b=obj(c=obj(d=obj(e=obj(f=FLAG)))))),
    "any of scalars": obj(value={"anyOf": [text(), INT, NULL]}),
    "any of objects": {"anyOf": [obj(name=text()), obj(id=INT)]},
    "one of with a discriminator": {
        "oneOf": [
            obj(kind={"const": "circle"}, radius={"type": "number", "minimum": 0, "maximum": 10}),
            obj(kind={"const": "square"}, side={"type": "number", "minimum": 0, "maximum": 10}),
        ]
    },
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": INT}, "required": ["a"]},
            {"properties": {"a": {"minimum": 5}, "b": text()}, "required": ["b"]},
        ]
    },
    "references": {
        "$defs": {"point": obj(x=INT, y=INT)},
        **obj(start={"$ref": "#/$defs/point"}, end={"$ref": "#/$defs/point"}),
    },
    "recursion": {
        "$defs": {
            "node": obj(value=INT, children=list_of({"$ref": "#/$defs/leaf"}, 0, 2)),
            "leaf": obj(value=INT),
        },
        "$ref": "#/$defs/node",
    },
    "unicode names": obj(**{"größe": INT, "名前": text(), "émoji 🎉": FLAG}),
    "unicode values": obj(city={"enum": ["Köln", "東京", "São Paulo", "Łódź"]}),
    "lengths": obj(code={"type": "string", "minLength": 3, "maxLength": 5}),
    "pattern": obj(plate={"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,4}$"}),
    "pattern and length": obj(word={"type": "string", "pattern": "^[a-z]+$", "maxLength": 8}),
    "dates": obj(day={"type": "string", "format": "date"}, at={"type": "string", "format": "date-time"}),
    "identifiers": obj(id={"type": "string", "format": "uuid"}, host={"type": "string", "format": "ipv4"}),
    "map of numbers": {"type": "object", "additionalProperties": INT, "minProperties": 1, "maxProperties": 3},
    "declared and more": obj(["name"], extra=INT, name=text()),
}
assert len(SCHEMAS) == 40
