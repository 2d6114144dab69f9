"""The documents at the top, held to the truth: the README's command blocks are run and their output
compared, the files that it shows are checked, and every file, function, key and link that a document
names has to exist.

A block marked `console` is run: each line that begins with `$ ` is a command, what follows is its
output. In it `…` stands for any text, a line that is `…` alone for any lines, and a time for any
time. A command that ends in `&` runs beside the others until the last one; its output may go on
after what is shown. A `yaml` block after `<!-- file: NAME -->` is that file, after
`<!-- add to: NAME -->` its end.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile

import pytest
from conftest import BINARY, DEMO, SANITIZER_SIGNS, TOP, free_port, sanitizer_settings

DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md",
             "tests/README.md"]
ROOMS = ("config", "crypto", "proxy", "deploy", "tests")
ADMIN = "unix:/run/sallyport/admin.sock"
STATE = "/tmp/sallyport-try"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"

# Each command's output goes to a file of its own; one that stays is waited for until it has said
# something.
PRELUDE = r"""
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
said() { for _ in $(seq 1000); do [ -s "$1" ] && return; sleep 0.02; done; }
"""


def blocks(name):
    """(info, marker, text) of each fenced block; the marker is the comment right above it."""
    pattern = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    for match in pattern.finditer((TOP / name).read_text()):
        yield match.group(2), match.group(1) or "", match.group(3)


def commands(text):
    """[command, expected lines] of a console block."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], []])
        else:
            found[-1][1].append(line)
    return found


def line_pattern(line):
    words = [re.escape(word).replace(re.escape("…"), ".*") for word in line.split()]
    return re.sub(r"\d{4}\\-\d\d\\-\d\dT[\d:]+\\\.\d+Z", TIME.replace("\\", r"\\"), r"\s+".join(words))


def matches(expected, actual, may_go_on):
    """Whether the lines of `actual` are what is expected, `…` alone being any lines."""
    if not expected:
        return may_go_on or not actual
    if expected[0].strip() == "…":
        return any(matches(expected[1:], actual[n:], may_go_on) for n in range(len(actual) + 1))
    return bool(actual) and re.fullmatch(line_pattern(expected[0]), actual[0].strip()) is not None \
        and matches(expected[1:], actual[1:], may_go_on)


class Session:
    """The README read from top to bottom in one shell, in a folder of its own, on free ports."""

    def __init__(self, folder):
        self.folder = folder
        self.there = {"8443": str(free_port()), "8065": str(free_port()), STATE: f"{folder}/state"}
        self.script = [PRELUDE]
        self.expected = []  # (command, lines, output file, may go on)

    def here(self, text):
        """What a reader types, as it is typed here."""
        for theirs, ours in self.there.items():
            text = text.replace(theirs, ours)
        return text

    def read(self, path):
        """Output as a reader would see it."""
        text = path.read_text() if path.exists() else ""
        for theirs, ours in self.there.items():
            text = text.replace(ours, theirs)
        return text.replace(f"unix:{self.folder}/admin.sock", ADMIN)

    def add(self, info, marker, text):
        kind, _, name = marker.partition(": ")
        if info == "yaml" and kind in ("file", "add to"):
            sign = ">" if kind == "file" else ">>"
            self.script.append(f"cat {sign}'{name}' <<'END'\n{text}END")
        elif info == "console":
            for command, lines in commands(text):
                self.add_command(command, lines)

    def add_command(self, command, lines):
        output = self.folder / f"output-{len(self.expected)}"
        stays = command.endswith("&")
        self.expected.append((command, lines, output, stays))
        command = self.here(command.rstrip("& "))
        if stays:
            self.script.append(f"{command} >{output} 2>&1 &\nsaid {output}")
        else:
            self.script.append(f"{{ {command}; }} >{output} 2>&1")

    def run(self):
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "sallyport").symlink_to(BINARY)
        (programs / "sallyport-demo").symlink_to(DEMO)
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SALLYPORT_")},
            **sanitizer_settings(), "PATH": f"{programs}:{os.environ['PATH']}",
            "SALLYPORT_LISTEN": f"[::]:{self.there['8443']}", "SALLYPORT_LOG_FORMAT": "text",
            "SALLYPORT_ADMIN": f"unix:{self.folder}/admin.sock",
        }
        subprocess.run(["bash", "-c", "\n".join(self.script)], cwd=self.folder, env=environment,
                       stdin=subprocess.DEVNULL, timeout=150, check=False)

    def problems(self):
        for command, lines, path, may_go_on in self.expected:
            actual = self.read(path)
            bare = [line for line in actual.splitlines()
                    if not re.match(r"==\d+==WARNING: ASan|False positive|For details see", line)]
            if any(sign in actual for sign in SANITIZER_SIGNS) or \
                    not matches(lines, bare, may_go_on):
                yield "\n".join([f"$ {command}", "--- the document says", *lines,
                                 "--- the program says", *actual.splitlines()])


