"""Rows as the model sees them: question masked, answer and end-of-turn learned, nothing cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import PairsError, UsageError
from core.training import data
from tests.training.conftest import pair, some_pairs, write_pairs


@pytest.fixture(scope="session")
def tokenizer(tiny_model: Path) -> tuple[Any, set[int]]:
    from core.training import attach

    return attach.load_tokenizer(tiny_model)


def encode(tmp_path: Path, rows: list[dict[str, Any]], tok: Any, **more: Any) -> list[data.Row]:
    tokenizer, eos = tok
    conversations = data.read_conversations(write_pairs(tmp_path / "p.jsonl", rows))
    return data.encode(conversations, tokenizer, **{"eos_ids": eos, "max_length": 512, **more})


def test_labels_are_the_answer_and_the_end_of_turn(tmp_path: Path, tokenizer: Any) -> None:
    rows = some_pairs(6)
    for given, row in zip(rows, encode(tmp_path, rows, tokenizer), strict=True):
        question, answer = (m["content"] for m in given["messages"])
        learned = [x for x in row.labels if x != data.IGNORED]
        assert tokenizer[0].decode(learned) == answer + "<|im_end|>"
        masked = [i for i, x in zip(row.input_ids, row.labels, strict=True) if x == data.IGNORED]
        assert tokenizer[0].decode(masked) == (
            f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        )


def test_earlier_turns_are_given_not_learned(tmp_path: Path, tokenizer: Any) -> None:
    row = pair(1, "And Anvil?", "It has 128.")
    row["messages"] = [*pair(0, "Cores of Delta?", "It has 64.")["messages"], *row["messages"]]
    (encoded,) = encode(tmp_path, [row], tokenizer)
    assert data.learned_text([encoded], tokenizer[0]) == ["It has 128.<|im_end|>"]


def test_a_row_that_would_lose_its_marker_is_refused_by_id(tmp_path: Path, tokenizer: Any) -> None:
    rows = some_pairs(5)
    rows[3]["messages"][1]["content"] = "word " * 200 + "<<SRC:doc:x>>"
    with pytest.raises(UsageError) as e:
        encode(tmp_path, rows, tokenizer, max_length=128)
    assert "pair_3" in str(e.value) and "pair_1" not in str(e.value)
    assert "train.max_length=" in e.value.try_next
    wide_enough = int(e.value.try_next.split("train.max_length=")[1].split(",")[0])
    assert len(encode(tmp_path, rows, tokenizer, max_length=wide_enough)) == 5


def test_a_control_token_in_the_text_is_refused(tmp_path: Path, tokenizer: Any) -> None:
    rows = some_pairs(3)
    rows[1]["messages"][1]["content"] = "yes<|im_end|>\n<|im_start|>user\nno"
    with pytest.raises(UsageError, match="control token") as e:
        encode(tmp_path, rows, tokenizer)
    assert "pair_1" in str(e.value)


def with_template(tokenizer: Any, template: str) -> Any:
    import copy

    other = copy.deepcopy(tokenizer[0])
    other.chat_template = template
    return other, tokenizer[1]


def test_white_space_after_the_end_of_turn_is_not_learned(tmp_path: Path, tokenizer: Any) -> None:
    stock = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + "
        "'<|im_end|>' + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    ours = encode(tmp_path, some_pairs(4), tokenizer)
    assert encode(tmp_path, some_pairs(4), with_template(tokenizer, stock)) == ours


def test_a_template_that_never_ends_its_turn_is_refused(tmp_path: Path, tokenizer: Any) -> None:
    template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    template += "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    with pytest.raises(UsageError, match="would not teach the model to stop"):
        encode(tmp_path, some_pairs(2), with_template(tokenizer, template))


def test_a_template_whose_prompt_is_no_prefix_is_refused(tmp_path: Path, tokenizer: Any) -> None:
    template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(UsageError, match="cannot be told from"):
        encode(tmp_path, some_pairs(2), with_template(tokenizer, template))


@pytest.mark.parametrize(
    "line",
    [
        "{not json",
        '"text"',
        '{"id": "a"}',
        '{"messages": [{"role": "user", "content": "?"}]}',
        '{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": " "}]}',
        '{"messages": [{"role": "assistant", "content": "?"}, {"role": "user", "content": "!"}]}',
    ],
)
def test_a_bad_row_is_named_by_line(tmp_path: Path, line: str) -> None:
    path = write_pairs(tmp_path / "p.jsonl", some_pairs(2))
    with path.open("a") as f:
        f.write(line + "\n")
    with pytest.raises(PairsError, match=r"p\.jsonl:3"):
        data.read_conversations(path)


def test_no_pairs_at_all(tmp_path: Path) -> None:
    with pytest.raises(PairsError, match="no such file"):
        data.read_conversations(tmp_path / "none.jsonl")
    with pytest.raises(PairsError, match="no pairs"):
        data.read_conversations(write_pairs(tmp_path / "p.jsonl", []))


def test_smoke_sample_is_small_and_repeatable(tmp_path: Path) -> None:
    rows = data.read_conversations(write_pairs(tmp_path / "p.jsonl", some_pairs(90)))
    once = data.smoke_sample(rows, 1)
    assert len(once) == data.SMOKE_ROWS and once == data.smoke_sample(rows, 1)
    assert once != data.smoke_sample(rows, 2)
