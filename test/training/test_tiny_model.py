"""An earlier checkpoint learns new words without forgetting its own."""

from janusvln_ros.policy import JanusPolicy
from janusvln_ros.training import tiny_model
import numpy as np
import pytest
from safetensors.torch import load_file

EMBEDDING = 'model.embed_tokens.weight'


@pytest.mark.slow
def test_new_words_begin_as_what_spelled_them(tmp_path, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(tiny_model, 'free_words', lambda: ())
        tiny_model.write_fresh_checkpoint(tmp_path / 'old')
    tiny_model.write_with_new_words(tmp_path / 'new', tmp_path / 'old')
    old, new = (
        JanusPolicy.from_pretrained(tmp_path / name, dtype='float32') for name in ('old', 'new')
    )
    text = 'Could you please go to the red couch?'
    assert old.unknown_words(text) == ['Could', 'please', 'couch']
    assert new.unknown_words(text) == []

    weights = [load_file(tmp_path / name / 'model.safetensors') for name in ('old', 'new')]
    for word in (' red', ' please', ' couch'):
        pieces, whole = (
            policy.encoder.tokenizer.encode(word, add_special_tokens=False)
            for policy in (old, new)
        )
        assert len(whole) == 1
        before, after = (rows[EMBEDDING] for rows in weights)
        assert np.allclose(after[whole[0]], before[pieces].mean(dim=0))

    for name in (EMBEDDING, 'lm_head.weight'):
        suffixes = [policy.encoder.suffix('Go to the red chair.') for policy in (old, new)]
        assert len(suffixes[0]) == len(suffixes[1])
        assert np.array_equal(*(rows[name][list(ids)] for rows, ids in zip(weights, suffixes)))


@pytest.mark.slow
def test_a_fresh_model_takes_the_encoders_of_another(fresh, tmp_path):
    """The language model is that of its seed, whosever the encoders are."""
    for name, encoders in (('alone', None), ('seeing', fresh)):
        tiny_model.write_fresh_checkpoint(tmp_path / name, 'small', 1, encoders)
    other, alone, seeing = (
        load_file(folder / 'model.safetensors')
        for folder in (fresh, tmp_path / 'alone', tmp_path / 'seeing')
    )
    differ = {name for name in other if not np.array_equal(other[name], alone[name])}
    assert {name.partition('.')[0] for name in differ} >= {'model', 'visual', 'vggt', 'merger'}
    for name, tensor in seeing.items():
        language = name.startswith(('model.', 'lm_head.'))
        assert np.array_equal(tensor, (alone if language else other)[name]), name


def test_encoders_of_another_size_are_refused(fresh, tmp_path):
    with pytest.raises(ValueError, match='are of another size: .* differs'):
        tiny_model.write_fresh_checkpoint(tmp_path / 'new', 'medium', 0, fresh)
    assert not (tmp_path / 'new').exists()
