import pytest
from hypothesis import given
from hypothesis import strategies as st

from pace import no_longer_than_the_words_of
from sprig.data import lexemes
from sprig.data.documents import Skips
from sprig.data.sources import snippets
from sprig.data.tokenizer import END_OF_TEXT, PAD, SMALLEST_VOCABULARY, CodeTokenizer

CORPUS = [document.text for document in snippets.documents(snippets.Config(count=2000), Skips())]


@pytest.fixture(scope="module")
def tokenizer() -> CodeTokenizer:
    return CodeTokenizer.train(CORPUS, 700)


def test_the_seeds_example_is_its_twelve_lexemes(tokenizer):
    tokens = tokenizer.tokens(tokenizer.encode("def add(a, b): return a + b"))
    assert [token.strip() for token in tokens] == ["def", "add", "(", "a", ",", "b", ")", ":", "return", "a", "+", "b"]


@given(text=st.text())
def test_any_text_comes_back_exactly(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=st.text(alphabet=st.sampled_from("ab_1 \t\r\n(é\u2028\u0301")), size=st.integers(1, 9))
def test_a_text_in_stretches_is_cut_as_the_whole(text, size):
    parts, cut = list(lexemes.stretches(text, size)), lexemes.pre_tokenizer().pre_tokenize_str
    pieces = [piece for part in parts for piece, _ in cut(part)]
    assert "".join(parts) == text and pieces == [piece for piece, _ in cut(text)]


def test_stretches_are_as_short_as_lines_admit():
    assert list(lexemes.stretches("abc\n" * 5, 5)) == ["abc\nabc", "\nabc\nabc", "\nabc\n"]


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_token_bytes_add_up_to_the_utf8_bytes_of_the_text(tokenizer, text):
    sizes = tokenizer.token_bytes
    assert sum(sizes[id] for id in tokenizer.encode(text)) == len(text.encode())


@pytest.mark.parametrize("text", [END_OF_TEXT, PAD, f"x = '{END_OF_TEXT}'  # {PAD}"])
def test_text_that_looks_like_a_special_token_stays_text(tokenizer, text, tmp_path):
    tokenizer.save(tmp_path)
    for each in (tokenizer, CodeTokenizer.load(tmp_path / "tokenizer.json")):
        ids = each.encode(text)
        assert not {each.pad, each.end_of_text} & set(ids)
        assert each.decode(ids) == text


def test_special_tokens_add_no_text_and_no_bytes(tokenizer):
    assert tokenizer.decode([tokenizer.end_of_text, *tokenizer.encode("x"), tokenizer.pad]) == "x"
    assert tokenizer.token_bytes[tokenizer.pad] == tokenizer.token_bytes[tokenizer.end_of_text] == 0


def test_a_loaded_tokenizer_encodes_as_the_saved_one(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    loaded = CodeTokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.vocab_size == tokenizer.vocab_size == 700
    assert [loaded.encode(text) for text in CORPUS] == [tokenizer.encode(text) for text in CORPUS]


def test_a_prompt_is_cut_as_the_beginning_of_the_whole(tokenizer):
    header, body = "def mul(a, b):", " return a * b"
    assert tokenizer.encode(header + body) == tokenizer.encode(header) + tokenizer.encode(body)


def test_encode_from_counts_the_tokens_before_a_character(tokenizer):
    header, body = "def é(a):", "\n    return a"
    [(ids, first)] = tokenizer.encode_from([(header + body, len(header))])
    assert tokenizer.decode(ids[:first].tolist()) == header
    assert tokenizer.decode(ids[first:].tolist()) == body


def test_a_newline_and_its_indentation_are_one_token(tokenizer):
    tokenizer = CodeTokenizer.train(["if x:\n        y\n        z"] * 9, SMALLEST_VOCABULARY + 6)
    assert "\n        " in tokenizer.tokens(tokenizer.encode("if x:\n        y"))


def test_a_vocabulary_below_the_bytes_is_refused():
    with pytest.raises(ValueError, match=r"vocab_size=257 is too small.*at least 258"):
        CodeTokenizer.train(CORPUS, SMALLEST_VOCABULARY - 1)


def test_a_vocabulary_ends_where_no_pair_is_left_that_occurs_twice():
    most = CodeTokenizer.train(CORPUS[:20], 5000)
    assert SMALLEST_VOCABULARY < most.vocab_size < 5000
    assert CodeTokenizer.train(CORPUS[:20], most.vocab_size).vocab_size == most.vocab_size
    assert CodeTokenizer.train(CORPUS[:20], most.vocab_size - 1).vocab_size == most.vocab_size - 1


@pytest.mark.parametrize("content", ["", "[]", '{"model": 1}'])
def test_a_file_that_is_no_tokenizer_is_refused(content, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="is not a tokenizer"):
        CodeTokenizer.load(path)


@pytest.mark.parametrize("run", ["a", " ", "\n", "é", "e\u0301\u0301", "\x0c"])
def test_a_word_of_a_megabyte_takes_no_time_to_learn_from_and_comes_back(run):
    text = "x = 1\n" + run * 1_000_000

    def comes_back():
        learnt = CodeTokenizer.train([text, "def f(x): return x\n" * 50], SMALLEST_VOCABULARY + 5)
        assert learnt.decode(learnt.encode(text)) == text

    assert no_longer_than_the_words_of(500, comes_back)
