"""What a page's scripts lose on the way to it is comments and white space, and nothing else."""

import json

import pytest

from helpers.course.site import scripts


@pytest.fixture
def module(tmp_path):
    """`module(text)`: a module with this text."""

    def module(text: str):
        file = tmp_path / "module.js"
        file.write_text(text, encoding="utf-8")
        return file

    return module


def test_comments_go_and_strings_stay(module):
    file = module('// why\nconst url = "a // b", text = `x  ${url} // y`; // and why\n')
    assert scripts.script(file) == '(() => {const url="a // b",text=`x  ${url} // y`;})();\n'


def test_a_program_comes_whole_and_ends_no_script(module):
    file = module('const tag = "</script>", quoted = \'"\\\\\';\n')
    text = scripts.program(file)
    assert "</" not in text
    assert json.loads(
        text.removeprefix("course.trainer = ").rstrip(";\n").replace("<\\/", "</")
    ) == ('const tag="</script>",quoted=\'"\\\\\';')


def test_the_birth_alone_asks_for_no_file():
    page = scripts.birth("<p>the riddle</p>", "<p>try</p>").decode()
    assert (
        "<p>the riddle</p>" in page
        and "<p>try</p>" in page
        and "$" not in page.partition("<style>")[0]
    )
    assert "src=" not in page.replace("worker-src", "") and 'rel="stylesheet"' not in page
    assert "import " not in page
