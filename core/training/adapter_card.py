"""README.md of an adapter: what it is and how it is served, from its files alone. Pure.

What it is worth stands in the registry's model card (`qa versions export`), not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from core.training.adapter_files import AdapterFiles
from core.training.vllm_fit import fit, needed_rank


def card(files: AdapterFiles, about: Mapping[str, Any]) -> str:
    """Front matter in the Hub's convention, then what people need."""
    c = files.config
    head = {
        "base_model": files.base,
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["access-ci", "lora", "question-answering", "citations"],
    }
    targets = c.get("target_modules") or []
    named = [targets] if isinstance(targets, str) else sorted(map(str, targets))
    named += [f"{p} (parameter)" for p in c.get("target_parameters") or []]
    lines = [
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n",
        "# LoRA adapter for ACCESS-CI questions\n",
        "**Trained, not judged.** Whether its answers hold is in the record of its version.\n",
        f"- base model: `{_code(files.base)}`, which it fits and no other",
        f"- rank {c.get('r')}, alpha {c.get('lora_alpha')}"
        + (" (rank-stabilised)" if c.get("use_rslora") else "")
        + f", on {', '.join(_code(n) for n in named)}",
        "- every value of the training: `recipe.yaml`; hashes: `about.json`",
        *_template(about),
        *_sum(about),
        "\n## Use\n",
        "```python",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        "",
        'base = AutoModelForCausalLM.from_pretrained("BASE", dtype="auto")',
        'model = PeftModel.from_pretrained(base, "THIS_FOLDER")',
        "```\n",
        *_vllm(files, about),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _template(about: Mapping[str, Any]) -> list[str]:
    digest = about.get("chat_template_sha256")
    return [f"- chat template: `chat_template.jinja`, sha256 `{digest}`"] if digest else []


def _sum(about: Mapping[str, Any]) -> list[str]:
    parts = about.get("sum_of") or []
    if not parts:
        return []
    named = ", ".join(f"`{_code(p['adapter'])}` ({p['sha256'][:12]})" for p in parts)
    return [f"- the exact sum of {named}, factors side by side"]


def _vllm(files: AdapterFiles, about: Mapping[str, Any]) -> list[str]:
    found = [f for f in fit(files) if f.severity == "error"]
    if found:
        return [
            "vLLM does not serve it as it is:\n",
            *(f"- `{f.key}`: {f.what}; {f.fix}" for f in found),
        ]
    template = " --chat-template THIS_FOLDER/chat_template.jinja"
    return [
        "```",
        f"vllm serve BASE --enable-lora --max-lora-rank {needed_rank(files)} \\",
        "    --lora-modules NAME=THIS_FOLDER"
        + (template if about.get("chat_template_sha256") else ""),
        "```",
    ]


def _code(text: object) -> str:
    """For inside backquotes, on one line."""
    return " ".join(str(text).replace("`", "'").split())[:200]
