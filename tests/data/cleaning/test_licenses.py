import sys
import sysconfig
from email.message import Message
from pathlib import Path

import pytest

from sprig.data.cleaning.licenses import (
    PERMISSIVE,
    LicenseFiles,
    allowed,
    of_header,
    of_license_file,
    of_metadata,
)

AS_IS = 'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED.\n'
MIT = f"""MIT License

Copyright (c) 2024 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

{AS_IS}"""
BSD_2 = """Copyright (c) 2020, Somebody. All rights reserved.

Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met:
1. Redistributions of source code must retain the above copyright notice.
2. Redistributions in binary form must reproduce the above copyright notice in the documentation.
"""
BSD_3 = (
    BSD_2 + "3. Neither the name of the holder may be used to endorse or promote products derived from this software.\n"
)
BSD_4 = BSD_3 + "4. All advertising materials mentioning features of this software must say so.\n"
GRANT = (
    "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is "
    "hereby granted"
)
ISC = f"ISC License\n\n(C) 2019 X\n\n{GRANT}, provided that the above copyright notice appears in all copies.\n{AS_IS}"
ZERO_BSD = f"Copyright 2019 X\n\n{GRANT}.\n\n{AS_IS}"
GPL = (
    "GNU GENERAL PUBLIC LICENSE\n   Version {}\n\n Copyright (C) Free Software Foundation, Inc. Everyone may copy it.\n"
)
TEXTS = {
    "MIT": MIT,
    "BSD-2-Clause": BSD_2,
    "BSD-3-Clause": BSD_3,
    "BSD-4-Clause": BSD_4,
    "ISC": ISC,
    "0BSD": ZERO_BSD,
    "Apache-2.0": "Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/\n\nTERMS AND CONDITIONS",
    "MPL-2.0": "Mozilla Public License Version 2.0\n==================================\n\n1. Definitions\n" + AS_IS,
    "GPL-2.0": GPL.format("2, June 1991"),
    "GPL-3.0": GPL.format("3, 29 June 2007"),
    "LGPL-2.1": GPL.replace("GENERAL", "LESSER GENERAL").format("2.1, February 1999"),
    "LGPL-3.0": GPL.replace("GENERAL", "LESSER GENERAL").format("3, 29 June 2007")
    + "This incorporates the terms of version 3 of the GNU General Public License.",
    "AGPL-3.0": GPL.replace("GENERAL", "AFFERO GENERAL").format("3, 19 November 2007"),
    "Unlicense": "This is free and unencumbered software released into the public domain.\nAnyone may copy it.",
    "PSF-2.0": "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n-----------\n1. This LICENSE AGREEMENT is between us.",
    "Zlib": "This software is provided 'as-is'.\n2. Altered source versions must be plainly marked as such, and must",
    "CC0-1.0": "Creative Commons Legal Code\n\nCC0 1.0 Universal\n\n    CREATIVE COMMONS CORPORATION IS NOT A LAW FIRM",
    "BSL-1.0": "Boost Software License - Version 1.0 - August 17th, 2003\n\nPermission is hereby granted, free of",
    "EPL-2.0": "Eclipse Public License - v 2.0\n\n    THE ACCOMPANYING PROGRAM IS PROVIDED UNDER THE TERMS OF THIS",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_license_text_is_recognised(name: str) -> None:
    assert of_license_file(TEXTS[name]) == name


@pytest.mark.parametrize("name", TEXTS)
def test_white_space_line_breaks_holders_and_marks_change_nothing(name: str) -> None:
    text = TEXTS[name]
    assert of_license_file("\ufeff" + text.replace("\n", "\r\n")) == name
    assert of_license_file("   " + " ".join(text.split())) == name
    assert of_license_file("\n".join(f" * {line}" for line in text.split("\n"))) == name
    assert of_license_file("My Great Project, © 1999-2024 Åsa Öberg and others\n\n\n" + text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""),
        (
            "All rights reserved. Nobody may copy, change or run this without a contract that we have signed with you.",
            "",
        ),
        ("MIT", "MIT"),
        (MIT + "\nCommons Clause: the right to sell the Software is not granted.", ""),
        (MIT + "\nThe Software shall be used for Good, not Evil.", ""),
        (MIT.replace("The above copyright notice and this permission notice", "A banner with our name"), ""),
        (MIT + "\n\nThe following file comes from elsewhere:\n\n" + BSD_3, "MIT"),
        (BSD_2 + "\n\nThe following file comes from elsewhere:\n\n" + BSD_3, "BSD-2-Clause"),
        ("Terms that nobody knows. " * 400 + MIT, ""),
        (
            "This program is free software: you can redistribute it and/or modify it under the terms of the GNU "
            "General Public License as published by the Free Software Foundation, either version 3 of the License",
            "GPL-3.0",
        ),
    ],
)
def test_a_text_that_is_more_less_or_other_than_a_license(text: str, name: str) -> None:
    assert of_license_file(text) == name


