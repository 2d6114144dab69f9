"""The house rules that a machine can check, on the text of every C file: which room may include
which, which library lives where, what may not be called. Prints the longest functions and files.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
CODE = ("config", "crypto", "proxy", "deploy/demo")

# From the ground up: a room includes rooms of a lower rank, and its own. Rooms of one rank do not
# know each other.
RANKS = [
    ("proxy/base",),
    ("proxy/net",),
    ("proxy/http",),
    ("proxy/http1", "proxy/http2"),
    ("proxy/upstream",),
    ("proxy/route",),
    ("proxy/tunnel", "proxy/gossip"),
    ("proxy/relay",),
    ("proxy/admin",),
    ("proxy/process",),
    ("proxy/commands",),
    ("proxy",),  # main.c
]
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
SIDE_ROOMS = ("config", "crypto")  # include each other at most; any room but the ground may use them

LIBRARIES = [  # header, places where it may be included
    (r"event2/|event\.h", ("proxy/net/",)),
    (r"nghttp2/", ("proxy/http2/",)),
    (r"yaml\.h", ("config/yaml_tree.c",)),
    (r"openssl/ssl\.h", ("crypto/", "proxy/net/")),
    (r"crypto_mb/", ("crypto/rsa_batch_mb.c", "crypto/x25519_batch_mb.c")),
    (r"libwebsockets\.h", ("deploy/demo/",)),
]

CALLS = [  # what, pattern, places where it is allowed
    ("a banned function", r"\b(strcpy|strcat|sprintf|vsprintf|atoi|strtok|alloca|gets)\s*\(", ()),
    ("an SSL object", r"\bSSL(_CTX|_SESSION)?\s*\*|\bSSL_[A-Za-z_]\w*\s*\(", ("crypto/", "proxy/net/")),
    ("nghttp2", r"\bnghttp2_\w+", ("proxy/http2/",)),
    # What the C library opens or asks for there, a child's sandbox ends it for, in a release build only.
    ("what a child may not ask",
     r"\b(isatty|ttyname|localtime(_r)?|mktime|getaddrinfo|getnameinfo|gethostby\w+|getpw\w+|getgr\w+"
     r"|syslog|popen|system|if_nametoindex|setlocale)\s*\(",
     ("proxy/base/log.c", "proxy/process/account.c", "proxy/commands/", "deploy/demo/")),
    ("a thread", r"\b(pthread_create|thrd_create|clone3?)\b", ()),
]

VERSION_FREE = ("proxy/http/", "proxy/upstream/", "proxy/route/", "proxy/relay/")
VERSION_WORD = r"\bhttp[12](_\w+)?\b"
# The tables of codecs: the only files that may say which ones there are.
CODEC_CHOOSERS = ("proxy/relay/server_codecs.c", "proxy/upstream/client_codecs.c")


class Source:
    """One file: its path in the tree, its text, and its code (comments and literals blanked)."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.code = blank(text)
        self.room = path.rpartition("/")[0]
        self.includes = []  # (line number, target)
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if match:
                self.includes.append((number, match.group(1)))


def blank(text):
    """The text with comments, literals and include lines made blank, line by line as long."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
                       r'|^[ \t]*#[ \t]*include[^\n]*', re.DOTALL | re.MULTILINE)
    return token.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def read_tree(top):
    return [Source(str(path.relative_to(top)), path.read_text())
            for folder in CODE for path in sorted((top / folder).rglob("*"))
            if path.suffix in (".c", ".h")]


# ---- the rules: each gives a list of "PATH:LINE: what is wrong" --------------------------------


def room_of(target):
    """The room of an included file of the tree; None for a library's."""
    room = target.rpartition("/")[0]
    return room if room.split("/")[0] in ("config", "crypto", "proxy", "deploy", "tests") else None


def may_include(room, other):
    if room == other:
        return True
    if room not in RANK:
        return room in SIDE_ROOMS and other in SIDE_ROOMS
    if other in SIDE_ROOMS:
        return RANK[room] > RANK["proxy/base"]
    return other in RANK and RANK[other] < RANK[room]


def upward_edges(sources):
    return [f"{source.path}:{number}: {source.room} may not include {target}"
            for source in sources for number, target in source.includes
            if room_of(target) is not None and not may_include(source.room, room_of(target))]


