"""Text models: the fast path answers as the plain one, and bad folders are refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from probes.cards import Checkpoint, ModelCard
from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import ModelError, NumericsError
from probes.learners import Base, GradientLearner, InContext, RandomUpdate
from probes.measures import gold_probability, order_sensitivity
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.embedded_tokens import EmbeddedTokens
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.untrained import untrained_model
from probes.models.weights.parameter_groups import parameters_of
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from tests.support.tiny_models import GD, HMM, SETTINGS, ask, prompts, tiny

FOLDER = Path(HMM.weights.location)  # type: ignore[union-attr]


MIDDLE_W_V = "model.layers.2.self_attn.v_proj.weight"


@pytest.fixture(scope="module")
def llama() -> CausalLM:
    return load_causal_lm(HMM, SETTINGS)


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def plainly(model: CausalLM, prompt: list[int]) -> np.ndarray:
    with torch.no_grad():
        logits = model.model(torch.tensor([prompt])).logits[0, -1]
    return torch.log_softmax(logits.double(), -1).numpy()


@pytest.mark.parametrize("shared", [0, 3, 20, 60])
def test_a_shared_prefix_answers_as_whole_prompts_do(
    llama: CausalLM, shared: int
) -> None:
    asked = prompts([3, 9, 1, 4, 4, 17], shared)
    answers = llama.next_token_log_probs(asked)
    wanted = [plainly(llama, prompt) for prompt in asked]
    np.testing.assert_allclose(answers, wanted, atol=1e-5)


N_READ = [1, 3, 2, 1, 4, 2]


def cut_short(asked: list[list[int]]) -> list[list[int]]:
    """List every prompt that is answered, one token longer each time."""
    return [
        prompt[: len(prompt) - after]
        for prompt, n in zip(asked, N_READ, strict=True)
        for after in reversed(range(n))
    ]


@pytest.mark.parametrize("shared", [0, 20])
@pytest.mark.parametrize("kind", ["hmm", "grouped_queries", "tied", "sliding", "neox"])
def test_a_prompt_may_be_answered_after_several_tokens(
    llama: CausalLM, kind: str, shared: int
) -> None:
    model = llama if kind == "hmm" else CausalLM(tiny(kind).double(), None)
    asked = prompts([3, 9, 1, 4, 4, 17], shared + 4)
    together = model.next_token_log_probs(asked, N_READ)
    apart = model.next_token_log_probs(cut_short(asked))
    np.testing.assert_allclose(together, apart, atol=1e-5)


@pytest.mark.parametrize("shared", [0, 20])
@pytest.mark.parametrize("weights", ["all", "W_V@first", "W_V@last", "mlp@last"])
def test_a_stack_may_be_asked_after_several_tokens(
    llama: CausalLM, weights: str, shared: int
) -> None:
    rng = torch.Generator().manual_seed(0)
    moved = {
        name: p + 0.02 * torch.randn(2, *p.shape, generator=rng)
        for name, p in parameters_of(llama.model, weights).items()
    }
    asked = prompts([3, 9, 1, 4, 4, 17], shared + 4)
    together = llama.log_probs_of_stack(moved, asked, N_READ)
    apart = llama.log_probs_of_stack(moved, cut_short(asked))
    np.testing.assert_allclose(together, apart, atol=2e-5)


@pytest.mark.parametrize("kind", ["grouped_queries", "tied", "sliding", "neox", "gptj"])
def test_other_architectures_answer_as_whole_prompts_do(kind: str) -> None:
    model = tiny(kind).double()
    lm = CausalLM(model, None)
    asked = prompts([3, 9, 1, 4], 30)
    wanted = [plainly(lm, prompt) for prompt in asked]
    for answers in (lm.next_token_log_probs(asked), lm.log_probs_by_library(asked)):
        np.testing.assert_allclose(answers, wanted, atol=2e-6)


def test_the_prefix_is_run_once(llama: CausalLM) -> None:
    assert llama.fast_path is not None
    assert llama.shares_prefixes
    before = llama.n_forward
    llama.next_token_log_probs(prompts([3] * 30, 40))
    assert llama.n_forward - before == 1  # beginning and queries in one pass
    llama.log_probs_by_library(prompts([3] * 30, 40))
    assert llama.n_forward - before == 3


def test_full_batch_gd_ignores_the_order_to_reduction_error(observer: Observer) -> None:
    orders = [observer.observe(ask(GD, order=order)) for order in range(3)]
    assert order_sensitivity(orders).values.max() < 1e-4  # float32 sums of 50 tokens


def test_one_pass_sgd_and_icl_do_not(observer: Observer) -> None:
    sgd = GradientLearner(rate=0.3, passes=1, batch_size=1)
    for learner in (sgd, InContext()):
        orders = [observer.observe(ask(learner, order=order)) for order in range(3)]
        assert order_sensitivity(orders).mean > 0.01


def test_rate_zero_is_the_base_model(observer: Observer) -> None:
    still = GradientLearner(rate=0.0, passes=1)
    answers, base = observer.observe(ask(still)), observer.observe(ask(Base()))
    np.testing.assert_allclose(answers["log_probs"], base["log_probs"], atol=1e-5)


def test_training_gives_every_weight_back(observer: Observer) -> None:
    model = observer.models.get(HMM, SETTINGS)
    assert isinstance(model, CausalLM)
    before = {n: p.clone() for n, p in model.model.named_parameters()}
    observer.observe(ask(GradientLearner(rate=0.2, passes=3)))
    after = dict(model.model.named_parameters())
    assert all(torch.equal(before[n], after[n]) for n in before)


def test_a_submodel_moves_itself_alone(observer: Observer) -> None:
    part = GradientLearner(rate=0.2, passes=2, weights="W_V@middle")
    found = observer.observe(ask(part))
    assert found["update_norms"].shape == (4, 1)
    size = observer.models.get(HMM, SETTINGS).model.get_parameter(MIDDLE_W_V).numel()
    assert found.facts["moved"] == f"{MIDDLE_W_V}: {size:,} weights"


def test_the_weights_of_a_whole_model_and_of_low_rank_changes_are_named(
    observer: Observer,
) -> None:
    moved = [
        observer.observe(ask(replace(GD, weights=weights))).facts["moved"]
        for weights in ("all", "lora@all")
    ]
    assert "tensors, model.embed_tokens.weight to " in moved[0]
    assert moved[1].endswith(" weights, by changes of rank 4")


def test_gd_makes_the_right_answers_likelier(observer: Observer) -> None:
    learner = GradientLearner(rate=0.003, passes=4)
    gd, base = observer.observe(ask(learner)), observer.observe(ask(Base()))
    assert gold_probability(gd).mean > gold_probability(base).mean


def test_a_random_update_is_as_large_as_the_learners(observer: Observer) -> None:
    gd, base = observer.observe(ask(GD)), observer.observe(ask(Base()))
    moved = observer.observe(ask(RandomUpdate(matched_to=GD)))
    assert np.abs(moved["log_probs"] - base["log_probs"]).max() > 1e-4
    assert np.abs(moved["log_probs"] - gd["log_probs"]).max() > 1e-3


def test_an_update_lost_to_rounding_is_an_error_with_a_usable_rate(
    observer: Observer,
) -> None:
    small = GradientLearner(rate=1e-12, passes=1)
    half = Settings(n_sets=4, n_queries=5, n_calibration=6, dtype="bfloat16")
    with pytest.raises(
        NumericsError, match="vanishes in the rounding of torch.bfloat16"
    ):
        observer.observe(ask(small, half))


def test_a_rate_that_diverges_is_an_error(observer: Observer) -> None:
    large = GradientLearner(rate=1e30, passes=4)
    with pytest.raises(NumericsError, match="diverged"):
        observer.observe(ask(large))


def test_the_untrained_model_has_other_weights_and_the_same_each_time() -> None:
    untrained = untrained_model(HMM)
    first, second = (load_causal_lm(untrained, SETTINGS) for _ in range(2))
    trained = load_causal_lm(HMM, SETTINGS)
    a, b, c = (m.model.model.embed_tokens.weight for m in (first, second, trained))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_hmm_llama_learns_in_context_only_if_it_was_trained(
    observer: Observer,
) -> None:
    from probes.measures import label_accuracy

    settings = Settings(n_sets=16, n_queries=30)

    def accuracy(n: int, model: ModelCard) -> float:
        learner = InContext() if n else Base()
        request = Request(
            learner=learner,
            model=model,
            dataset=dataset_named("hmm"),
            n_demonstrations=max(n, 1),
            settings=settings,
        )
        return label_accuracy(observer.observe(request)).mean

    rising = [accuracy(n, HMM) for n in (0, 4, 16)]
    assert rising[0] + 0.15 < rising[1] < rising[2] - 0.05
    assert accuracy(16, untrained_model(HMM)) < 0.15


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    # without the sums, which would tell of any damage first
    ignore = shutil.ignore_patterns("SHA256SUMS")
    return Path(shutil.copytree(FOLDER, tmp_path / "copied", ignore=ignore))


def load(folder: Path, **changes: Any) -> CausalLM:
    card = ModelCard(
        name="copied",
        kind="pretrained",
        family="text",
        summary="",
        weights=Checkpoint(location=str(folder)),
        language="hmm",
    )
    return load_causal_lm(card, replace(SETTINGS, **changes))


def test_a_missing_tensor_is_refused(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="has 1 missing tensors"):
        load(copied)


def test_a_missing_shard_is_named_in_a_sentence(copied: Path) -> None:
    shards = {"a": "model.safetensors", "b": "model-2.safetensors"}
    index = json.dumps({"weight_map": shards})
    (copied / "model.safetensors.index.json").write_text(index)
    with pytest.raises(
        ModelError, match=r"lacks 1 of the 2 files .* model-2"
    ) as caught:
        load(copied)
    assert "\n" not in str(caught.value)


def test_a_tensor_that_the_architecture_does_not_use_is_refused(copied: Path) -> None:
    """Fewer layers are configured than were saved: another model."""
    config = json.loads((copied / "config.json").read_text())
    config["num_hidden_layers"] -= 1
    config.pop("layer_types", None)
    (copied / "config.json").write_text(json.dumps(config))
    wording = "unused tensors, .* make another model.* or pass --unused-tensors allow"
    with pytest.raises(ModelError, match=wording):
        load(copied)
    found = load(copied, unused_tensors="allow").left_out
    assert "stored tensors of copied, among them model.layers." in found
    assert found.endswith("were left out (--unused-tensors allow)")


@pytest.mark.parametrize(
    ("setting", "wording"),
    [
        ({"quantization_config": {"quant_method": "fp8"}}, "quantised \\('fp8'\\)"),
        ({"is_encoder_decoder": True}, "an encoder and a decoder"),
    ],
)
def test_what_needs_other_packages_is_refused_in_a_sentence(
    copied: Path, setting: dict[str, object], wording: str
) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | setting))
    with pytest.raises(ModelError, match=wording) as caught:
        load(copied)
    assert "\n" not in str(caught.value)


def test_an_encoder_is_refused_when_it_is_loaded(copied: Path) -> None:
    from transformers import BertConfig, BertLMHeadModel

    sizes = {"vocab_size": 53, "hidden_size": 32, "num_hidden_layers": 2}
    torch.manual_seed(0)
    model = BertLMHeadModel(
        BertConfig(**sizes, num_attention_heads=4, intermediate_size=48)
    )
    model.save_pretrained(copied)
    with pytest.raises(ModelError, match="Expected a causal language model"):
        load(copied)


def test_a_model_that_cannot_answer_tokens_is_refused_in_a_sentence(
    copied: Path,
) -> None:
    from transformers import FalconConfig, FalconForCausalLM

    config = FalconConfig(
        vocab_size=53,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        new_decoder_architecture=True,
        parallel_attn=False,
    )
    FalconForCausalLM(config).save_pretrained(copied)
    with pytest.raises(ModelError, match="does not answer a prompt of 9 tokens: "):
        load(copied)


def test_only_tokens_that_are_used_need_an_embedding(copied: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(copied)
    with_image = EmbeddedTokens(tokenizer, len(tokenizer) - 1)
    assert len(with_image) == len(tokenizer) - 1
    assert with_image.eos_token_id == tokenizer.eos_token_id
    first, last = tokenizer.convert_ids_to_tokens([5, len(tokenizer) - 1])
    assert with_image([first]) == tokenizer([first])
    with pytest.raises(ModelError, match=f"has the token '{last}', number 52"):
        with_image([first, f"{first} {last}"])


def test_a_tensor_of_another_shape_is_refused(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(7)
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="mismatched tensors"):
        load(copied)


def test_weights_that_are_nan_are_refused(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="NaN or infinite weights in"):
        load(copied)


def test_torn_weights_are_refused(copied: Path) -> None:
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="the file was cut short or overwritten"):
        load(copied)


def test_pickled_weights_are_refused(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(ModelError, match="a pickle, which can run code"):
        load(copied)


def test_a_model_that_asks_for_its_own_code_is_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Evil"}
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="asks to run its own code"):
        load(copied)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no config.json"):
        load(tmp_path)


def test_a_tokenizer_of_another_model_is_refused(copied: Path) -> None:
    other = FOLDER.parent / "text_llama" / "tokenizer.json"
    shutil.copy(other, copied / "tokenizer.json")
    with pytest.raises(ModelError, match="the model embeds 53"):
        load(copied)


@pytest.mark.parametrize("way", ["next_token_log_probs", "log_probs_by_library"])
def test_logits_that_are_nan_are_refused(llama: CausalLM, way: str) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    broken = {name: torch.full_like(llama.model.get_parameter(name), float("nan"))}
    with (
        llama.tuned(broken),
        pytest.raises(NumericsError, match="NaN or infinite logits for 2 of 2 prompts"),
    ):
        getattr(llama, way)([[1, 5], [1, 6]])


def test_labels_that_begin_alike_are_scored_by_whole_answers(
    tmp_path: Path, observer: Observer
) -> None:
    rows = [{"text": f"row {i}", "label": ["no", "never"][i % 2]} for i in range(80)]
    path = tmp_path / "alike.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path.with_suffix(".toml").write_text(
        '[verbalizer]\nno = "good one"\nnever = "good two"\n'
    )
    request = Request(
        learner=Base(),
        model=model_named("untrained_llama"),
        dataset=dataset_named(str(path)),
        n_demonstrations=2,
        settings=SETTINGS,
    )
    answered = observer.observe(request)
    assert len(set(answered.label_tokens)) == 1
    assert answered.answer_log_probs.shape == (4, 5, 2)
    assert np.exp(answered.label_log_probs).sum(-1) == pytest.approx(np.ones((4, 5)))
    one, other = np.moveaxis(answered.answer_log_probs, -1, 0)
    assert (one != other).all()
