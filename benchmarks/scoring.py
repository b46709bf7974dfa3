"""Scoring 100,000 stored answers, from answer texts to the scores document; no model, one process.

Questions are the golden set's under new ids, answers those of the sample corpus with a number of
their own, so that no answer is read twice. CPU seconds; the limit is 10.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice

from benchmarks.figures import Figure
from core import locations
from core.citations import SourceIndex
from core.corpus import pair_files
from core.evaluation import scores
from core.evaluation.answers import Answer
from core.evaluation.gates import load_gates
from core.evaluation.golden import load_golden
from core.evaluation.scores import QuestionSet
from core.pairs import read_pairs

ANSWERS = 100_000
LIMIT_S = 10.0


def run() -> Iterator[Figure]:
    golden = load_golden(locations.configs() / "corpus" / "golden.jsonl")
    texts = cycle([pair.answer for pair in read_pairs(pair_files()).pairs])
    questions, answers = [], {}
    for n, question in enumerate(islice(cycle(golden), ANSWERS)):
        name = f"{question.id}.{n}"
        questions.append(replace(question, id=name, cluster=name))
        # every other answer is a right one, so that all the checks run
        text = question.expected_answer if n % 2 else next(texts)
        answers[name] = Answer(name, f"{text} ({n})", 0.5)
    index = SourceIndex.load(
        [{"source_id": s} for s in {s for q in golden for s in q.expected_sources}]
    )
    gates = load_gates()
    start = time.process_time()
    scores.build(QuestionSet(questions, "0" * 64), {"tuned": answers}, index, gates)
    used = time.process_time() - start
    yield Figure("score 100,000 stored answers", "CPU s", used, "limit", LIMIT_S, 1.0, ANSWERS)
