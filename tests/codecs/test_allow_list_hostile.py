"""Pickles made to reach what ``allow=`` does not list, by every way that there is to name it."""

from __future__ import annotations

import copyreg
import decimal
import os
import pickle
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atasks_ng.codecs import PickleCodec
from atasks_ng.words.errors import DecodeError

from . import listed

NAMESPACE = "test-allow"


def decode(content: bytes, *allow: str) -> Any:
    return PickleCodec(NAMESPACE, allow=allow).decode(content)


def refused(content: bytes, *allow: str) -> str:
    """Return why a pickle is refused."""
    with pytest.raises(DecodeError) as caught:
        decode(content, *allow)
    sentence = str(caught.value)
    assert sentence.startswith("this pickle "), sentence
    return sentence


def naming(module: str, name: str, protocol: int = 4) -> bytes:
    """Return a pickle of what a module has under a name."""
    if protocol < 4:
        return b"\x80%cc%s\n%s\n." % (protocol, module.encode(), name.encode())
    words = b"".join(b"\x8c%c%s" % (len(word), word.encode()) for word in (module, name))
    return b"\x80\x04" + words + b"\x93."


def calling(module: str, name: str, *args: Any) -> bytes:
    """Return a pickle of a call."""
    return naming(module, name)[:-1] + pickle.dumps(args, 0)[:-1] + b"R."


# -- names that are not listed -------------------------------------------------------------------

EVIL = [
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "compile"),
    ("builtins", "open"),
    ("builtins", "__import__"),
    ("builtins", "setattr"),
    ("builtins", "type"),
    ("builtins", "globals"),
    ("builtins", "map"),
    ("builtins", "breakpoint"),
    ("builtins", "UnicodeDecodeError"),
    ("__builtin__", "eval"),
    ("__builtin__", "execfile"),
    ("os", "system"),
    ("posix", "system"),
    ("subprocess", "Popen"),
    ("commands", "getoutput"),
    ("importlib", "import_module"),
    ("functools", "partial"),
    ("operator", "attrgetter"),
    ("pickle", "loads"),
    ("_pickle", "loads"),
    ("copyreg", "add_extension"),
    ("copyreg", "__newobj__"),
    ("_codecs", "decode"),
    ("types", "FunctionType"),
    ("types", "CodeType"),
    ("sys", "modules"),
    ("atasks_ng.codecs.allow_list", "AllowList"),
    ("cloudpickle.cloudpickle", "_make_function"),
]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(("module", "name"), EVIL)
def test_name_that_is_not_listed_is_refused_with_the_way_out(
    module: str, name: str, protocol: int
) -> None:
    sentence = refused(naming(module, name, protocol), "decimal", "datetime", listed.__name__)

    assert name in sentence or name == "execfile" or module == "commands"
    assert "PickleCodec(allow=...) does not list it" in sentence
    assert "if messages may" in sentence


def test_name_that_is_not_listed_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_package(tmp_path, monkeypatch)

    refused(
        naming(f"{package}.models", "Model"), "decimal", f"{package}.mod", f"{package}.models.Mod"
    )

    assert not any(name.startswith(package) for name in sys.modules)


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"cbuiltins\nbytes\n)R0cos\nsystem\n0.",
        b"\x80\x02cbuiltins\nobject\n)\x81cos\nsystem\nb.",
    ],
    ids=["reduce", "inst", "obj", "dropped", "state"],
)
def test_every_opcode_that_finds_a_name_is_refused(content: bytes) -> None:
    assert "system" in refused(content)


def test_name_that_has_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    copyreg.add_extension("posix", "system", 240)
    try:
        assert "posix.system" in refused(b"\x80\x02\x82\xf0.")
    finally:
        copyreg.remove_extension("posix", "system", 240)


def test_names_of_numpy_do_not_let_text_run() -> None:
    pytest.importorskip("numpy")
    runs = "numpy.testing._private.utils"

    assert "runstring" in refused(
        calling(runs, "runstring", "1/0", {}), "numpy.ndarray", "numpy._core.multiarray"
    )


def test_module_that_is_listed_is_imported_when_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_package(tmp_path, monkeypatch)

    assert decode(naming(f"{package}.models", "Model"), package).__name__ == "Model"


# -- names below what is listed that do not belong to it -----------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("imported", "subprocess.Popen"),
        ("handy", "system"),
        ("os", "module"),
        ("functools", "module"),
        ("os.system", "no class"),
        ("subprocess.Popen", "no class"),
        ("os.environ", "no class"),
        ("settings", "neither a class nor a function"),
        ("settings.update", "no class"),
        ("aliases.pop", "no class"),
        ("half_done", "neither a class nor a function"),
        ("NOTHING", "neither a class nor a function"),
        ("__builtins__", "__builtins__"),
        ("__dict__", "__dict__"),
        ("Order.__init__", "__init__"),
        ("Order.__subclasses__", "__subclasses__"),
        ("Order.__class__", "__class__"),
        ("double.__globals__", "__globals__"),
        ("double.__code__.replace", "__code__"),
    ],
)
def test_what_a_listed_module_only_has_is_refused(name: str, says: str) -> None:
    assert says in refused(naming(listed.__name__, name), listed.__name__)