def test_pythons_own_license_is_the_psfs() -> None:
    folder = Path(sysconfig.get_path("stdlib"))
    texts = [path.read_text() for path in (folder / "LICENSE.txt", Path(sys.base_prefix, "LICENSE")) if path.is_file()]
    if not texts:
        pytest.skip("this Python comes without its licence")
    assert of_license_file(texts[0]) == "PSF-2.0"


@pytest.mark.parametrize(
    ("line", "expression"),
    [
        ("# SPDX-License-Identifier: MIT", "MIT"),
        ("/* SPDX-License-Identifier: (GPL-2.0-only OR  BSD-3-Clause) */", "(GPL-2.0-only OR BSD-3-Clause)"),
        ("<!-- SPDX-License-Identifier: Apache-2.0 -->", "Apache-2.0"),
        ("(* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception *)", "Apache-2.0 WITH LLVM-exception"),
        ('"""SPDX-License-Identifier: ISC"""', "ISC"),
        ("// SPDX-License-Identifier: LicenseRef-Mine", "LicenseRef-Mine"),
        ("REM SPDX-License-Identifier: 0BSD", "0BSD"),
        ("# SPDX-License-Identifier: MIT\n# SPDX-License-Identifier: Zlib OR ISC", "MIT AND (Zlib OR ISC)"),
        ("# SPDX-License-Identifier: MIT\n# SPDX-License-Identifier: MIT", "MIT"),
        ("# SPDX-License-Identifier:", ""),
        ("# SPDX-License-Identifier: see the file LICENSE", ""),
        ("# SPDX-License-Identifier: (MIT", ""),
        ('PATTERN = "SPDX-License-Identifier: MIT"', ""),
        ("# This file is under the MIT licence.", ""),
    ],
)
def test_the_identifier_in_a_header(line: str, expression: str) -> None:
    assert of_header(f"#!/usr/bin/env python\n{line}\n\nimport os\n") == expression


def test_an_identifier_below_line_30_belongs_to_something_else() -> None:
    assert of_header("\n" * 29 + "# SPDX-License-Identifier: MIT\n") == "MIT"
    assert of_header("\n" * 30 + "# SPDX-License-Identifier: MIT\n") == ""


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ([("License-Expression", "MIT OR Apache-2.0"), ("License", "GPL")], "MIT OR Apache-2.0"),
        ([("License", "BSD-3-Clause")], "BSD-3-Clause"),
        ([("License", "Apache License, Version 2.0")], "Apache-2.0"),
        ([("License", "The MIT License (MIT)")], "MIT"),
        ([("License", "GPLv3+")], "GPL-3.0-or-later"),
        ([("License", "MPL-2.0 AND MIT")], "MPL-2.0 AND MIT"),
        ([("License", MIT)], "MIT"),
        ([("License", "see LICENSE file")], ""),
        ([("License", "Mine"), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        ([("Classifier", "License :: OSI Approved"), ("Classifier", "Topic :: Software Development")], ""),
        (
            [("Classifier", f"License :: OSI Approved :: {n}") for n in ("MIT License", "BSD License")],
            "BSD-3-Clause AND MIT",
        ),
        (
            [("Classifier", "License :: OSI Approved :: MIT License"), ("Classifier", "License :: Other/Proprietary")],
            "",
        ),
        (
            [("Classifier", "License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)")],
            "LGPL-3.0-or-later",
        ),
        ([], ""),
    ],
)
def test_the_metadata_of_a_package(fields: list[tuple[str, str]], expression: str) -> None:
    metadata = Message()
    for name, value in fields:
        metadata[name] = value
    assert of_metadata(metadata) == expression