def unknown_rooms(sources):
    known = set(RANK) | set(SIDE_ROOMS) | {"deploy/demo"}
    return [f"{source.path}:1: {source.room} is not a room of the house"
            for source in sources if source.room not in known]


def circles(edges):
    """Circles of a graph {node: set of nodes}, one text for each back edge found."""
    found, done = [], set()

    def visit(node, way):
        if node in way:
            found.append(" -> ".join(way[way.index(node):] + [node]))
            return
        if node in done:
            return
        for follower in sorted(edges.get(node, ())):
            visit(follower, way + [node])
        done.add(node)

    for node in sorted(edges):
        visit(node, [])
    return found


def include_circles(sources):
    paths = {source.path for source in sources}
    files = {source.path: {t for _, t in source.includes if t in paths} for source in sources}
    rooms = {}
    for source in sources:
        others = {room_of(t) for _, t in source.includes} - {None, source.room}
        rooms.setdefault(source.room, set()).update(others)
    return ([f"circle of files: {circle}" for circle in circles(files)]
            + [f"circle of rooms: {circle}" for circle in circles(rooms)])


def misplaced_libraries(sources):
    return [f"{source.path}:{number}: {target} belongs in {' and '.join(places)} only"
            for source in sources for number, target in source.includes
            for header, places in LIBRARIES
            if re.match(header, target) and not source.path.startswith(places)]


def found_in_code(sources, what, pattern, allowed=()):
    return [f"{source.path}:{number}: {what}: {match.group().strip()}"
            for source in sources if not (allowed and source.path.startswith(allowed))
            for number, line in enumerate(source.code.splitlines(), 1)
            for match in re.finditer(pattern, line)]


def forbidden_calls(sources):
    return [problem for what, pattern, allowed in CALLS
            for problem in found_in_code(sources, what, pattern, allowed)]


def version_words(sources):
    return found_in_code([s for s in sources if s.path.startswith(VERSION_FREE)],
                         "names a version of HTTP outside the codecs", VERSION_WORD, CODEC_CHOOSERS)


def unfinished_marks(sources):
    return [f"{source.path}:{number}: unfinished: {line.strip()}"
            for source in sources for number, line in enumerate(source.text.splitlines(), 1)
            if re.search(r"\b(TODO|FIXME|XXX)\b", line)]


def missing_licences(sources):
    return [f"{source.path}:1: the top comment lacks its SPDX line" for source in sources
            if "SPDX-License-Identifier: Apache-2.0" not in source.text.partition("*/")[0]]


def missing_files(sources, top=TOP):
    return [f"{source.path}:{number}: {target} does not exist"
            for source in sources for number, target in source.includes
            if room_of(target) is not None and not (top / target).exists()]


RULES = [upward_edges, unknown_rooms, include_circles, misplaced_libraries, forbidden_calls,
         version_words, unfinished_marks, missing_licences, missing_files]


def functions(source):
    """(lines, path, line, first line) of each function: its braces stand at column one."""
    lines = source.code.splitlines()
    text = source.text.splitlines()
    begin = None
    for number, line in enumerate(lines):
        if line.startswith("{"):
            begin = number
        elif line.startswith("}") and begin is not None:
            head = next((text[n] for n in range(begin - 1, -1, -1)
                         if re.match(r"[A-Za-z_]", lines[n])), "")
            yield number - begin + 1, source.path, begin + 1, head
            begin = None


# ---- the tests -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tree():
    return read_tree(TOP)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(tree, rule):
    assert tree, "no source was found"
    problems = rule(tree)
    assert not problems, "\n".join(["", *problems])


def test_shows_the_longest_functions_and_files(tree, capsys):
    """Shown, never enforced."""
    longest = sorted((f for s in tree if s.path.endswith(".c") for f in functions(s)), reverse=True)
    files = sorted(((len(s.text.splitlines()), s.path) for s in tree), reverse=True)
    with capsys.disabled():
        print("\n    longest functions")
        for count, path, line, head in longest[:10]:
            print(f"    {count:5}  {path}:{line}  {head[:70]}")
        print("    longest files")
        for count, path in files[:10]:
            print(f"    {count:5}  {path}")
    assert longest and files


