"""The AppImage runtime keeps what the type-2 specification promises, and survives files that lie."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.e2e.bundle.small_image import build_checked_runtime, make_image, run
from tests.rounds import rounds

from the_edge_agent.bundle.elf import end_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
UNPACK = {"APPIMAGE_EXTRACT_AND_RUN": "1"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image(tmp_path_factory.mktemp("small image"))


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checked_runtime(tmp_path_factory.mktemp("checked"))


def values(output: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


@pytest.mark.parametrize("environ", [{}, UNPACK], ids=["mounted", "unpacked"])
def test_the_program_gets_its_words_its_environment_and_gives_its_exit_code(image, environ, tmp_path) -> None:
    done = run(image, "a b", "", "--version", cwd=tmp_path, **environ)
    assert done.returncode == 7, done.stderr
    assert done.stdout.splitlines()[-4:] == ["<a b>", "<>", "<--version>", "text"]
    found = values(done.stdout)
    assert found["APPIMAGE"] == str(image)
    assert found["ARGV0"] == str(image)
    assert found["OWD"] == str(tmp_path)
    assert wait_gone(Path(found["APPDIR"]))


def wait_gone(path: Path) -> bool:
    for _ in range(500):
        # While it is being taken down, a mount answers ENOTCONN: its name is still there.
        with contextlib.suppress(OSError):
            if not path.exists():
                return True
        time.sleep(0.01)
    return False


def test_the_magic_stands_where_the_specification_wants_it(image) -> None:
    head = image.read_bytes()[:16]
    assert head[:4] == b"\x7fELF"
    assert head[8:11] == b"AI\x02"


def test_the_offset_is_where_the_file_system_begins(image, tmp_path) -> None:
    offset = int(run(image, "--appimage-offset", cwd=tmp_path).stdout)
    assert image.read_bytes()[offset : offset + 4] == b"hsqs"
    assert offset == end_of(image)


def test_libappimage_takes_it_for_a_type_2_image(image, tmp_path) -> None:
    library = ctypes.CDLL("libappimage.so.1.0abi1")
    library.appimage_get_payload_offset.restype = ctypes.c_long
    library.appimage_list_files.restype = ctypes.POINTER(ctypes.c_char_p)
    path = os.fsencode(image)
    assert library.appimage_get_type(path, False) == 2
    assert library.appimage_get_payload_offset(path) == end_of(image)
    files = library.appimage_list_files(path)
    names = []
    while files[len(names)] is not None:
        names.append(files[len(names)].decode())
    assert "AppRun" in names
    assert "folder/text" in names


def test_everything_is_extracted_and_named(image, tmp_path) -> None:
    done = run(image, "--appimage-extract", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "squashfs-root/folder/text" in done.stdout.splitlines()
    assert (tmp_path / "squashfs-root/link").readlink() == Path("folder/text")
    assert (tmp_path / "squashfs-root/AppRun").stat().st_mode & 0o777 == 0o755
    original = image.parent / "tree/folder/deep/model.gguf"
    assert (tmp_path / "squashfs-root/folder/deep/model.gguf").read_bytes() == original.read_bytes()


def test_a_pattern_extracts_what_matches_alone(image, tmp_path) -> None:
    assert run(image, "--appimage-extract", "folder/deep/*.gguf", cwd=tmp_path).returncode == 0
    found = [path.name for path in (tmp_path / "squashfs-root").rglob("*") if path.is_file()]
    assert found == ["model.gguf"]
    done = run(image, "--appimage-extract", "*.nothing", cwd=tmp_path)
    assert done.returncode == 127
    assert "nothing in this AppImage matches" in done.stderr


def test_extracting_never_follows_a_link_out_of_its_folder(image, tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "squashfs-root").mkdir()
    (tmp_path / "squashfs-root" / "folder").symlink_to(outside)
    done = run(image, "--appimage-extract", cwd=tmp_path)
    assert done.returncode == 127
    assert list(outside.iterdir()) == []


def test_extracting_replaces_a_link_by_the_file(image, tmp_path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "squashfs-root" / "folder").mkdir(parents=True)
    (tmp_path / "squashfs-root" / "folder" / "text").symlink_to(victim)
    assert run(image, "--appimage-extract", cwd=tmp_path).returncode == 0
    assert victim.read_text() == "kept"


def test_what_was_unpacked_stays_where_that_is_asked(image, tmp_path) -> None:
    done = run(image, cwd=tmp_path, TMPDIR=str(tmp_path), NO_CLEANUP="1", **UNPACK)
    assert Path(values(done.stdout)["APPDIR"], "folder/text").read_text() == "text\n"


def test_the_option_runs_it_unpacked_and_is_no_word_of_the_program(image, tmp_path) -> None:
    done = run(image, "--appimage-extract-and-run", "x", cwd=tmp_path, TMPDIR=str(tmp_path))
    assert done.returncode == 7
    assert "<x>" in done.stdout
    assert "extract-and-run" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_beside_it_becomes_the_home(image, tmp_path) -> None:
    made = run(image, "--appimage-portable-home", cwd=tmp_path).stdout.strip()
    try:
        assert values(run(image, cwd=tmp_path, **UNPACK).stdout)["HOME"] == made == f"{image}.home"
    finally:
        Path(made).rmdir()


def test_another_image_can_be_named(image, tmp_path) -> None:
    other = make_image(tmp_path, "#!/bin/sh\necho other\n", "other.AppImage")
    assert run(image, cwd=tmp_path, TARGET_APPIMAGE=str(other), **UNPACK).stdout == "other\n"


def test_a_mount_lasts_until_it_is_told_to_end(image, tmp_path) -> None:
    with subprocess.Popen([image, "--appimage-mount"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        point = Path(process.stdout.readline().strip())
        assert (point / "folder" / "text").read_text() == "text\n"
        process.send_signal(signal.SIGTERM)
    assert wait_gone(point)


def test_what_is_read_through_a_mount_is_what_was_packed_wherever_one_begins(checked, tmp_path) -> None:
    """Models stand raw in the image and go to the kernel by splice; the rest is unpacked by blocks that are kept."""
    noise = random.Random(11)
    sizes = [0, 1, 131_071, 131_072, 131_073, 1_048_576, 3_000_001]
    files = {f"{size}.{kind}": size for size in sizes for kind in ("gguf", "text")}
    contents = {
        name: noise.randbytes(size) if name.endswith("gguf") else (b"%d " % size * size)[:size]
        for name, size in files.items()
    }
    image = make_image(tmp_path, more=contents)
    environ = {**os.environ, "TARGET_APPIMAGE": str(image), "ASAN_OPTIONS": "detect_leaks=0"}
    for runtime in (image, checked):
        with subprocess.Popen(
            [runtime, "--appimage-mount"], stdout=subprocess.PIPE, text=True, env=environ
        ) as process:
            assert process.stdout is not None
            folder = Path(process.stdout.readline().strip())
            handles = {name: (folder / name).open("rb", buffering=0) for name in files}
            for _ in range(400):
                name = noise.choice(list(files))
                start, count = (
                    noise.randrange(files[name] + 10),
                    noise.choice([1, 100, 4096, 131_072, 900_000]),
                )
                handles[name].seek(start)
                assert handles[name].read(count) == contents[name][start : start + count], (
                    name,
                    start,
                    count,
                )
            for name, handle in handles.items():
                handle.close()
                assert (folder / name).read_bytes() == contents[name]
            process.send_signal(signal.SIGTERM)
        assert wait_gone(folder)


def test_a_signal_reaches_the_program_that_was_unpacked(tmp_path) -> None:
    image = make_image(
        tmp_path, "#!/bin/sh\ntrap 'echo caught; exit 3' TERM\necho ready\nwhile :; do sleep 0.05; done\n"
    )
    with subprocess.Popen(
        [image], stdout=subprocess.PIPE, text=True, env={**os.environ, **UNPACK, "TMPDIR": str(tmp_path)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "caught\n"
    assert process.returncode == 3
    assert not list(tmp_path.glob("appimage_extracted_*"))


def test_an_unknown_option_is_refused_with_the_way_to_the_list(image, tmp_path) -> None:
    done = run(image, "--appimage-nonsense", cwd=tmp_path)
    assert done.returncode == 127
    assert "--appimage-help" in done.stderr
    listing = run(image, "--appimage-help", cwd=tmp_path).stdout
    for option in (
        "extract",
        "extract-and-run",
        "mount",
        "offset",
        "signature",
        "updateinformation",
        "version",
    ):
        assert f"--appimage-{option}" in listing


@pytest.mark.parametrize("option", ["--appimage-updateinformation", "--appimage-signature"])
def test_sections_that_nobody_filled_are_empty(image, option, tmp_path) -> None:
    done = run(image, option, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "\n")


def test_a_truncated_download_gets_a_sentence(image, tmp_path) -> None:
    broken = tmp_path / "broken.AppImage"
    broken.write_bytes(image.read_bytes()[: end_of(image) + 50])
    broken.chmod(0o755)
    done = run(broken, cwd=tmp_path, TMPDIR=str(tmp_path))
    assert done.returncode == 127
    assert "no file system stands behind the program; fetch this file again" in done.stderr


@pytest.mark.long
def test_no_damaged_header_or_file_system_breaks_the_runtime(image, checked, tmp_path) -> None:
    """Every byte of ELF header, section table and superblock may lie; AddressSanitizer and UBSan look on."""
    sound = image.read_bytes()
    end = end_of(image)
    table = int.from_bytes(sound[40:48], "little")
    noise = random.Random(5)
    victim = tmp_path / "victim"
    extremes = [
        b"\0" * 8,
        b"\xff" * 8,
        b"\xff" * 7 + b"\x7f",
        b"\0" * 7 + b"\x80",
        (len(sound) - 1).to_bytes(8, "little"),
    ]
    for number in range(rounds(20, 150, 5_000)):
        data = bytearray(sound)
        start, length = noise.choice(
            [(0, 64), (table, end - table), (end, 96), (end + 96, len(sound) - end - 96)]
        )
        for _ in range(noise.randint(1, 4)):
            at = start + noise.randrange(max(1, length - 8))
            if noise.random() < 0.5:
                data[at : at + 8] = noise.choice(extremes)
            else:
                data[at] = noise.randrange(256)
        victim.write_bytes(data[: noise.choice([len(data)] * 4 + [noise.randrange(len(data))])])
        for option in ("--appimage-offset", "--appimage-extract"):
            done = run(
                checked, option, cwd=tmp_path, TARGET_APPIMAGE=str(victim), ASAN_OPTIONS="detect_leaks=0"
            )
            assert done.returncode in (0, 127), f"round {number}: {done.returncode}\n{done.stderr[-3000:]}"
            assert "Sanitizer" not in done.stderr, f"round {number}: {done.stderr[-3000:]}"