def test_variables_of_a_listed_module_cannot_be_set() -> None:
    content = naming("os", "path")[:-1] + pickle.dumps({"sep": "!"}, 2)[2:-1] + b"b."

    assert "module" in refused(content, "os.path")
    assert "module" in refused(content, "os")
    assert os.path.sep != "!"


def test_name_of_a_class_stands_for_no_class_whose_name_begins_so() -> None:
    refused(naming(listed.__name__, "Orderly"), f"{listed.__name__}.Order")
    refused(naming("decimals", "Decimal"), "decimal")


def test_program_of_a_listed_package_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_package(tmp_path, monkeypatch)

    assert "__main__" in refused(naming(f"{package}.__main__", "main"), package)
    assert not (tmp_path / "ran").exists()


# -- stand-ins -----------------------------------------------------------------------------------


def getting(owner: bytes, name: str) -> bytes:
    """Return a pickle that reads an attribute."""
    text = name.encode()
    counted = b"X" + struct.pack("<I", len(text)) + text
    return b"\x80\x02c__builtin__\ngetattr\n(" + owner + counted + b"tR."


OWN = f"c{listed.__name__}\n".encode()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (OWN + b"Order\n", "__init__"),
        (OWN + b"Order\n", "__subclasses__"),
        (OWN + b"Order\n", "__reduce__"),
        (OWN + b"double\n", "__globals__"),
        (OWN + b"double\n", "nothing"),
        (b"c__builtin__\ndict\n", "fromkeys"),
        (b"c__builtin__\nobject\n", "__subclasses__"),
        (b"}", "update"),
        (b"]", "append"),
        (b"X\x01\x00\x00\x00a", "format"),
    ],
)
def test_getattr_reads_nothing_but_what_belongs_to_listed_classes(owner: bytes, name: str) -> None:
    refused(getting(owner, name), listed.__name__)


def test_getattr_reads_members_methods_and_nested_classes_of_listed_classes() -> None:
    assert decode(getting(OWN + b"Colour\n", "RED"), listed.__name__) is listed.Colour.RED
    assert decode(getting(OWN + b"Order\n", "Line"), listed.__name__) is listed.Order.Line
    assert decode(getting(OWN + b"Order\n", "of"), listed.__name__) == listed.Order.of


def test_getattr_reads_no_class_method_that_is_defined_elsewhere() -> None:
    content = getting(OWN + b"Price\n", "from_float")

    assert "decimal.Decimal.from_float" in refused(content, listed.__name__)
    assert decode(content, listed.__name__, "decimal.Decimal")(1.5) == decimal.Decimal("1.5")
    assert "neither a class nor" in refused(getting(OWN + b"Price\n", "run"), listed.__name__)


def test_getattr_reads_no_data_of_listed_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed.Order, "known", {}, raising=False)
    monkeypatch.setattr(listed.Order, "run", os.system, raising=False)

    assert "neither a class nor" in refused(getting(OWN + b"Order\n", "known"), listed.__name__)
    assert "system" in refused(getting(OWN + b"Order\n", "run"), listed.__name__)


def test_bytes_are_made_by_one_encoding_only() -> None:
    assert decode(calling("_codecs", "encode", "\xff", "latin1")) == b"\xff"
    for args in [("x", "rot13"), (b"x", "hex"), ("x", "idna"), (["x"], "latin1")]:
        assert "_codecs.encode" in refused(calling("_codecs", "encode", *args))


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "getattr"), ("copyreg", "_reconstructor"), ("_codecs", "encode")],
)
def test_functions_of_python_itself_cannot_be_changed(module: str, name: str) -> None:
    state = pickle.dumps((None, {"__defaults__": (1,), "changed": 1}), 2)[2:-1]
    content = naming(module, name)[:-1] + state + b"b."

    with pytest.raises(DecodeError):
        decode(content)

    assert not hasattr(copyreg._reconstructor, "changed")  # type: ignore[attr-defined]


def test_full_name_that_is_listed_is_that_very_function() -> None:
    assert decode(naming("builtins", "getattr"), "builtins.getattr") is getattr
    assert decode(naming("__builtin__", "getattr", 2), "builtins.getattr") is getattr


def test_harmless_types_lead_no_further() -> None:
    for name in ("dict.fromkeys", "object.__subclasses__", "str.format", "int.__class__"):
        refused(naming("builtins", name))


# -- places --------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def forget_packages() -> Iterator[None]:
    """Modules of packages that a test has made are gone with it."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("listed_"):
            del sys.modules[name]


def make_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a package that nobody has imported yet."""
    name = f"listed_{folder.name}".replace("-", "_")
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    (folder / name / "models.py").write_text("class Model: pass\n")
    (folder / name / "__main__.py").write_text(
        f"from pathlib import Path\nPath({str(folder / 'ran')!r}).touch()\ndef main(): pass\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return name