def test_the_commands_of_the_readme_print_what_it_shows(binary):
    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        session = Session(pathlib.Path(folder))
        for block in blocks("README.md"):
            session.add(*block)
        assert len(session.expected) >= 10
        session.run()
        problems = list(session.problems())
    assert not problems, "\n\n".join(["", *problems])


def test_every_file_that_the_readme_shows_is_accepted(run_sallyport, authority, tmp_path):
    chain, key = authority.issue("chat.example.com")
    (tmp_path / "certs").mkdir()
    for name, path in (("leaf.pem", chain), ("leaf.key", key), ("ca.pem", authority.path)):
        (tmp_path / "certs" / name).write_bytes(pathlib.Path(path).read_bytes())
    shown = [(marker.partition(": ")[2], text) for info, marker, text in blocks("README.md")
             if info == "yaml" and marker.startswith("file: ") and "wrong" not in marker]
    assert len(shown) >= 3
    assert run_sallyport("keyring", "create", "cluster.keyring").returncode == 0
    for name, text in shown:
        (tmp_path / name).write_text(text)
        done = run_sallyport("check", "-c", name)
        assert done.returncode in (0, 1), done.stderr


def test_the_readme_lists_the_variables_that_run_knows(run_sallyport):
    usage = run_sallyport("run", "--help").stdout
    known = re.findall(r"^  (--[a-z-]+) .*\(or (SALLYPORT_[A-Z_]+)\)$", usage, re.MULTILINE)
    listed = re.findall(r"^\| `(SALLYPORT_[A-Z_]+)` \| `(--[a-z-]+)` \|",
                        (TOP / "README.md").read_text(), re.MULTILINE)
    assert [(option, variable) for variable, option in listed] == known


def test_keys_that_a_document_names_are_known(run_sallyport):
    schema = json.loads(run_sallyport("config", "schema").stdout)
    reference = run_sallyport("config", "reference").stdout
    sections = "|".join(schema["properties"])
    for name in DOCUMENTS:
        for section, key in re.findall(rf"`({sections})(?:\[\]|\.NAME)?\.([a-z_]+)[`\]]",
                                       (TOP / name).read_text()):
            chapter = reference.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
            assert f"**`{key}`**" in chapter, f"{name}: {section}.{key}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    text = (TOP / name).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith("http"):
            continue
        file = (TOP / name).parent / path if path else TOP / name
        assert file.exists(), f"{name}: {target}"
        if anchor:
            headings = [re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in
                        re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)]
            assert anchor in headings, f"{name}: {target}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_and_functions_that_a_document_names_exist(name):
    text = (TOP / name).read_text()
    code = "\n".join(path.read_text() for room in ("config", "crypto", "proxy")
                     for path in (TOP / room).rglob("*.[ch]"))
    for path in re.findall(rf"(?<![\w./-])(?:{'|'.join(ROOMS)})/[\w./*-]*[\w*]", text):
        assert any(TOP.glob(path)), f"{name}: {path}"
    for function in re.findall(r"\b([a-z][a-z0-9_]+)\(\)", text):
        assert re.search(rf"\b{function}\(", code), f"{name}: {function}()"
    for struct in re.findall(r"`struct ([a-z0-9_]+)`", text):
        assert re.search(rf"^struct {struct} {{", code, re.MULTILINE), f"{name}: struct {struct}"
