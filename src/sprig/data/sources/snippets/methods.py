"""Concepts of small classes' methods: the first parameter is self, and cases give its attributes."""

from functools import partial
from types import SimpleNamespace

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import (
    SELF,
    SELF_AND_ITEM,
    SELF_AND_NAME,
    SELF_AND_NUMBER,
    SELF_AND_OTHER,
    SELF_AND_PAIR,
)

concept = partial(define, "methods")
Self = SimpleNamespace


def _move_by(self: Self, right: int, up: int) -> None:
    self.__dict__.update(x=self.x + right, y=self.y + up)


CONCEPTS: tuple[Concept, ...] = (
    concept(
        "area get_area find_area own_area whole_area this_area",
        SELF,
        direct="return self.width * self.height",
        stepwise="""
            result = self.width
            result *= self.height
            return result""",
        reference=lambda self: sum(self.width for _ in range(self.height)),
        cases=(
            (Self(width=3, height=4),),
            (Self(width=1, height=7),),
            (Self(width=0, height=5),),
            (Self(width=2, height=2),),
        ),
    ),
    concept(
        "perimeter get_perimeter find_perimeter own_perimeter whole_perimeter this_perimeter",
        SELF,
        direct="return 2 * (self.width + self.height)",
        stepwise="""
            result = self.width + self.height
            return result * 2""",
        reference=lambda self: sum([self.width, self.height] * 2),
        cases=(
            (Self(width=3, height=4),),
            (Self(width=1, height=7),),
            (Self(width=0, height=5),),
            (Self(width=2, height=2),),
        ),
    ),
    concept(
        "full_name get_name find_name own_name whole_name this_name",
        SELF,
        direct="return self.first + ' ' + self.last",
        formatted="return f'{self.first} {self.last}'",
        joined="return ' '.join([self.first, self.last])",
        reference=lambda self: "{first} {last}".format(**vars(self)),
        cases=(
            (Self(first="Ada", last="Lovelace"),),
            (Self(first="a", last="b"),),
            (Self(first="", last="x"),),
            (Self(first="x", last=""),),
        ),
    ),
    concept(
        "deposit pay_in add_money",
        SELF_AND_NUMBER,
        direct="self.balance += amount",
        stepwise="""
            total = self.balance + amount
            self.balance = total""",
        called="setattr(self, 'balance', self.balance + amount)",
        reference=lambda self, amount: self.__dict__.update(balance=self.balance + amount),
        cases=((Self(balance=10), 5), (Self(balance=0), 3), (Self(balance=-4), 4), (Self(balance=7), 0)),
    ),
    concept(
        "withdraw pay_out take_money",
        SELF_AND_NUMBER,
        direct="self.balance -= amount",
        stepwise="""
            total = self.balance - amount
            self.balance = total""",
        called="setattr(self, 'balance', self.balance - amount)",
        reference=lambda self, amount: self.__dict__.update(balance=self.balance - amount),
        cases=((Self(balance=10), 5), (Self(balance=0), 3), (Self(balance=-4), 4), (Self(balance=7), 0)),
    ),
    concept(
        "can_afford has_money can_pay",
        SELF_AND_NUMBER,
        direct="return self.balance >= amount",
        negated="return not self.balance < amount",
        branch="""
            if self.balance >= amount:
                return True
            return False""",
        reference=lambda self, amount: max(self.balance, amount) == self.balance,
        cases=((Self(balance=10), 5), (Self(balance=0), 3), (Self(balance=4), 4), (Self(balance=-7), 0)),
    ),
    concept(
        "total_price cost_of price_for",
        SELF_AND_NUMBER,
        direct="return self.price * amount",
        stepwise="""
            result = self.price
            result *= amount
            return result""",
        loop="""
            total = 0
            for i in range(amount):
                total += self.price
            return total""",
        reference=lambda self, amount: sum([self.price] * amount),
        cases=((Self(price=10), 5), (Self(price=3), 0), (Self(price=4), 1), (Self(price=0), 9)),
    ),
    concept(
        "update_best new_score keep_best",
        SELF_AND_NUMBER,
        direct="self.best = max(self.best, amount)",
        inline="self.best = amount if amount > self.best else self.best",
        branch="""
            if amount > self.best:
                self.best = amount""",
        reference=lambda self, score: self.__dict__.update(best=sorted([self.best, score])[1]),
        cases=((Self(best=10), 15), (Self(best=3), 0), (Self(best=4), 4), (Self(best=-2), -1)),
    ),
    concept(
        "rename set_name change_name give_name",
        SELF_AND_NAME,
        direct="self.name = name",
        called="setattr(self, 'name', name)",
        reference=lambda self, text: self.__dict__.update(name=text),
        cases=(
            (Self(name="Ada"), "Bob"),
            (Self(name=""), "x"),
            (Self(name="Ada"), ""),
            (Self(name="same"), "same"),
        ),
    ),
    concept(
        "welcome greet_guest call_out",
        SELF_AND_NAME,
        direct="return self.greeting + ' ' + name",
        formatted="return f'{self.greeting} {name}'",
        joined="return ' '.join([self.greeting, name])",
        reference=lambda self, person: f"{self.greeting} " + person,
        cases=(
            (Self(greeting="Hello"), "Ada"),
            (Self(greeting="Hi"), ""),
            (Self(greeting=""), "Bob"),
            (Self(greeting="Good day"), "you"),
        ),
    ),
    concept(
        "push put_item store_item",
        SELF_AND_ITEM,
        direct="self.items.append(item)",
        sliced="self.items[len(self.items):] = [item]",
        stepwise="""
            result = self.items
            result.append(item)""",
        reference=lambda self, thing: self.items.extend([thing]),
        cases=((Self(items=[1, 2]), 3), (Self(items=[]), 1), (Self(items=[5]), 5), (Self(items=["b"]), "a")),
    ),
    concept(
        "holds owns_item carries",
        SELF_AND_ITEM,
        direct="return item in self.items",
        called="return self.items.count(item) > 0",
        branch="""
            if item in self.items:
                return True
            return False""",
        reference=lambda self, thing: any(thing == held for held in self.items),
        cases=((Self(items=[1, 2]), 2), (Self(items=[]), 1), (Self(items=[5]), 6), (Self(items=["b"]), "b")),
    ),
    concept(
        "is_older born_before has_seniority",
        SELF_AND_OTHER,
        direct="return self.age > other.age",
        negated="return not self.age <= other.age",
        branch="""
            if self.age > other.age:
                return True
            return False""",
        reference=lambda self, person: self.age - person.age > 0,
        cases=(
            (Self(age=40), Self(age=30)),
            (Self(age=30), Self(age=40)),
            (Self(age=30), Self(age=30)),
            (Self(age=0), Self(age=1)),
        ),
    ),
    concept(
        "move_by shift_by translate",
        SELF_AND_PAIR,
        direct="""
            self.x += dx
            self.y += dy""",
        unpacked="self.x, self.y = self.x + dx, self.y + dy",
        stepwise="""
            result = self.y + dy
            self.x += dx
            self.y = result""",
        reference=_move_by,
        cases=(
            (Self(x=1, y=2), 3, 4),
            (Self(x=0, y=0), -1, 1),
            (Self(x=5, y=5), 0, 0),
            (Self(x=-2, y=3), 2, 0),
        ),
    ),
    concept(
        "resize set_size change_size",
        SELF_AND_PAIR,
        direct="""
            self.width = dx
            self.height = dy""",
        unpacked="self.width, self.height = dx, dy",
        called="""
            setattr(self, 'width', dx)
            setattr(self, 'height', dy)""",
        reference=lambda self, width, height: self.__dict__.update(width=width, height=height),
        cases=(
            (Self(width=1, height=2), 3, 4),
            (Self(width=0, height=0), 1, 1),
            (Self(width=5, height=6), 6, 5),
            (Self(width=2, height=3), 0, 3),
        ),
    ),
)