@pytest.mark.parametrize(
    ("expression", "wanted", "answer"),
    [
        ("MIT", "any", True),
        ("", "any", True),
        ("anything, really", "any", True),
        ("MIT", "permissive", True),
        ("", "permissive", False),
        ("GPL-3.0-only", "permissive", False),
        ("MPL-2.0", "permissive", False),
        ("MIT OR GPL-3.0-only", "permissive", True),
        ("MIT AND GPL-3.0-only", "permissive", False),
        ("MIT AND (Apache-2.0 OR GPL-2.0-only)", "permissive", True),
        ("MIT AND Apache-2.0 OR GPL-2.0-only", ["GPL-2.0"], True),
        ("MIT AND (Apache-2.0 OR GPL-2.0-only)", ["GPL-2.0"], False),
        ("Apache-2.0 WITH LLVM-exception", "permissive", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0 OR MIT", ["MIT"], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0 AND MIT", ["MIT"], False),
        ("mit", ["MIT"], True),
        ("MIT", "MIT", True),
        ("MIT", ["Apache-2.0"], False),
        ("GPL-2.0+", ["GPL-2.0"], True),
        ("GPL-3.0-or-later", ["GPL-2.0", "MIT"], False),
        ("LicenseRef-Mine", ["LicenseRef-Mine"], True),
        ("MIT OR", "permissive", False),
        ("MIT MIT", "permissive", False),
        ("(MIT", "permissive", False),
        ("MIT)", "permissive", False),
        ("MIT WITH", "permissive", False),
        ("()", "permissive", False),
        ("(" * 5_000 + "MIT" + ")" * 5_000, "permissive", False),
        ("MIT OR " * 5_000 + "MIT", "permissive", False),
    ],
)
def test_what_is_allowed(expression: str, wanted: str | list[str], answer: bool) -> None:
    assert allowed(expression, wanted) is answer


@pytest.mark.parametrize(
    ("wanted", "said"), [(["MIT", "Beer"], "'Beer'"), ("permisive", "'permisive'"), ([], "no licence")]
)
def test_a_list_that_names_no_license_is_refused_in_one_line(wanted: str | list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        allowed("MIT", wanted)
    assert "\n" not in str(error.value)


def test_the_permissive_list_holds_no_copyleft() -> None:
    assert {"MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "PSF-2.0", "0BSD"} <= PERMISSIVE
    assert not [name for name in PERMISSIVE if name.startswith(("GPL", "LGPL", "AGPL", "MPL", "EPL", "CDDL", "CC-BY"))]


def test_the_nearest_license_file_counts_and_each_folder_is_read_once() -> None:
    files = {
        "LICENSE": MIT,
        "vendor/zip/COPYING.txt": TEXTS["Zlib"],
        "vendor/odd/LICENCE.md": "Ask us.",
        "a/LICENSE": "",
    }
    reads: list[str] = []

    def read(path: str) -> str | None:
        reads.append(path)
        return files.get(path)

    licenses = LicenseFiles(read)
    assert licenses.of("setup.py") == "MIT"
    assert licenses.of("src/deep/down/code.py") == "MIT"
    assert licenses.of("vendor/zip/src/deflate.py") == "Zlib"
    assert licenses.of("vendor/odd/code.py") == ""
    assert len(reads) == len(set(reads))
    before = len(reads)
    assert licenses.of("src/deep/down/more.py") == "MIT"
    assert len(reads) == before
    assert not [path for path in reads if path.startswith("/") or ".." in path]


def test_nothing_above_the_root_is_asked_for() -> None:
    def read(path: str) -> str | None:
        raise AssertionError(path)

    assert LicenseFiles(read).of("../outside/code.py") == ""
    assert LicenseFiles(read).of("/etc/code.py") == ""


def test_a_tree_without_license_files_has_no_known_license() -> None:
    assert LicenseFiles(lambda path: None).of("a/b.py") == ""