LICENCE = "/* x\n *\n * SPDX-License-Identifier: Apache-2.0\n */\n"
BAD_TREES = {  # rule, files, what its complaint must contain
    "upward edge": (upward_edges, {"proxy/net/a.c": '#include "proxy/relay/b.h"\n'}, "a.c:1:"),
    "edge between rooms of one rank": (
        upward_edges, {"proxy/http2/a.c": '#include "proxy/http1/b.h"\n'}, "proxy/http1/b.h"),
    "side room includes the proxy": (
        upward_edges, {"crypto/a.c": '#include "proxy/base/slice.h"\n'}, "crypto may not"),
    "ground includes a side room": (
        upward_edges, {"proxy/base/a.c": '#include "crypto/error.h"\n'}, "proxy/base may not"),
    "code includes the tests": (
        upward_edges, {"config/a.c": '#include "tests/unit/b.h"\n'}, "config may not"),
    "room that is not in the house": (unknown_rooms, {"proxy/misc/a.c": ""}, "not a room"),
    "circle of files": (
        include_circles, {"proxy/net/a.h": '#include "proxy/net/b.h"\n',
                          "proxy/net/b.h": '#include "proxy/net/a.h"\n'}, "circle of files"),
    "circle of rooms": (
        include_circles, {"config/a.h": '#include "crypto/b.h"\n',
                          "crypto/c.h": '#include "config/d.h"\n'}, "circle of rooms"),
    "libevent elsewhere": (
        misplaced_libraries, {"proxy/relay/a.c": "#include <event2/event.h>\n"}, "proxy/net/"),
    "nghttp2 elsewhere": (
        misplaced_libraries, {"proxy/http/a.c": "#include <nghttp2/nghttp2.h>\n"}, "http2"),
    "libyaml elsewhere": (misplaced_libraries, {"config/load.c": "#include <yaml.h>\n"}, "yaml"),
    "SSL header elsewhere": (
        misplaced_libraries, {"proxy/relay/a.c": "#include <openssl/ssl.h>\n"}, "ssl.h"),
    "SSL object elsewhere": (forbidden_calls, {"proxy/relay/a.c": "int f(SSL *s);\n"}, "a.c:1"),
    "banned function": (
        forbidden_calls, {"proxy/net/a.c": "int x;\nvoid f(char *d)\n{\n    strcpy (d, s);\n}\n"},
        "a.c:4: a banned function: strcpy"),
    "a terminal asked for in a child": (
        forbidden_calls, {"proxy/process/a.c": "int f(void)\n{\n    return isatty(2);\n}\n"}, "isatty"),
    "version word": (
        version_words, {"proxy/relay/access_log.c": "void f(struct http1_client *c);\n"}, "http1_client"),
    "unfinished": (unfinished_marks, {"proxy/net/a.c": "/* TODO */\n"}, "a.c:1"),
    "file that is not there": (missing_files, {"proxy/net/a.c": '#include "proxy/net/no.h"\n'}, "no.h"),
    "no licence": (missing_licences, {"proxy/net/a.c": "int x;\n"}, "SPDX"),
}


@pytest.mark.parametrize("name", BAD_TREES)
def test_a_rule_finds_what_breaks_it(tmp_path, name):
    rule, files, complaint = BAD_TREES[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    problems = rule(read_tree(tmp_path))
    assert any(complaint in problem for problem in problems), problems


def test_rules_leave_a_good_tree_alone(tmp_path):
    good = {
        "proxy/relay/a.c": LICENCE + '#include "proxy/http1/server.h"\n'
                           '#include "config/model.h"\n'
                           'const char *s = "strcpy(SSL *)"; /* http1 strcpy( */\n',
        "proxy/net/b.c": LICENCE + "#include <event2/event.h>\n#include <openssl/ssl.h>\n"
                         "#include \"crypto/error.h\"\nstatic SSL *ssl;\n",
        "crypto/error.h": LICENCE, "config/model.h": LICENCE, "proxy/http1/server.h": LICENCE,
    }
    for path, text in good.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert [problem for rule in RULES if rule is not missing_files
            for problem in rule(read_tree(tmp_path))] == []


def test_measures_functions(tmp_path):
    source = Source("a.c", "int f(void)\n{\n    return 1;\n}\n\nstatic void\ng(void)\n{\n}\n")
    assert [(n, line) for n, _, line, _ in functions(source)] == [(3, 2), (2, 8)]
