"""The README's first command, as it is.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.timeout(900)
def test_quickstart_shows_the_demo_behind_tls(tmp_path):
    done = subprocess.run(
        ["deploy/quickstart", "--smoke"], cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=800, env={**os.environ, "STATE_DIRECTORY": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    for sign in ("smoke: fine", "TLSv1.3, TLS_AES_256_GCM_SHA384", "version=TLSv1.3",
                 "x-forwarded-proto: https", "hello through the gate"):
        assert sign in done.stdout, done.stdout
    assert (tmp_path / "local-ca" / "ca.pem").is_file()


def test_quickstart_refuses_an_argument_that_it_does_not_know():
    done = subprocess.run(["deploy/quickstart", "--fast"], cwd=TOP, capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 2
    assert "--fast" in done.stderr
