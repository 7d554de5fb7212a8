"""Programs in C and C++ on the generated header and object: no warning, no leak, no surprise."""

from __future__ import annotations

import platform
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from dlc.driver.build import Program, build
from dlc.driver.options import Options
from tests.unit.artifact.zoo import INTERFACE, MODULE
from tests.unit.driver.test_build import bound

HERE = Path(__file__).resolve().parent / "c_api"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-qual", "-Werror"]
C = ["-Wstrict-prototypes", "-Wmissing-prototypes", "-Wold-style-definition"]
STANDARDS = {"c99": ["gcc", *C], "c11": ["gcc", *C], "c++17": ["g++", "-xc++"]}

pytestmark = [
    pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc"),
    pytest.mark.skipif(not shutil.which("g++"), reason="no g++"),
]


def options(**more: object) -> Options:
    """Code that valgrind can run: it does not know AVX-512."""
    machine = {}
    if platform.machine() in ("x86_64", "AMD64") and platform.system() == "Linux":
        machine = {"triple": "x86_64-unknown-linux-gnu", "cpu": "x86-64-v2"}
    return Options(level=1, **machine, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with net.h and net.o of the zoo."""
    folder = tmp_path_factory.mktemp("zoo")
    contents = build(Program("zoo", MODULE, INTERFACE), options()).artifact.contents
    (folder / "net.h").write_bytes(contents["header"])
    (folder / "net.o").write_bytes(contents["object"])
    return folder


def compile_(folder: Path, source: Path, standard: str = "c99", extra: Sequence[str] = ()) -> Path:
    out = folder / f"{source.stem}-{standard.replace('+', 'p')}"
    compiler, *flags = STANDARDS[standard]
    command = [
        compiler, f"-std={standard}", *WARNINGS, *flags, "-g", "-I", str(folder), str(source),
        "-xnone", str(folder / "net.o"), *extra, "-o", str(out),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def run(program: Path, *wrapper: str) -> str:
    done = subprocess.run(
        [*wrapper, str(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("standard", STANDARDS)
def test_the_zoo(zoo: Path, standard: str, golden: object) -> None:
    text = run(compile_(zoo, HERE / "zoo.c", standard))
    golden("c_api/zoo.txt", text)  # type: ignore[operator]


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.parametrize("name", ["zoo.c", "arenas.c"])
def test_under_valgrind(zoo: Path, name: str) -> None:
    program = compile_(zoo, HERE / name)
    run(program, "valgrind", "-q", "--error-exitcode=9", "--leak-check=full")


def test_hostile_structures(tmp_path: Path) -> None:
    from dlc.driver.python import build as compiled

    path = HERE / "hostile.dl"
    contents = compiled(path, options=options(prefix="net")).artifact.contents
    (tmp_path / "net.h").write_bytes(contents["header"])
    (tmp_path / "net.o").write_bytes(contents["object"])
    for standard in STANDARDS:
        program = compile_(tmp_path, HERE / "hostile.c", standard)
    done = subprocess.run([program, "20000"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 7, done.stdout
    if shutil.which("valgrind"):
        command = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", program, "300"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def test_every_arena_size(zoo: Path) -> None:
    assert run(compile_(zoo, HERE / "arenas.c")) == "1 1\n"


def test_threads_share_a_model(zoo: Path) -> None:
    assert run(compile_(zoo, HERE / "threads.c", extra=["-lpthread"])) == "same\n"


@pytest.mark.parametrize("standard", STANDARDS)
def test_a_program_of_fixed_sizes(tmp_path: Path, standard: str) -> None:
    contents = build(bound(), options(weights_mode="embed")).artifact.contents
    (tmp_path / "net.h").write_bytes(contents["header"])
    (tmp_path / "net.o").write_bytes(contents["object"])
    assert run(compile_(tmp_path, HERE / "fixed.c", standard)) == "2\n6\n10\n"


def test_the_header_alone(zoo: Path, tmp_path: Path) -> None:
    for standard, (compiler, *flags) in STANDARDS.items():
        source = tmp_path / "alone.c"
        source.write_text('#include "net.h"\n#include "net.h"\nextern int x;\n')
        command = [compiler, f"-std={standard}", *WARNINGS, *flags, "-I", str(zoo), "-c"]
        subprocess.run([*command, str(source), "-o", str(tmp_path / "alone.o")], check=True)


def test_twenty_models_in_one_program(tmp_path: Path) -> None:
    objects: list[str] = []
    lines: list[str] = []
    for i in range(20):
        name = f"net{i}"
        keep = tuple(e for e in INTERFACE.entries if e.name in ("scale", "mirror", "upto"))
        from dataclasses import replace

        interface = replace(INTERFACE, entries=keep, parameter_sets=())
        contents = build(Program("zoo", MODULE, interface), options(prefix=name)).artifact.contents
        (tmp_path / f"{name}.h").write_bytes(contents["header"])
        (tmp_path / f"{name}.o").write_bytes(contents["object"])
        objects.append(str(tmp_path / f"{name}.o"))
        lines.append(f"""
    {{
        net{i}_scale_in in = net{i}_scale_input();
        net{i}_scale_out out = net{i}_scale_output();
        in.x.data = x; in.x.dims[0] = 1; in.k = 2;
        if (net{i}_scale(&in, &out, arena, 4096, NULL, NULL)) return 1;
    }}""")
    includes = "".join(f'#include "net{i}.h"\n' for i in range(20))
    source = tmp_path / "many.c"
    source.write_text(
        f"""{includes}#include <stdio.h>
int main(void) {{
    static union {{ unsigned char bytes[4096 + 64]; double d; }} memory;
    unsigned char *arena = memory.bytes + (64 - ((size_t)memory.bytes & 63)) % 64;
    float x[1] = {{1}};
{"".join(lines)}
    printf("%g\\n", (double)x[0]);
    return 0;
}}
"""
    )
    out = tmp_path / "many"
    command = ["gcc", "-std=c99", *WARNINGS, "-I", str(tmp_path), str(source), *objects]
    subprocess.run([*command, "-o", str(out)], check=True)
    assert run(out) == f"{2.0**20:g}\n"


@pytest.mark.skipif(platform.system() != "Linux", reason="reads ELF sections")
def test_nothing_is_writable(zoo: Path) -> None:
    data = (zoo / "net.o").read_bytes()
    (headers,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    writable = 0
    for i in range(count):
        _, kind, flags, _, _, length = struct.unpack_from("<IIQQQQ", data, headers + i * size)
        if kind in (1, 8) and flags & 1 and flags & 2:  # data that is loaded and written
            writable += length
    assert writable == 0
