"""Every architecture answers as the library's plain forward pass of whole prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from probes.errors import ModelError
from probes.models.causal_lm.activation_patching import (
    log_probs_with,
    states_at_the_end,
)
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.hooks import modules_at
from probes.models.causal_lm.parallel_context_windows import (
    log_probs_after,
    require_given_positions,
)
from probes.models.causal_lm.prefix_checks import require_causal
from tests.support.zoo import (
    CAUSAL,
    CONTEXT,
    ENCODERS,
    ORIGINAL_CONTEXT,
    PROMPTS,
    able,
    built,
    loaded,
    plain_logits,
    why_not,
)

TOLERANCE = 1e-4
RECURRENT = ("mamba", "qwen3_next")
WINDOWED = ("mistral", "gemma2", "gemma3_text", "gemma3", "gpt_oss", "starcoder2")


def plainly(name: str, prompt: list[int]) -> np.ndarray:
    return torch.log_softmax(plain_logits(loaded(name).model, prompt), -1).numpy()


@pytest.mark.parametrize("name", CAUSAL)
def test_prompts_that_begin_alike_are_answered_as_whole_ones(name: str) -> None:
    wanted = [plainly(name, prompt)[-1] for prompt in PROMPTS]
    lm = loaded(name)
    for answers in (
        lm.next_token_log_probs(PROMPTS),
        lm.log_probs_by_library(PROMPTS),
        lm.log_probs_of_groups([PROMPTS])[0],
    ):
        np.testing.assert_allclose(answers, wanted, atol=TOLERANCE)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_prompt_is_answered_after_several_tokens(name: str) -> None:
    n_read = [1, 3, 2, 4]
    answers = loaded(name).next_token_log_probs(PROMPTS, n_read)
    pairs = zip(PROMPTS, n_read, strict=True)
    wanted = np.concatenate([plainly(name, prompt)[-n:] for prompt, n in pairs])
    np.testing.assert_allclose(answers, wanted, atol=TOLERANCE)


@pytest.mark.parametrize("name", CAUSAL)
def test_every_member_of_a_stack_answers_with_its_own_weights(name: str) -> None:
    lm = loaded(name)
    moved = {
        path: torch.stack([p, 1.1 * p, 0.8 * p])
        for path, p in lm.model.named_parameters()
    }
    answers = lm.log_probs_of_stack(moved, PROMPTS)
    other = built(name)
    for member, stacked in enumerate(answers):
        other.load_state_dict({n: w[member] for n, w in moved.items()}, strict=False)
        wanted = [
            torch.log_softmax(plain_logits(other, prompt)[-1], -1).numpy()
            for prompt in PROMPTS
        ]
        np.testing.assert_allclose(stacked, wanted, atol=TOLERANCE)


@pytest.mark.parametrize("name", CAUSAL)
def test_only_recurrent_models_read_every_prompt_whole(name: str) -> None:
    require_causal(loaded(name).model)
    assert loaded(name).shares_prefixes == (name not in RECURRENT)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_model_whose_tokens_see_later_ones_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="Expected a causal language model"):
        require_causal(built(name))


@pytest.mark.parametrize("name", able("layers"))
def test_states_are_those_of_the_plain_pass_and_can_be_put_back(name: str) -> None:
    lm, seen = loaded(name), list[torch.Tensor]()
    states = states_at_the_end(lm, PROMPTS[:2])

    def keep(_: object, __: object, output: object) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        assert isinstance(hidden, torch.Tensor)
        seen.append(hidden[0, -1])

    layers = modules_at(lm.model, "layer_output")
    hooks = [layer.register_forward_hook(keep) for layer in layers]
    plain_logits(lm.model, PROMPTS[1])
    for hook in hooks:
        hook.remove()
    np.testing.assert_allclose(states[1], torch.stack(seen), atol=1e-5)
    wanted = plainly(name, PROMPTS[1])[-1]
    for layer, state in enumerate(states[1]):
        (back,) = log_probs_with(lm, PROMPTS[1:2], layer, state, form="replaced")
        np.testing.assert_allclose(back, wanted, atol=TOLERANCE)
        other = np.roll(state, 1)
        (changed,) = log_probs_with(lm, PROMPTS[1:2], layer, other, form="replaced")
        assert np.abs(changed - wanted).max() > 1e-3


def test_a_prompt_is_no_longer_than_where_rotary_frequencies_change() -> None:
    """Beyond, a short prompt's answer would depend on the longest one in its batch."""
    lm, short = loaded("phi3"), PROMPTS[1]
    assert lm.context == ORIGINAL_CONTEXT
    assert loaded("llama").context == CONTEXT
    for length, is_same in ((ORIGINAL_CONTEXT, True), (ORIGINAL_CONTEXT + 1, False)):
        (beside, _) = lm.log_probs_by_library([short, (short * 2)[:length]])
        alone = plainly("phi3", short)[-1]
        assert np.allclose(beside, alone, atol=TOLERANCE) == is_same


def test_logits_are_picked_from_a_model_that_forms_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As xLSTM does, whatever it is asked to keep."""
    model = built("gpt2")
    plain = model.forward

    def forward(*args: Any, logits_to_keep: object = 0, **given: Any) -> Any:
        return plain(*args, **given)

    monkeypatch.setattr(model, "forward", forward)
    wanted = [plainly("gpt2", prompt)[-1] for prompt in PROMPTS]
    answers = CausalLM(model, None).next_token_log_probs(PROMPTS)
    np.testing.assert_allclose(answers, wanted, atol=TOLERANCE)


HEAD, WINDOWS, QUERY = PROMPTS[0][:1], [[5, 9], [7]], [11, 3]


@pytest.mark.parametrize("name", able("positions"))
def test_without_an_order_demonstrations_have_none(name: str) -> None:
    lm = loaded(name)
    if not lm.shares_prefixes:
        pytest.skip("it keeps no keys and values, which the next test covers")
    require_given_positions(lm)
    forth, back = (
        log_probs_after(lm, HEAD, windows, [QUERY, QUERY[:1]])
        for windows in (WINDOWS, WINDOWS[::-1])
    )
    np.testing.assert_allclose(forth, back, atol=1e-5)
    (alone,) = log_probs_after(lm, HEAD, WINDOWS[:1], [QUERY])
    wanted = plainly(name, [*HEAD, *WINDOWS[0], *QUERY])[-1]
    np.testing.assert_allclose(alone, wanted, atol=TOLERANCE)
    assert np.abs(forth[0] - alone).max() > 1e-3


@pytest.mark.parametrize("name", [n for n in CAUSAL if why_not(n, "positions")])
def test_a_model_whose_positions_cannot_be_given_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="positions follow from the order of tokens"):
        require_given_positions(loaded(name))


@pytest.mark.parametrize("name", WINDOWED)
def test_more_tokens_than_a_layer_attends_to_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="attends to 8 tokens"):
        log_probs_after(loaded(name), HEAD, [[5, 9, 7], [7, 8, 2]], [QUERY])
