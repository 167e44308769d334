"""Mutations that cosmic-ray does not know: of the methods and arguments in which a Polars stage says what it computes."""

from collections.abc import Iterator
from typing import Any

from cosmic_ray.operators.operator import Operator

SWAPPED = {
    "sum": "max",
    "max": "min",
    "min": "max",
    "first": "last",
    "floor": "ceil",
    "ceil": "floor",
    "round": "floor",
    "any": "all",
    "is_null": "is_not_null",
    "is_not_null": "is_null",
    "max_horizontal": "min_horizontal",
    "min_horizontal": "max_horizontal",
    "any_horizontal": "all_horizontal",
    "all_horizontal": "any_horizontal",
    "cum_sum": "cum_max",
}
DROPPED = ("filter", "fill_null", "clip", "drop_nulls", "unique", "abs", "sort", "over")
JOINS = {'"left"': '"inner"', '"anti"': '"semi"'}
DECLARED = ("where", "when", "missing", "earlier", "through", "kind")
DECLARATIONS = ("Row", "At", "Made", "Total", "Box", "Rule")

Position = tuple[tuple[int, int], tuple[int, int]]


class Points(Operator):  # type: ignore[misc]
    """An operator told by the points in a node that it changes."""

    def points(self, node: Any) -> Iterator[Any]:
        raise NotImplementedError

    def change(self, node: Any, point: Any) -> None:
        raise NotImplementedError

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        for point in self.points(node):
            leaf = node.children[point] if isinstance(point, int) else point
            yield leaf.start_pos, leaf.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        self.change(node, list(self.points(node))[index])
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


def _calls(node: Any) -> Iterator[tuple[int, str]]:
    """Where in `a.b(c).d(e)` the trailers `.b` and `.d` of calls stand, and their names."""
    if node.type not in ("atom_expr", "power"):
        return
    for at, (one, next_one) in enumerate(zip(node.children, node.children[1:], strict=False)):
        if one.type == next_one.type == "trailer" and one.children[0] == "." and next_one.children[0] == "(":
            yield at, one.children[1].value


class SwapMethod(Points):
    """`.sum()` becomes `.max()`, `.is_null()` becomes `.is_not_null()`, and so on."""

    def points(self, node: Any) -> Iterator[int]:
        return (at for at, name in _calls(node) if name in SWAPPED)

    def change(self, node: Any, point: int) -> None:
        leaf = node.children[point].children[1]
        leaf.value = SWAPPED[leaf.value]


class DropMethod(Points):
    """`rows.filter(...)` becomes `rows`."""

    def points(self, node: Any) -> Iterator[int]:
        return (at for at, name in _calls(node) if name in DROPPED)

    def change(self, node: Any, point: int) -> None:
        del node.children[point : point + 2]


class NegateWhen(Points):
    """`pl.when(a)` becomes `pl.when(~(a))`."""

    def points(self, node: Any) -> Iterator[int]:
        return (
            at for at, name in _calls(node) if name == "when" and node.children[at + 1].children[1].type != "string"
        )

    def change(self, node: Any, point: int) -> None:
        call = node.children[point + 1]
        call.children[0].value, call.children[-1].value = "(~(", "))"


class ReverseCoalesce(Points):
    """`pl.coalesce(a, b)` becomes `pl.coalesce(b, a)`."""

    def points(self, node: Any) -> Iterator[int]:
        return (at for at, name in _calls(node) if name == "coalesce")

    def change(self, node: Any, point: int) -> None:
        arguments = node.children[point + 1].children[1]
        arguments.children = arguments.children[::-1]


class ChangeJoin(Points):
    """`how="left"` becomes `how="inner"`, `how="anti"` becomes `how="semi"`."""

    def points(self, node: Any) -> Iterator[int]:
        if node.type == "argument" and node.children[0] == "how" and node.children[2].value in JOINS:
            yield 2

    def change(self, node: Any, point: int) -> None:
        node.children[point].value = JOINS[node.children[point].value]


class DropArgument(Points):
    """`Total(..., where=a)` becomes `Total(...)`; `join(..., nulls_equal=True)` becomes `join(...)`."""

    def points(self, node: Any) -> Iterator[int]:
        if node.type != "arglist":
            return
        function = node.parent.get_previous_sibling()
        declares = function is not None and function.get_code().strip() in DECLARATIONS
        for at, argument in enumerate(node.children):
            if argument.type == "argument" and len(argument.children) == 3:
                name = argument.children[0].get_code().strip()
                if (declares and name in DECLARED) or name == "nulls_equal":
                    yield at

    def change(self, node: Any, point: int) -> None:
        del node.children[max(point - 1, 0) : point + 1]


class Provider:
    """What cosmic-ray asks for its operators by name."""

    made = {c.__name__: c for c in (SwapMethod, DropMethod, NegateWhen, ReverseCoalesce, ChangeJoin, DropArgument)}  # noqa: RUF012

    def __iter__(self) -> Iterator[str]:
        return iter(self.made)

    def __getitem__(self, name: str) -> type[Points]:
        return self.made[name]
