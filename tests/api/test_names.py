"""The public names: light to import, documented, and their examples run."""

import doctest
import inspect
import subprocess
import sys

import numpy as np
import pytest

import keras_sagan as ks

MODULES = [name for name in dir(ks) if inspect.ismodule(getattr(ks, name))]
# Layers and networks say shapes in sections of their own.
SECTIONS = [name for name in MODULES if name not in ("layers", "networks")]
PUBLIC = {name: getattr(ks, name) for name in dir(ks) if name not in MODULES}
PUBLIC |= {
    f"{module}.{name}": getattr(getattr(ks, module), name)
    for module in MODULES
    for name in getattr(getattr(ks, module), "__all__", ())
}
OWN = ("from_run", "from_preset", "generate", "attention_maps", "compile", "fit", "score", "export")
PUBLIC |= {f"SAGAN.{name}": getattr(ks.SAGAN, name) for name in OWN}


def test_the_package_offers_these_names_and_loads_nothing_before_they_are_used():
    code = "import sys, keras_sagan as ks; print(*dir(ks), 'keras' in sys.modules, ks.presets())"
    code += "; print('tensorflow' in sys.modules)"
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert out.startswith(
        "SAGAN callbacks layers load losses metrics networks presets visual False {"
    )
    assert out.endswith("False\n")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ks.nothing


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_say_what_they_take_return_and_raise(name):
    public, module = PUBLIC[name], name.partition(".")[0]
    text = inspect.getdoc(public)
    assert text
    if module not in [*SECTIONS, "SAGAN", "load"]:
        return
    signature = inspect.signature(public)
    assert not set(signature.parameters) - {"self"} or "Args:" in text
    if inspect.isroutine(public):
        assert signature.return_annotation in (None, "None") or "Returns:" in text
    assert "raise " not in inspect.getsource(public) or "Raises:" in text


def test_examples_run():
    from keras_sagan.api import game_model, generating, model

    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    names = {"ks": ks, "np": np, "images": images, "labels": np.array([0, 1, 0, 1])}
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [
        test
        for module in (model, generating, game_model, ks.callbacks)
        for test in finder.find(module, globs=names)
        if test.examples
    ]
    # That of the class makes the model that the others use.
    tests.sort(key=lambda test: test.name != "keras_sagan.api.model.SAGAN")
    for test in tests:
        test.globs = names
        runner.run(test, clear_globs=False)
    assert runner.summarize(verbose=False).attempted > 10
    assert runner.failures == 0
