"""
The words of instructions: phrasings of every form, in English and Chinese.

The last phrasings of every form (`HELD_OUT` of them) are held out from training. Every word of
theirs occurs in phrasings for training: what is new is how they are put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

HELD_OUT = 2  # phrasings of every form, the last ones

ZH_THINGS = {
    'chair': '椅子',
    'table': '桌子',
    'sofa': '沙发',
    'stool': '凳子',
    'lamp': '落地灯',
    'plant': '盆栽',
    'cabinet': '柜子',
    'bed': '床',
    'shelf': '书架',
    'ball': '球',
    'door': '门',
}
ZH_COLOURS = {
    'red': '红色',
    'orange': '橙色',
    'yellow': '黄色',
    'green': '绿色',
    'blue': '蓝色',
    'purple': '紫色',
    'pink': '粉色',
    'white': '白色',
}
WORDS = {
    'en': {
        'left': 'left',
        'right': 'right',
        '1': 'first',
        '2': 'second',
        '3': 'third',
        '4': 'fourth',
    },
    'zh': {'left': '左', 'right': '右', '1': '一', '2': '二', '3': '三', '4': '四'},
}

# How an instruction starts where the first landmark is out of view.
TURNS = {
    'en': (
        'Turn {turn}. ',
        'First turn {turn}. ',
        'Turn to the {turn}. ',
        'First turn to the {turn}. ',
        'Turn {turn} first. ',
    ),
    'zh': ('先{turn}转。', '向{turn}转。', '先向{turn}转。', '往{turn}转。', '先往{turn}转。'),
}

# {a}, {b}: things; {door}, {exit}: doors; {side}: left or right; {nth}: which one.
# 'the' is part of a noun, save after an adjective: {a.bare} is the noun without it.
PHRASINGS: Mapping[str, Mapping[str, Sequence[str]]] = {
    'reach': {
        'en': (
            'Go to {a}.',
            'Walk to {a} and stop.',
            'Go to {a} and stop there.',
            'Move to {a}.',
            'Find {a} and walk over to it.',
            'Stop next to {a}.',
            # held out
            'Move over to {a} and stop next to it.',
            'Find {a}, go there and stop.',
        ),
        'zh': (
            '走到{a}那里。',
            '去{a}旁边停下。',
            '走到{a}旁边停下。',
            '去{a}那里。',
            '找到{a}，走过去。',
            '在{a}旁边停下。',
            '找到{a}，走到旁边停下。',
            '走过去，在{a}旁边停下。',
        ),
    },
    'door_then': {
        'en': (
            'Go through {door} and stop at {a}.',
            'Walk through {door}, then go to {a}.',
            'Leave through {door} and go to {a}.',
            'Go through {door} and walk to {a}.',
            'Leave through {door}, then stop next to {a}.',
            # held out
            'Walk through {door} and stop next to {a}.',
            'Leave through {door}, then walk over to {a} and stop there.',
        ),
        'zh': (
            '穿过{door}，走到{a}旁边停下。',
            '从{door}出去，走到{a}那里。',
            '从{door}出去，去{a}旁边停下。',
            '走进{door}，去{a}那里。',
            '穿过{door}，然后走到{a}那里。',
            '走进{door}，然后在{a}旁边停下。',
            '从{door}出去，然后找到{a}停下。',
        ),
    },
    'door_turn_then': {
        'en': (
            'Go through {door}, turn {side} and stop at {a}.',
            'Leave through {door}, turn {side} and go to {a}.',
            'Walk through {door}, then turn {side} and walk to {a}.',
            'Go through {door}. Then turn {side} and stop next to {a}.',
            # held out
            'Leave through {door}. Turn {side} and walk over to {a}.',
            'Walk through {door}, turn to the {side} and stop at {a}.',
        ),
        'zh': (
            '穿过{door}，{side}转，走到{a}旁边停下。',
            '从{door}出去，{side}转，走到{a}那里。',
            '走进{door}，然后{side}转，去{a}旁边停下。',
            '穿过{door}，向{side}转，在{a}旁边停下。',
            '从{door}出去，向{side}转，去{a}那里。',
            '走进{door}，{side}转，找到{a}停下。',
        ),
    },
    'past_door_then': {
        'en': (
            'Walk past {b}, go through {door} and stop at {a}.',
            'Go past {b} and through {door}, then stop at {a}.',
            'Pass {b}, leave through {door} and go to {a}.',
            'Pass {b}, walk through {door} and stop next to {a}.',
            # held out
            'Go past {b}, then leave through {door} and walk to {a}.',
            'Walk past {b} and through {door}, then go to {a} and stop.',
        ),
        'zh': (
            '经过{b}，穿过{door}，走到{a}旁边停下。',
            '走过{b}，从{door}出去，走到{a}那里。',
            '经过{b}，从{door}出去，去{a}旁边停下。',
            '经过{b}，走进{door}，然后去{a}那里。',
            '走过{b}，穿过{door}，在{a}旁边停下。',
            '经过{b}，然后从{door}出去，找到{a}停下。',
        ),
    },
    'door_door_then': {
        'en': (
            'Go through {door}, then through {exit}, and stop at {a}.',
            'Leave through {door}, walk through {exit} and go to {a}.',
            'Walk through {door} and {exit}, then stop next to {a}.',
            'Go through {door} and {exit} and walk to {a}.',
            # held out
            'Leave through {door}, go through {exit} and stop next to {a}.',
            'Walk through {door}, then through {exit}, and walk over to {a}.',
        ),
        'zh': (
            '穿过{door}，再穿过{exit}，走到{a}旁边停下。',
            '从{door}出去，走进{exit}，走到{a}那里。',
            '穿过{door}和{exit}，在{a}旁边停下。',
            '走进{door}和{exit}，去{a}那里。',
            '从{door}出去，再穿过{exit}，去{a}旁边停下。',
            '走进{door}，再走进{exit}，找到{a}停下。',
        ),
    },
    'two_things': {
        'en': (
            'Go to {b}, then go to {a}.',
            'Walk to {b}, then to {a}, and stop.',
            'First go to {b}, then to {a}.',
            'Go to {b} first, then stop at {a}.',
            'Find {b}, then walk over to {a}.',
            # held out
            'First walk to {b}, then go to {a} and stop there.',
            'Move to {b}, then walk to {a}.',
        ),
        'zh': (
            '走到{b}那里，再走到{a}那里。',
            '先去{b}那里，再去{a}旁边停下。',
            '先走到{b}旁边，然后走到{a}旁边停下。',
            '先找到{b}，再走到{a}旁边停下。',
            '去{b}旁边，然后去{a}那里。',
            '先走到{b}那里，再去{a}那里停下。',
            '先去{b}旁边，再找到{a}停下。',
        ),
    },
    'nth_thing': {
        'en': (
            'Go to the {nth} {a.bare} from the {side}.',
            'Walk to the {nth} {a.bare} from the {side} and stop.',
            'Stop at the {nth} {a.bare} from the {side}.',
            'Counting from the {side}, go to the {nth} {a.bare}.',
            # held out
            'Counting from the {side}, stop at the {nth} {a.bare}.',
            'Find the {nth} {a.bare} from the {side} and go to it.',
        ),
        'zh': (
            '走到从{side}数第{nth}个{a}旁边停下。',
            '去{side}边数起第{nth}个{a}那里。',
            '从{side}边数，走到第{nth}个{a}那里。',
            '在从{side}数第{nth}个{a}旁边停下。',
            '从{side}边数，去第{nth}个{a}旁边停下。',
            '找到从{side}数第{nth}个{a}，走过去。',
        ),
    },
    'side_thing': {
        'en': (
            'Go to the {a.bare} on the {side}.',
            'Walk to the {a.bare} on the {side} and stop.',
            'Go to the {side} {a.bare} and stop there.',
            'Stop at the {a.bare} on the {side}.',
            # held out
            'Walk over to the {side} {a.bare}.',
            'Find the {a.bare} on the {side} and go to it.',
        ),
        'zh': (
            '走到{side}边的{a}旁边停下。',
            '去{side}边的{a}那里。',
            '走到{side}边的{a}那里。',
            '在{side}边的{a}旁边停下。',
            '去{side}边的{a}旁边停下。',
            '找到{side}边的{a}，走过去。',
        ),
    },
    'side_door': {
        'en': (
            'Go through the door on the {side} and stop.',
            'Walk through the {side} door and stop.',
            'Leave through the door on the {side} and stop there.',
            'Go through the {side} door, then stop.',
            # held out
            'Leave through the {side} door and stop.',
            'Walk through the door on the {side}, then stop there.',
        ),
        'zh': (
            '穿过{side}边的门，停下。',
            '从{side}边的门出去，停下。',
            '走进{side}边的门，然后停下。',
            '从{side}边的门出去，然后停下。',
            '走进{side}边的门，停下。',
            '穿过{side}边的门，然后停下。',
        ),
    },
    'nth_door': {
        'en': (
            'Go through the {nth} door on the {side} and stop.',
            'Walk through the {nth} door on the {side}, then stop.',
            'Take the {nth} door on the {side} and stop there.',
            'Go along and take the {nth} door on the {side}.',
            # held out
            'Take the {nth} door on the {side}, go through it and stop.',
            'Walk along and go through the {nth} door on the {side}.',
        ),
        'zh': (
            '穿过{side}边第{nth}扇门，停下。',
            '从{side}边第{nth}扇门出去，停下。',
            '走进{side}边第{nth}扇门，然后停下。',
            '往前走，穿过{side}边第{nth}扇门。',
            '往前走，从{side}边第{nth}扇门出去，停下。',
            '往前走，走进{side}边第{nth}扇门，然后停下。',
        ),
    },
    'nearest': {
        'en': (
            'Go to the nearest {a.bare}.',
            'Walk to the nearest {a.bare} and stop.',
            'Go to the {a.bare} that is nearest.',
            'Stop at the {a.bare} nearest to you.',
            # held out
            'Find the nearest {a.bare} and stop there.',
            'Walk to the {a.bare} that is nearest to you.',
        ),
        'zh': (
            '走到最近的{a}旁边停下。',
            '去最近的{a}那里。',
            '走到离你最近的{a}那里。',
            '在最近的{a}旁边停下。',
            '去离你最近的{a}旁边停下。',
            '找到最近的{a}，走过去。',
        ),
    },
    'farthest': {
        'en': (
            'Go to the farthest {a.bare}.',
            'Walk to the farthest {a.bare} and stop.',
            'Go to the {a.bare} that is farthest away.',
            'Stop at the {a.bare} farthest from you.',
            # held out
            'Find the farthest {a.bare} and stop there.',
            'Walk to the {a.bare} that is farthest from you.',
        ),
        'zh': (
            '走到最远的{a}旁边停下。',
            '去最远的{a}那里。',
            '走到离你最远的{a}那里。',
            '在最远的{a}旁边停下。',
            '去离你最远的{a}旁边停下。',
            '找到最远的{a}，走过去。',
        ),
    },
    'beside': {
        'en': (
            'Stop to the {side} of {a}.',
            'Go to the {side} side of {a}.',
            'Walk to {a} and stop on its {side} side.',
            'Stop on the {side} side of {a}, not in front of it.',
            # held out
            'Go to {a} and stop to the {side} of it, not in front of it.',
            'Walk to the {side} side of {a} and stop there.',
        ),
        'zh': (
            '在{a}的{side}边停下。',
            '走到{a}的{side}边。',
            '走到{a}那里，停在它的{side}边。',
            '停在{a}的{side}边，不要停在前面。',
            '走到{a}的{side}边停下，不要停在前面。',
            '去{a}那里，在它的{side}边停下。',
        ),
    },
    'back_of': {
        'en': (
            'Stop behind {a}.',
            'Go behind {a} and stop.',
            'Walk around {a} and stop behind it.',
            'Walk behind {a}.',
            # held out
            'Go around {a} and stop behind it.',
            'Stop behind {a}, not in front of it.',
        ),
        'zh': (
            '在{a}后面停下。',
            '走到{a}后面。',
            '绕过{a}，停在它后面。',
            '走到{a}后面停下。',
            '绕过{a}，在它后面停下。',
            '停在{a}后面，不要停在前面。',
        ),
    },
    'next_to': {
        'en': (
            'Go to the {a.bare} next to {b}.',
            'Walk to the {a.bare} next to {b} and stop.',
            'Stop at the {a.bare} by {b}.',
            'Go to the {a.bare} that is next to {b}.',
            'Find the {a.bare} by {b} and go to it.',
            # held out
            'Go to the {a.bare} by {b} and stop there.',
            'Find the {a.bare} next to {b} and stop at it.',
        ),
        'zh': (
            '走到{b}旁边的{a}那里。',
            '去{b}旁边的{a}那里停下。',
            '走到靠近{b}的{a}那里停下。',
            '去靠近{b}的{a}那里。',
            '找到{b}旁边的{a}，走过去。',
            '走到靠近{b}的{a}那里。',
            '找到靠近{b}的{a}，走过去停下。',
        ),
    },
    'between': {
        'en': (
            'Stop between {a} and {b}.',
            'Go between {a} and {b} and stop.',
            'Walk to the middle between {a} and {b}.',
            'Walk between {a} and {b} and stop there.',
            # held out
            'Go to the middle between {a} and {b} and stop.',
            'Walk to the middle between {a} and {b} and stop.',
        ),
        'zh': (
            '在{a}和{b}中间停下。',
            '走到{a}和{b}中间。',
            '走到{a}和{b}之间停下。',
            '去{a}和{b}之间。',
            '走到{a}和{b}中间停下。',
            '去{a}和{b}之间停下。',
        ),
    },
    'there_and_back': {
        'en': (
            'Go to {b}, then go back to where you started.',
            'Walk to {b}, then return to the start.',
            'First go to {b}, then walk back to where you started.',
            'Go to {b} and come back to the start.',
            # held out
            'Walk to {b} and come back to where you started.',
            'First walk to {b}, then return to where you started.',
        ),
        'zh': (
            '走到{b}那里，再回到起点。',
            '先去{b}那里，然后回到起点停下。',
            '走到{b}旁边，然后回到出发的地方。',
            '先走到{b}旁边，再回到起点。',
            '先去{b}旁边，再回到出发的地方。',
            '去{b}那里，然后回到出发的地方停下。',
        ),
    },
    'back_to_passed': {
        'en': (
            'Go to {b}, then return to {a} you saw at the start.',
            'Walk to {b}, then go back to {a} you saw first.',
            'First go to {b}, then go back to {a} that you saw at the start.',
            'Go to {b} and come back to {a} you saw first.',
            'Find {b}, then return to {a} you saw at the start.',
            # held out
            'Walk to {b} and come back to {a} you saw at the start.',
            'First go to {b}, then return to {a} that you saw first.',
        ),
        'zh': (
            '走到{b}那里，再回到开始时看见的{a}旁边。',
            '先去{b}那里，然后回到开始时看见的{a}那里停下。',
            '先走到{b}旁边，再回到最先看见的{a}那里。',
            '去{b}旁边，然后回到最先看见的{a}旁边停下。',
            '走到{b}旁边，然后回到开始时看见的{a}那里。',
            '先去{b}旁边，再回到开始时看见的{a}旁边停下。',
        ),
    },
}
