"""The classes of ADE20K and Pascal Context, in the order of the values in their label maps, from 1 on.

Sources: ADE20K, scene parsing benchmark, objectInfo150.txt, the first name of each; Pascal Context, the 59 classes of
Mottaghi et al., "The Role of Context for Object Detection and Semantic Segmentation in the Wild" (CVPR 2014).
"""

from __future__ import annotations

from typing import Final

__all__ = ["ADE20K", "PASCAL_CONTEXT", "colours"]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.replace("\n", " ").split(","))


ADE20K: Final = _names("""\
wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, door, table,
mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, field, armchair, seat,
fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, chest of drawers, counter,
sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool table, pillow,
screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet, flower, book, hill, bench, countertop,
stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade machine, hovel, bus, towel, light, truck, tower,
chandelier, awning, streetlight, booth, television receiver, airplane, dirt track, apparel, pole, land, bannister,
escalator, ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything,
swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank, trade name,
microwave, pot, animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase, traffic light, tray,
ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator, glass, clock, flag""")

PASCAL_CONTEXT: Final = _names("""\
aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, table, dog, horse, motorbike, person, pottedplant,
sheep, sofa, train, tvmonitor, bag, bed, bench, book, building, cabinet, ceiling, cloth, computer, cup, door, fence,
floor, flower, food, grass, ground, keyboard, light, mountain, mouse, curtain, platform, sign, plate, road, rock,
shelves, sidewalk, sky, snow, bedclothes, track, tree, truck, wall, water, window, wood""")


def colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """`count` colours (RGB) that differ, black not among them: Pascal VOC's rule, by which its label maps are painted.

    Bit j of a colour's three channels is bits 3j, 3j + 1 and 3j + 2 of its number, the lowest first at the top.
    """
    return tuple(
        tuple(sum((number >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8)) for channel in range(3))  # type: ignore[misc]  # three channels
        for number in range(1, count + 1)
    )
