"""What a record says of the machine."""

import platform

import pytest

from keras_sagan.runs import provenance


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "processor\t: 0\nmodel name\t: A CPU @ 3 GHz\nstepping\t: 1\nmodel name\t: B\n",
            " (A CPU @ 3 GHz)",
        ),
        ("processor\t: 0\nBogoMIPS\t: 50\n", ""),
        (None, ""),
    ],
)
def test_the_first_processor_is_named_where_the_system_names_it(tmp_path, text, told):
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    assert provenance.processor(path) == told


def test_the_machine_says_system_and_architecture():
    system = f"{platform.system()} {platform.machine()}"
    assert provenance.machine() == system + provenance.processor()
