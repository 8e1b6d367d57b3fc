"""typings/ and the double describe the same classes: what mypy checks against is what the tests run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TYPINGS, DOUBLE = ROOT / "typings", ROOT / "test" / "support" / "moveit_double"

Signatures = dict[str, set[str]]


def classes(path: Path) -> dict[str, Signatures]:
    """Return the parameters of each method and property of each class in a file."""
    found: dict[str, Signatures] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            methods = found.setdefault(node.name, {})
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    names = {a.arg for a in (*item.args.posonlyargs, *item.args.args, *item.args.kwonlyargs)}
                    methods.setdefault(item.name, set()).update(names - {"self"})
    return found


STUBS = sorted(path for path in (TYPINGS / "moveit").rglob("*.pyi") if classes(path))


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_the_double_takes_what_the_typings_allow(stub: Path) -> None:
    double = classes((DOUBLE / stub.relative_to(TYPINGS)).with_suffix(".py"))
    text = (DOUBLE / stub.relative_to(TYPINGS)).with_suffix(".py").read_text()
    for name, methods in classes(stub).items():
        assert name in double, f"{stub.stem}: the double has no class {name}"
        for method, parameters in methods.items():
            there = double[name].get(method)
            if there is None:  # an attribute that the double sets, or a property
                assert f"self.{method}" in text, f"{name}.{method} is missing in the double"
                continue
            if method != "__init__" and not method.startswith("__"):
                assert parameters <= there, f"{name}.{method}: {parameters - there} missing in the double"


def test_the_builders_double_has_the_parameters_of_its_typings() -> None:
    stub = classes(TYPINGS / "moveit_configs_utils.pyi")["MoveItConfigsBuilder"]
    double = classes(ROOT / "test" / "support" / "builder_double.py")["MoveItConfigsBuilder"]
    assert {name: double.get(name) for name in stub} == stub
