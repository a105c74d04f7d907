"""Messages of the control socket: what is none is a BadMessage, whatever it is."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pystack.control import message
from pystack.control.message import Answer, BadMessage, Request

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["pystack", "tool", "words", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


def body(frame: bytes) -> bytes:
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return frame[4:]


@given(TEXT, st.lists(TEXT, max_size=20))
def test_a_request_comes_back(tool: str, words: list[str]):
    request = Request(tool, tuple(words))
    assert Request.parse(body(request.frame())) == request


@given(st.integers(0, 127), TEXT, TEXT)
def test_an_answer_comes_back(status: int, out: str, err: str):
    answer = Answer(status, out, err)
    assert Answer.parse(body(answer.frame())) == answer


@given(st.binary(max_size=200))
@example(b"[" * 5000)
@example(b'{"pystack":1,"tool":"x","words":[' + b"[" * 3000 + b"]" * 3000 + b"]}")
@example(b"9" * 5000)
@example(b'{"pystack":1,"tool":"\\ud800","words":[]}')
@example(b'{"pystack":1,"tool":"a","tool":"b","words":[]}')
@example(b'{"pystack":NaN,"tool":"a","words":[]}')
def test_octets_are_no_request(octets: bytes):
    with pytest.raises(BadMessage):
        Request.parse(octets)


@given(JSON)
def test_json_is_a_request_or_a_bad_message(value: object):
    try:
        found = Request.parse(json.dumps(value).encode())
    except BadMessage:
        return
    assert value == {"pystack": 1, "tool": found.tool, "words": list(found.words)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("3", "it is no object"),
        ("{}", "it is not of version 1"),
        ('{"pystack": 2, "tool": "a", "words": []}', "it is not of version 1"),
        ('{"pystack": 1, "tool": "a"}', "it has other keys than tool, words"),
        ('{"pystack": 1, "tool": "a", "words": [], "x": 1}', "it has other keys than tool, words"),
        ('{"pystack": 1, "tool": 3, "words": []}', "tool is no str"),
        ('{"pystack": 1, "tool": "a", "words": "b"}', "words is no list"),
        ('{"pystack": 1, "tool": "a", "words": [true]}', "a word is no text"),
        ('{"pystack": 1, "tool": "a", "words": ["\\u0000"]}', "a NUL"),
        ('{"pystack": 1, "tool": "a", "words": ["' + '","' * 256 + '"]}', "257 words; at most 256"),
    ],
)
def test_what_is_wrong_with_a_request(text: str, why: str):
    with pytest.raises(BadMessage, match=why):
        Request.parse(text.encode())


@pytest.mark.parametrize(
    ("status", "why"), [("true", "status is no int"), ("-1", "no exit status"), ("128", "no exit")]
)
def test_what_is_wrong_with_an_answer(status: str, why: str):
    with pytest.raises(BadMessage, match=why):
        Answer.parse(f'{{"pystack": 1, "status": {status}, "out": "", "err": ""}}'.encode())


def test_a_request_has_a_length_at_most():
    room = message.REQUEST_MAX - len(body(Request("", ("",)).frame()))
    assert len(body(Request("", ("x" * room,)).frame())) == message.REQUEST_MAX
    with pytest.raises(BadMessage, match="a message of 16385 octets; at most 16384 are taken"):
        Request("", ("x" * (room + 1),)).frame()
    with pytest.raises(BadMessage, match="a message of 4294967295 octets"):
        message.length(b"\xff\xff\xff\xff", message.REQUEST_MAX)
