"""The words: held-out phrasings from known words, held-out pairs, both languages."""

import itertools
import string

from janusvln_ros.episodes import grammar
from janusvln_ros.episodes.grammar import Noun
from janusvln_ros.episodes.phrasings import HELD_OUT, PHRASINGS, TURNS
from janusvln_ros.episodes.tasks import FORMS
from janusvln_ros.sim.house import CATEGORIES, COLOURS
import numpy as np
import pytest

SLOTS = {
    'a': Noun('chair', 'red'),
    'b': Noun('lamp'),
    'door': Noun('door', 'blue'),
    'exit': Noun('door', 'green'),
    'side': 'left',
    'nth': '2',
    'turn': 'left',
}


@pytest.mark.parametrize('language', grammar.LANGUAGES)
def test_held_out_phrasings_use_known_words(language):
    known = {
        token
        for form in PHRASINGS.values()
        for phrasing in form[language][:-HELD_OUT]
        for token in grammar.tokenise(phrasing, language)
    }
    known |= set(
        itertools.chain.from_iterable(
            grammar.tokenise(text, language) for text in TURNS[language][:-HELD_OUT]
        )
    )
    for form, languages in PHRASINGS.items():
        for phrasing in languages[language][-HELD_OUT:]:
            new = set(grammar.tokenise(phrasing, language)) - known
            assert not new, f'{form}: {phrasing!r} has words that training lacks: {new}'


@pytest.mark.parametrize('language', grammar.LANGUAGES)
def test_phrasings_are_distinct_and_have_the_same_slots(language):
    everything = [p for form in PHRASINGS.values() for p in form[language]]
    assert len(set(everything)) == len(everything)
    for form, languages in PHRASINGS.items():
        slots = {
            frozenset(name.split('.')[0] for _, name, _, _ in string.Formatter().parse(p) if name)
            for p in languages[language]
        }
        assert len(slots) == 1, f'{form}: phrasings with different slots: {slots}'
        assert len(languages[language]) >= HELD_OUT + 4


def test_every_form_of_a_task_has_words_and_the_other_way_round():
    assert {form for forms in FORMS.values() for form in forms} == set(PHRASINGS)
    assert tuple(FORMS) == grammar.CATEGORIES


@pytest.mark.parametrize('language', grammar.LANGUAGES)
@pytest.mark.parametrize('form', PHRASINGS)
def test_every_phrasing_can_be_said(form, language):
    words = set(grammar.vocabulary(language))
    for number in range(len(PHRASINGS[form][language])):
        text = grammar.say(form, SLOTS, language=language, phrasing=number, turn='right')
        assert '{' not in text and '  ' not in text
        assert set(grammar.tokenise(text, language)) <= words


def test_what_it_says():
    assert grammar.say('reach', SLOTS, language='en', phrasing=0) == 'Go to the red chair.'
    assert grammar.say('nth_thing', SLOTS, language='en', phrasing=0, turn='left') == (
        'Turn left. Go to the second red chair from the left.'
    )
    assert grammar.say('next_to', SLOTS, language='zh', phrasing=0) == (
        '走到落地灯旁边的红色的椅子那里。'
    )
    with pytest.raises(KeyError):
        grammar.say('reach', {}, language='en', phrasing=0)


def test_the_vocabulary_is_small():
    assert len(grammar.vocabulary('en')) < 90
    assert len(grammar.vocabulary('zh')) < 130


def test_pairs_are_held_out_evenly():
    training, held_out = set(grammar.TRAINING_PAIRS), grammar.HELD_OUT_PAIRS
    assert not training & held_out
    assert training | held_out == set(itertools.product(CATEGORIES, COLOURS))
    for thing in CATEGORIES:
        assert sum(pair[0] == thing for pair in held_out) == 2
    for colour in COLOURS:
        assert 1 <= sum(pair[1] == colour for pair in held_out) <= 4


def test_drawn_phrasings_are_of_the_right_kind():
    rng = np.random.default_rng(0)
    for held_out in (False, True):
        numbers = {grammar.choose_phrasing(rng, 'reach', 'en', held_out)[0] for _ in range(200)}
        assert numbers == set(grammar.phrasing_indices('reach', 'en', held_out))
