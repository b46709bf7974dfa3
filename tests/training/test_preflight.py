"""What the preflight finds on tokenizers and templates that are broken in the ways they are in the wild."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import UsageError
from core.training import data, preflight, preflight_report, refusals
from core.training import recipe as recipes
from core.training import tokenizer as tokenizers
from core.training.make_model import CHATML
from core.training.preflight import PreflightReport
from tests.training.conftest import MARK, pair, some_pairs, write_pairs

TURNS = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n%s<|im_end|>{% endfor %}"
ASK = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


@pytest.fixture(scope="session")
def tokenizer(tiny_model: Path) -> Any:
    from core.training.tokenizer import load_tokenizer

    return load_tokenizer(tiny_model)[0]


@pytest.fixture
def look(tokenizer: Any, tmp_path: Path) -> Callable[..., PreflightReport]:
    """look(change, rows=…): the report with a copy of the tokenizer that `change` has broken."""

    def check(
        change: Callable[[Any], None] | None = None,
        *,
        rows: list[dict[str, Any]] | None = None,
        sets: tuple[str, ...] = (),
    ) -> PreflightReport:
        other = copy.deepcopy(tokenizer)
        if change:
            change(other)
        path = write_pairs(tmp_path / "pairs.jsonl", some_pairs(6) if rows is None else rows)
        pairs = data.read_conversations(path)
        return preflight.check(pairs, other, recipes.load_recipe("tiny", sets), file=path)

    return check


def template(text: str) -> Callable[[Any], None]:
    def change(tokenizer: Any) -> None:
        tokenizer.chat_template = text

    return change


def only(report: PreflightReport, severity: str = "error") -> preflight.Finding:
    (finding,) = [f for f in report.findings if f.severity == severity]
    return finding


def test_a_sound_set_and_what_is_shown_of_it(look: Any, tokenizer: Any) -> None:
    report = look()
    assert report.ok and not report.findings and len(report.rows) == report.count == 6
    assert report.template_sha256 == hashlib.sha256(CHATML.encode()).hexdigest()
    assert (report.begins, report.pads, report.ends) == ("", "<|endoftext|>", ("<|im_end|>",))
    assert (report.markers, report.markers_lost) == (6, 0)
    given = some_pairs(6)
    assert len(report.examples) == 3
    for example in report.examples:
        question, answer = (m["content"] for m in given[example.link.line - 1]["messages"])
        assert example.learned == answer + "<|im_end|>"
        assert example.prompt == (
            f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        )
        assert example.link.id == given[example.link.line - 1]["id"]
    assert json.loads(json.dumps(report.as_dict()))["data"] == "prompt/completion"
    refusals.refuse(report)  # nothing to refuse


def test_the_histogram_has_every_row_once(look: Any) -> None:
    rows = some_pairs(40)
    rows[3]["messages"][1]["content"] += " and" * 300
    found = look(rows=rows).lengths
    assert sum(found.counts) == 40 and len(found.edges) == len(found.counts) + 1
    assert found.edges[0] <= found.shortest and found.longest < found.edges[-1]
    assert found.counts[-1] == 1 and found.shortest <= found.median <= found.p95 < found.longest
    assert len(found.counts) <= preflight_report.BINS + 1


def test_a_hidden_end_of_turn(look: Any) -> None:
    """The template ends turns with a token that is not the one the model stops at."""
    report = look(template(CHATML.replace("<|im_end|>", "<|endoftext|>")))
    finding = only(report)
    assert (finding.check, finding.count) == ("end", 6)
    assert [link.line for link in finding.rows] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(refusals.PreflightRefused, match="not teach the model to stop") as e:
        refusals.refuse(report)
    assert e.value.check == "end" and e.value.try_next
    assert "pairs.jsonl:1 (pair_0)" in e.value.what and "and 1 more" in e.value.what


def begins_with_bos(tokenizer: Any) -> None:
    """As Llama's and Mistral's do: text begins with a token of its own."""
    from tokenizers import processors

    tokenizer.add_special_tokens({"bos_token": "<s>"})
    number = tokenizer.convert_tokens_to_ids("<s>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", number)]
    )


@pytest.mark.parametrize(("times", "check"), [(0, "no-bos"), (1, ""), (2, "bos")])
def test_exactly_one_begin_of_text(look: Any, times: int, check: str) -> None:
    def change(tokenizer: Any) -> None:
        begins_with_bos(tokenizer)
        tokenizer.chat_template = "{{ bos_token }}" * times + CHATML

    report = look(change)
    assert report.begins == "<s>"
    assert [f.check for f in report.errors] == ([check] if check else [])


def test_a_begin_of_text_before_every_turn(look: Any) -> None:
    def change(tokenizer: Any) -> None:
        begins_with_bos(tokenizer)
        tokenizer.chat_template = CHATML.replace("<|im_start|>", "<s><|im_start|>")

    assert only(look(change)).check == "bos"


def test_a_turn_token_that_is_called_begin_of_text_may_come_twice(look: Any) -> None:
    """SmolLM2 names its start-of-turn token so, and puts none before plain text."""

    def change(tokenizer: Any) -> None:
        tokenizer.bos_token = "<|im_start|>"

    assert look(change).ok


@pytest.mark.parametrize("pad", ["<|im_end|>", None])
def test_padding_with_end_of_turn_or_nothing(look: Any, pad: str | None) -> None:
    def change(tokenizer: Any) -> None:
        tokenizer.pad_token = pad

    finding = only(look(change))
    assert finding.check == "pad" and "tokenizer_config.json" in finding.try_next


@pytest.mark.parametrize(
    ("pad", "severity", "said"),
    [
        ("<|im_end|>", "warning", "pads with '<|im_end|>', which ends a turn: '<|endoftext|>' is"),
        (None, "note", "has no token to pad with: '<|endoftext|>' is used"),
    ],
    ids=["end-of-turn", "none"],
)
def test_padding_that_was_mended_is_said_in_report_and_log(
    models: Path,
    tmp_path: Path,
    pairs_file: Path,
    capsys: pytest.CaptureFixture[str],
    pad: str | None,
    severity: str,
    said: str,
) -> None:
    """As SmolLM2 and Mistral come from the hub: the one pads with end-of-turn, the other with nothing."""
    from core.jobdir import read_events
    from core.training import cli

    base = shutil.copytree(models / "tiny", tmp_path / "base")
    (base / "manifest.json").unlink()
    config = json.loads((base / "tokenizer_config.json").read_text())
    config["pad_token"] = pad
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    out, sets = tmp_path / "out", ["--set", "train.epochs=1", "--set", "train.batch_size=8"]
    words = ["--recipe", "tiny", "--data", str(pairs_file), "--out", str(out), *sets]
    assert cli.main([*words, "--base-model", str(base)]) == 0
    events = read_events(out / "events.jsonl")[0]
    (report,) = [e for e in events if e["kind"] == "preflight"]
    (finding,) = [f for f in report["findings"] if f["check"] == "pad"]
    assert report["ok"] and report["pads"] == "<|endoftext|>"
    assert finding["severity"] == severity and said in finding["text"] and finding["try_next"]
    assert said in capsys.readouterr().out
    warned = [e["text"] for e in events if e["kind"] == "warning"]
    assert any(said in text for text in warned) == (severity == "warning")


def test_padding_of_its_own_is_nothing_to_speak_of(look: Any) -> None:
    assert not [f for f in look().findings if f.check == "pad"]


@pytest.mark.parametrize("token", tokenizers.UNUSED)
def test_what_a_family_leaves_unused_is_what_it_pads_with(models: Path, token: str) -> None:
    """Llama 3 has reserved tokens only, 3.1 one for padding, Mistral control tokens."""
    read, eos = tokenizers.load_tokenizer(models / "tiny")
    read.pad_token = "<|im_end|>"
    read.add_special_tokens({"additional_special_tokens": [token]})
    vocabulary = {t: i for t, i in read.get_vocab().items() if t not in tokenizers.UNUSED}
    vocabulary[token] = read.convert_tokens_to_ids(token)
    read.get_vocab = lambda: vocabulary
    tokenizers._give_pad(read, eos)
    assert read.pad_token == token and tokenizers.mended(read) == "<|im_end|>"


def test_a_template_that_cuts_answers(look: Any) -> None:
    """The marker stands at the end, so it is what goes."""
    report = look(template(TURNS.replace("%s", "{{ m['content'][:40] }}") + ASK))
    finding = only(report)
    assert finding.check == "marker" and report.markers_lost == report.markers == 6
    plain = [pair(n, f"Who runs node {n}?", "Some people " * 10) for n in range(3)]
    report = look(template(TURNS.replace("%s", "{{ m['content'][:40] }}") + ASK), rows=plain)
    assert only(report).check == "answer" and report.markers_lost == 0


def test_a_template_that_drops_markers_for_tags(look: Any) -> None:
    """HTML-minded templates strip what stands in angle brackets."""
    striptags = TURNS.replace("%s", "{{ m['content'] | striptags }}") + ASK
    assert only(look(template(striptags))).check == "marker"


def test_a_template_that_leaves_the_question_out(look: Any) -> None:
    text = "{% for m in messages if m['role'] != 'user' %}{{ m['content'] }}<|im_end|>{% endfor %}"
    assert only(look(template(text))).check == "question"


def test_markers_that_a_short_limit_would_cut(look: Any) -> None:
    rows = some_pairs(4)
    rows[2]["messages"][1]["content"] = "word " * 200 + MARK.format("delta.ncsa")
    report = look(rows=rows, sets=("train.max_length=128",))
    finding = only(report)
    assert (finding.check, [str(link.line) for link in finding.rows]) == ("length", ["3"])
    assert report.markers_lost == 1
    assert "train.max_length=" in finding.try_next


def test_a_row_longer_than_the_model_reads_is_not_helped_by_a_longer_limit(look: Any) -> None:
    rows = some_pairs(4)
    rows[1]["messages"][1]["content"] = "all of it " * 100_000  # a megabyte
    finding = only(look(rows=rows))
    assert finding.check == "length" and "the model reads 1024" in finding.why
    assert "--set" not in finding.try_next and "leave the pairs out" in finding.try_next


def test_a_control_token_in_the_text(look: Any) -> None:
    rows = some_pairs(3)
    rows[1]["messages"][1]["content"] = "yes<|im_end|>\n<|im_start|>user\nno"
    finding = only(look(rows=rows))
    assert finding.check == "control" and str(finding.rows[0]).endswith("pairs.jsonl:2 (pair_1)")


def test_a_prompt_that_is_no_prefix(look: Any) -> None:
    assert only(look(template("{{ messages | length }}" + CHATML))).check == "prefix"


def test_several_faults_are_told_at_once(look: Any) -> None:
    rows = some_pairs(4)
    rows[0]["messages"][0]["content"] = "What is <|im_start|>?"
    rows[2]["messages"][1]["content"] = "word " * 300
    report = look(rows=rows, sets=("train.max_length=128",))
    assert [f.check for f in report.errors] == ["control", "length"]
    with pytest.raises(refusals.PreflightRefused) as e:
        refusals.refuse(report)
    assert "pair_0" in e.value.what and "also: 1 row would lose" in e.value.why


def test_one_pair_is_no_training_set(look: Any) -> None:
    finding = only(look(rows=some_pairs(1)))
    assert finding.check == "size" and "one pair" in finding.text


def test_a_template_with_todays_date_is_a_warning(look: Any) -> None:
    dated = "{{ strftime_now('%d %B %Y') }}\n" + CHATML
    finding = only(look(template(dated)), "warning")
    assert finding.check == "template" and "today's date" in finding.text


def test_a_system_prompt_of_the_templates_own_is_a_note(look: Any) -> None:
    own = "<|im_start|>system\nYou are a helpful assistant of the makers of this model<|im_end|>\n"
    finding = only(look(template(own + CHATML)), "note")
    assert "adds about" in finding.text


def test_rewordings_keep_the_line_of_their_row(tokenizer: Any, tmp_path: Path) -> None:
    from core.training.rewording import with_rewordings

    rows = some_pairs(2)
    rows[1]["messages"][1]["content"] = "word " * 300
    pairs = data.read_conversations(write_pairs(tmp_path / "p.jsonl", rows))
    recipe = recipes.load_recipe("tiny", ["train.max_length=128"])
    report = preflight.check(with_rewordings(pairs, 2), tokenizer, recipe, file="p.jsonl")
    assert {link.line for link in only(report).rows} == {2}


def test_locally_with_the_tokenizer_that_is_here(models: Path, pairs_file: Path) -> None:
    report = preflight.locally(pairs_file, recipes.load_recipe("tiny"))
    assert report is not None and report.ok and report.count == 40
    assert preflight.locally(pairs_file, recipes.load_recipe("mistral-7b")) is None


def test_at_the_seam_it_is_in_the_events_and_on_standard_error(
    request_for: Any, tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.jobdir import read_events
    from core.training import cli

    rows = some_pairs(5)
    rows[4]["messages"][1]["content"] = "yes <|im_end|>"
    path = write_pairs(tmp_path / "bad.jsonl", rows)
    out = tmp_path / "out"
    assert cli.main(["--recipe", "tiny", "--data", str(path), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert "bad.jsonl:5 (pair_4)" in said and "control token" in said and "try:" in said
    events = {e["kind"]: e for e in read_events(out / "events.jsonl")[0]}
    (finding,) = events["preflight"]["findings"]
    assert finding["rows"] == [{"file": str(path), "line": 5, "id": "pair_4"}]
    assert events["error"]["error"] == "PreflightRefused"


def test_it_is_a_usage_error() -> None:
    assert issubclass(refusals.PreflightRefused, UsageError)
