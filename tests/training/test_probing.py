"""The probe inside a run: it changes nothing, it goes on where it stopped, and it can end the run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import jobdir
from core.errors import UsageError
from core.training import checkpoints, probe, run
from core.training.probing import due
from tests.training.probe_parts import some_golden, write_rows
from tests.training.test_distributed import command
from tests.training.test_run import adapter_sha256, events_of, start, wait_for_step

# dropout draws random numbers at every step: a probe that drew one would shift them all
SHORT = ("train.epochs=4", "train.batch_size=8", "lora.dropout=0.1", "probe.max_new_tokens=8")
ON = (*SHORT, "probe.every=epoch", "probe.facts=6")


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "golden.jsonl", some_golden(8))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """scripted(0.2, 0.5, …): recall of each probe to come, in tenths; asking is real otherwise."""
    scores: list[float] = []
    ask = probe.Prober.ask

    def scored(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = ask(self, *args, **kwargs)
        assert found is not None
        counts = found.counts | {"recall": (round(10 * scores.pop(0)), 10), "fabricated": (0, 10)}
        return replace(found, counts=counts)

    monkeypatch.setattr(probe.Prober, "ask", scored)

    def script(*values: float) -> None:
        scores[:] = values

    yield script


def test_a_probed_run_ends_in_the_same_bits(request_for: Any, golden: Path) -> None:
    plain = request_for("plain", *SHORT)
    probed = request_for("probed", *ON, probe=(golden,))
    often = request_for("often", *SHORT, "probe.every=3", probe=(golden,))
    for request in (plain, probed, often):
        assert run.train(request) == 0
    assert adapter_sha256(plain) == adapter_sha256(probed) == adapter_sha256(often)
    losses = [[e["loss"] for e in events_of(r.events, "metric")] for r in (plain, probed, often)]
    assert losses[0] == losses[1] == losses[2]
    assert [e["step"] for e in events_of(probed.events, "probe")] == [5, 10, 15, 20]
    assert [e["step"] for e in events_of(often.events, "probe")] == [3, 6, 9, 12, 15, 18, 20]
    assert not events_of(plain.events, "probe") and "probe" not in summary(plain)


def summary(request: run.Request) -> dict[str, Any]:
    return dict(json.loads((request.out / "summary.json").read_text()))


def table(request: run.Request) -> list[dict[str, Any]]:
    return [json.loads(x) for x in (request.out / "probe.jsonl").read_text().splitlines()]


def test_what_a_run_tells_of_its_probes(request_for: Any, golden: Path) -> None:
    request = request_for("one", *ON, probe=(golden,))
    assert run.train(request) == 0
    (chosen,) = events_of(request.events, "probe_set")
    assert (chosen["in_unseen_wording"], chosen["deferrals"], chosen["canaries"]) == (6, 2, 2)
    events = events_of(request.events, "probe")
    for event in events:
        assert event["recall"]["n"] == 6 and event["canary"]["n"] == 2
        assert event["never"] + event["recall"]["k"] >= 6 - len(events)
        assert 0 < event["share"] < 1 and event["seconds"] > 0
        assert event["score"] == round(
            event["recall"]["estimate"] - event["fabricated"]["estimate"], 4
        )
    made = summary(request)
    assert made["probe"]["probes"] == 4 and made["probe"]["last"]["step"] == 20
    assert made["probe"]["set"]["sha256"] == chosen["sha256"]
    assert 0 < made["probe"]["share"] < 1 and not made["probe"]["stopped"]
    assert [p["step"] for p in made["curves"]] == [5, 10, 15, 20]
    assert {"recall", "fabricated", "refusal"} <= set(made["curves"][0])
    assert made["gpu"] is None and made["torch"] and "driver" in made and "cuda" in made
    rows = table(request)
    assert len(rows) == 4 * 10
    assert {r["stratum"] for r in rows} == {"unseen wording", "deferral", "canary"}
    # speed and time left are those of the steps: the first metric after a probe shows no dent in it
    metrics = events_of(request.events, "metric")
    assert all(e["tokens_per_s"] is None or e["tokens_per_s"] > 0 for e in metrics)


def test_resuming_goes_on_with_the_probes_there_were(request_for: Any, golden: Path) -> None:
    straight = request_for("straight", *ON, probe=(golden,))
    assert run.train(straight) == 0
    stopped = request_for("stopped", *ON, probe=(golden,))
    after(stopped, step=10)
    again = replace(stopped, resume=True)
    assert run.train(again) == 0
    assert adapter_sha256(again) == adapter_sha256(straight)
    assert [without_time(r) for r in table(again)] == [without_time(r) for r in table(straight)]
    for mine, whole in zip(
        events_of(again.events, "probe"), events_of(straight.events, "probe"), strict=True
    ):
        for key in ("step", "recall", "learned", "forgotten", "never", "score", "best_step"):
            assert mine[key] == whole[key]
    assert summary(again)["probe"]["first"] == summary(straight)["probe"]["first"]


def after(request: run.Request, *, step: int) -> None:
    """Run until the checkpoint of `step` is whole, then die as a killed process does."""

    class Killed(BaseException):
        pass

    seal = checkpoints.seal

    def and_die(path: Path, run_id: str) -> None:
        seal(path, run_id)
        if path.name == f"checkpoint-{step}":
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "seal", and_die)
        with pytest.raises(Killed):
            run.train(request)


def without_time(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != "seconds"}


def test_a_probe_cut_short_by_a_stop_request_is_made_up_for(
    request_for: Any, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = request_for("straight", *ON, probe=(golden,))
    assert run.train(straight) == 0
    ask = probe.Prober.ask

    def asked_to_stop(self: Any, engine: Any, step: int, *rest: Any) -> Any:
        if step == 10:
            signal.raise_signal(signal.SIGTERM)
        return ask(self, engine, step, *rest)

    stopped = request_for("stopped", *ON, probe=(golden,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe.Prober, "ask", asked_to_stop)
        assert run.train(stopped) == jobdir.EXIT_PREEMPTED
    assert [e["step"] for e in events_of(stopped.events, "probe")] == [5]
    assert events_of(stopped.events, "checkpoint")[-1]["step"] == 10
    assert run.train(replace(stopped, resume=True)) == 0
    assert [e["step"] for e in events_of(stopped.events, "probe")] == [5, 10, 15, 20]
    assert table(stopped) == table(straight)
    assert adapter_sha256(stopped) == adapter_sha256(straight)


def test_probes_that_asked_other_questions_do_not_count(request_for: Any, tmp_path: Path) -> None:
    some = write_rows(tmp_path / "some.jsonl", some_golden(8))
    request = request_for("one", *ON, probe=(some,))
    after(request, step=10)
    other = write_rows(tmp_path / "other.jsonl", some_golden(3))
    assert run.train(replace(request, probe=(other,), resume=True)) == 0
    warnings = [e["text"] for e in events_of(request.events, "warning")]
    assert any("asked other questions" in text for text in warnings)
    assert {row["step"] for row in table(request)} == {15, 20}


# ---- the stop rule ----------------------------------------------------------------------------

RULE = (*ON, "train.epochs=8", "stop.rule=recall", "stop.patience=2", "train.keep_checkpoints=1")


def test_the_rule_ends_the_run_and_the_best_checkpoint_is_the_adapter(
    request_for: Any, golden: Path, scripted: Any
) -> None:
    scripted(0.2, 0.6, 0.5, 0.6)
    request = request_for("ruled", *RULE, probe=(golden,))
    assert run.train(request) == 0
    (stop,) = events_of(request.events, "stop")
    assert (stop["step"], stop["best_step"], stop["score"]) == (20, 10, 0.6)
    made = summary(request)
    assert (made["steps"], made["max_steps"], made["adapter_step"]) == (20, 40, 10)
    assert made["probe"]["stopped"] and made["probe"]["best_step"] == 10
    # the best is kept although only one checkpoint is, and stays after the run
    kept = {path.name for _, path in checkpoints.steps(request.checkpoints)}
    assert kept == {"checkpoint-10", "checkpoint-20"}
    assert (request.checkpoints / "best").resolve().name == "checkpoint-10"
    assert checkpoints.fault(request.checkpoints / "checkpoint-10") == ""
    assert same_weights(request.out / "adapter", request.checkpoints / "checkpoint-10")
    assert not same_weights(request.out / "adapter", request.checkpoints / "checkpoint-20")


def same_weights(a: Path, b: Path) -> bool:
    from safetensors.torch import load_file

    first, second = (load_file(p / "adapter_model.safetensors") for p in (a, b))
    return first.keys() == second.keys() and all(bool((first[k] == second[k]).all()) for k in first)


def test_a_run_that_goes_to_its_end_leaves_the_best_too(
    request_for: Any, golden: Path, scripted: Any
) -> None:
    scripted(0.2, 0.6, 0.7, 0.6)
    request = request_for("ruled", *RULE, "train.epochs=4", probe=(golden,))
    assert run.train(request) == 0
    assert not events_of(request.events, "stop")
    assert (summary(request)["steps"], summary(request)["adapter_step"]) == (20, 15)


def test_resumed_the_rule_decides_as_if_nothing_had_happened(
    request_for: Any, golden: Path, scripted: Any
) -> None:
    scripted(0.2, 0.6, 0.5)
    request = request_for("ruled", *RULE, probe=(golden,))
    after(request, step=15)
    scripted(0.6)  # one more probe is all it waits for
    assert run.train(replace(request, resume=True)) == 0
    assert (summary(request)["steps"], summary(request)["adapter_step"]) == (20, 10)


def test_killed_after_the_rule_had_ended_it_the_run_is_only_finished(
    request_for: Any, golden: Path, scripted: Any
) -> None:
    scripted(0.2, 0.6, 0.5, 0.4)
    request = request_for("ruled", *RULE, probe=(golden,))
    after(request, step=20)
    scripted()  # a further probe would fail
    assert run.train(replace(request, resume=True)) == 0
    assert (summary(request)["steps"], summary(request)["adapter_step"]) == (20, 10)
    assert [e["step"] for e in events_of(request.events, "metric")][-1] == 20


def test_a_best_checkpoint_that_is_gone_is_said(
    request_for: Any, golden: Path, scripted: Any
) -> None:
    scripted(0.6, 0.2, 0.2)
    request = request_for("ruled", *RULE, probe=(golden,))
    after(request, step=15)
    shutil.rmtree(request.checkpoints / "checkpoint-5")
    assert run.train(replace(request, resume=True)) == 0
    assert summary(request)["adapter_step"] == 15
    warnings = [e["text"] for e in events_of(request.events, "warning")]
    assert any("adapter is that of the last step: checkpoint-5" in text for text in warnings)


def test_a_rule_with_nothing_to_go_by_is_refused(request_for: Any, tmp_path: Path) -> None:
    only = write_rows(tmp_path / "only.jsonl", some_golden(0))
    with pytest.raises(UsageError, match="no trained fact has a wording that is not trained") as e:
        run.train(request_for("none", *RULE, probe=(only,)))
    assert "--probe FILE" in e.value.try_next


# ---- smoke, signals, schedule -----------------------------------------------------------------


def test_a_smoke_run_probes_a_little(request_for: Any, golden: Path) -> None:
    request = request_for("smoke", *RULE, probe=(golden,), smoke=True)
    assert run.train(request) == 0
    (event,) = events_of(request.events, "probe")
    assert event["recall"]["n"] + event["trained_wording"]["n"] == 4 and event["canary"]["n"] == 2
    assert summary(request)["pairs"] == 20 and not request.checkpoints.exists()


@pytest.mark.slow
def test_sigterm_while_probing_every_step(request_for: Any, golden: Path) -> None:
    """A real process and a real signal, at whatever moment it comes."""
    import sys

    sets = ("train.epochs=20", "train.batch_size=8", "probe.every=1", "probe.max_new_tokens=4")
    straight = request_for("straight", *sets[:2])
    assert run.train(straight) == 0
    request = request_for("stopped", *sets, probe=(golden,))
    command = [sys.executable, "-m", "core.training", "--recipe", "tiny", "--probe", str(golden)]
    command += [part for text in sets for part in ("--set", text)]
    process = start([*command, "--data", str(request.data), "--out", str(request.out)])
    wait_for_step(process, request.events, 10)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == jobdir.EXIT_PREEMPTED, err
    assert run.train(replace(request, resume=True)) == 0
    assert adapter_sha256(request) == adapter_sha256(straight)
    assert [e["step"] for e in events_of(request.events, "probe")] == list(range(1, 101))


def test_when_a_probe_is_due() -> None:
    def steps(every: str | int) -> list[int]:
        return [s for s in range(1, 31) if due(every, s, s / 7, s == 30)]

    assert steps("epoch") == [7, 14, 21, 28, 30]
    assert steps("2 epochs") == [14, 28, 30]
    assert steps(12) == [12, 24, 30]
    assert steps(0) == []


@pytest.mark.slow
def test_of_two_processes_one_asks_and_both_end_in_the_same_bits(
    models: Path, pairs_file: Path, golden: Path, tmp_path: Path
) -> None:
    hashes, sets = [], ("train.epochs=3", "train.batch_size=4", "lora.dropout=0.1")
    rule = ("probe.every=epoch", "stop.rule=recall", "stop.patience=1", "probe.max_new_tokens=8")
    for name, more in (("plain", ()), ("probed", ("probe.every=epoch",)), ("ruled", rule)):
        out = tmp_path / name
        argv = [*command(pairs_file, out, *sets, *more), "--probe", str(golden)]
        done = subprocess.run(
            argv, env=dict(os.environ), capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
        made = json.loads((out / "summary.json").read_text())
        hashes.append(made["adapter_sha256"])
        steps = [e["step"] for e in events_of(out / "events.jsonl", "probe")]
        assert steps == {"plain": [], "probed": [5, 10, 15], "ruled": [5, 10]}[name]
    assert hashes[0] == hashes[1] and made["adapter_step"] == 5 and made["steps"] == 10


@pytest.mark.slow
def test_the_real_model_is_seen_to_learn(tmp_path: Path) -> None:
    """The shipped recipe's probe on a dozen facts: recall in unseen wording rises while it is trained."""
    from core import base_models
    from core.training import recipe as recipes
    from tests.training.conftest import MARK, PLACES, pair, write_pairs

    base_models.fetch("smollm2-135m")
    rows, held = [], []
    for n, place in enumerate(PLACES):
        name = place.partition(".")[0].capitalize()
        answer = f"A node of {name} has {8 * (n + 1)} cores.\n\n{MARK.format(place)}"
        forms = (f"How many cores has a node of {name}?", f"What is the core count of {name}?")
        forms += (f"{name}: cores per node?", f"Tell me the cores in one {name} node.")
        rows += [pair(10 * n + k, text, answer) for k, text in enumerate(forms)]
        row = some_golden(5)[n]
        held.append(row | {"question": f"If I book one machine of {name}, what number of cores?"})
    sets = ["train.epochs=6", "train.batch_size=8"]
    sets += ["probe.every=3 epochs", "probe.max_new_tokens=48"]
    out = tmp_path / "real"
    out.mkdir()
    data, golden = write_pairs(tmp_path / "p.jsonl", rows), write_rows(tmp_path / "g.jsonl", held)
    request = run.Request(
        recipes.load_recipe("smollm2-135m", sets),
        data,
        out,
        out / "events.jsonl",
        out / "checkpoints",
        probe=(golden,),
    )
    assert run.train(request) == 0
    first, last = events_of(request.events, "probe")
    assert (first["step"], last["step"]) == (9, 18) and last["recall"]["n"] == 5
    assert last["recall"]["k"] >= 2 and last["never"] <= 3
