"""What gives a secret away, and a search for it in all that a process can read of itself.

SPDX-License-Identifier: Apache-2.0
"""

import array
import pathlib
import re

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

MAPPING_BYTES_MAX = 1 << 30  # larger ones are the sanitizer's shadow
PIECE_BYTES = 4 << 20
OVERLAP_BYTES = 4096  # longer than any sign, so that none hides between two pieces
PAGE_BYTES = 4096
ENTRY_BYTES = 8  # of a page in /proc/PID/pagemap
WINDOW_BYTES = 24  # of a number: nobody meets as many bytes of it by chance
PEM_LINE_BYTES = 48  # of DER in a line of 64 letters


# ---- what to look for ---------------------------------------------------------------------------


def signs_of_number(name, number, size):
    """Both ends of it in both byte orders: as DER has it, and as OpenSSL's words lie in memory."""
    big, little = number.to_bytes(size, "big"), number.to_bytes(size, "little")
    return {f"{name} {order} {place}": part
            for order, whole in (("big-endian", big), ("little-endian", little))
            for place, part in (("begin", whole[:WINDOW_BYTES]), ("end", whole[-WINDOW_BYTES:]))}


def private_numbers(key):
    """Name → (number, bytes that it takes)."""
    numbers = key.private_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        half = key.key_size // 16
        return {"p": (numbers.p, half), "q": (numbers.q, half), "d": (numbers.d, 2 * half),
                "d mod p-1": (numbers.dmp1, half), "d mod q-1": (numbers.dmq1, half),
                "1/q mod p": (numbers.iqmp, half)}
    return {"scalar": (numbers.private_value, (key.key_size + 7) // 8)}


def private_lines(der, numbers, text):
    """The lines of a PEM that are made of private numbers, not of what the certificate tells too."""
    spans = []
    for number, size in numbers.values():
        at = der.find(number.to_bytes(size, "big"))
        spans.append((at, at + size))
    for index, line in enumerate(text.split(b"\n")[1:-2]):
        begin, end = index * PEM_LINE_BYTES, (index + 1) * PEM_LINE_BYTES
        covered = sum(max(0, min(end, to) - max(begin, since)) for since, to in spans)
        if len(line) >= 32 and covered >= 12:
            yield index, line


def signs_of_key(path, password=None):
    """Name → bytes: each private number in both byte orders, and the PEM of both common forms. The
    numbers as DER has them are the big-endian ones."""
    key = serialization.load_pem_private_key(pathlib.Path(path).read_bytes(), password)
    numbers = private_numbers(key)
    signs = {}
    for name, (number, size) in numbers.items():
        signs |= signs_of_number(name, number, size)
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        der, text = (key.private_bytes(encoding, form, serialization.NoEncryption()) for encoding in
                     (serialization.Encoding.DER, serialization.Encoding.PEM))
        signs |= {f"PEM {form.name} line {index}": line
                  for index, line in private_lines(der, numbers, text)}
    return signs


def signs_of_bytes(name, value):
    """Of a secret that is only bytes: as they are, and in hexadecimal."""
    return {name: value, f"{name} in hexadecimal": value.hex().encode()}


# ---- where to look ------------------------------------------------------------------------------


def mappings(pid):
    """(begin, end, what) of all that it can read, but for what is the same as in a file on disk."""
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        begin, end, rights, what = re.match(
            r"(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)", line).groups()
        begin, end = int(begin, 16), int(end, 16)
        is_program = what.startswith("/") and not what.startswith("/memfd") and "w" not in rights
        if "r" in rights and end - begin <= MAPPING_BYTES_MAX and not is_program and \
                what not in ("[vvar]", "[vsyscall]"):
            yield begin, end, what


def runs(pagemap, begin, end):
    """(begin, end) of what is really there of a mapping: most of a large one was never touched."""
    pagemap.seek(begin // PAGE_BYTES * ENTRY_BYTES)
    entries = array.array("Q", pagemap.read((end - begin) // PAGE_BYTES * ENTRY_BYTES))
    since = None
    for index, entry in enumerate(entries):
        if entry >> 62 and since is None:  # in memory, or swapped out
            since = index
        elif not entry >> 62 and since is not None:
            yield begin + since * PAGE_BYTES, begin + index * PAGE_BYTES
            since = None
    if since is not None:
        yield begin + since * PAGE_BYTES, begin + len(entries) * PAGE_BYTES


def read_piece(memory, begin, length):
    """What there is of it; pages that cannot be read are left out."""
    try:
        memory.seek(begin)
        piece = memory.read(length)
    except OSError:
        piece = b""
    for at in range(begin + len(piece), begin + length, PAGE_BYTES):
        try:
            memory.seek(at)
            piece += memory.read(PAGE_BYTES)
        except OSError:
            continue
    return piece


def memory_of(pid):
    """(what, bytes) of everything that a process can read of itself, in pieces that overlap."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory, \
            open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for mapping_begin, mapping_end, what in list(mappings(pid)):
            # Of a file all can be read, touched or not.
            whole = [(mapping_begin, mapping_end)]
            for begin, end in whole if what.startswith("/") else runs(pagemap, mapping_begin,
                                                                      mapping_end):
                for at in range(begin, end, PIECE_BYTES):
                    since = max(begin, at - OVERLAP_BYTES)
                    piece = read_piece(memory, since, min(end, at + PIECE_BYTES) - since)
                    if piece.strip(b"\0"):
                        yield what or "anonymous", piece


def found_in(pid, signs):
    """The names of the signs that are in the memory of a process."""
    found = set()
    for _, piece in memory_of(pid):
        found |= {name for name, sign in signs.items() if name not in found and sign in piece}
    return found


def found_in_file(path, signs):
    content = pathlib.Path(path).read_bytes()
    return {name for name, sign in signs.items() if sign in content}
