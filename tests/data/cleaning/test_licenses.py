import sys
import sysconfig
from dataclasses import replace
from email.message import Message
from pathlib import Path, PurePosixPath

import pytest

from sprig.data.cleaning.cleaner import Cleaner
from sprig.data.cleaning.license_files import LicenseFiles, is_license_file, of_license_file
from sprig.data.cleaning.license_names import PERMISSIVE
from sprig.data.cleaning.licenses import allowed, of_header, of_metadata, of_statement
from sprig.data.config import DataConfig
from sprig.data.documents import Document
from sprig.data.reading import Unfit

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
    "Unlicense": "This is free and unencumbered software released into the public domain.\n\nAnyone is free to copy, "
    "modify, publish, use, compile, sell, or distribute this software, either in source code form or as a compiled "
    "binary, for any purpose, commercial or non-commercial, and by any means.",
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
        (BSD_2 + "\nfree for commercial and non-commercial use", "BSD-2-Clause"),
        (BSD_2 + "\nNo commercial use of these trademarks may be made", "BSD-2-Clause"),
        (MIT + "\nfor non-commercial research purposes only", ""),
        (MIT.replace("Permission", "Our only modification part is below.\nPermission"), ""),
        (MIT + "\n\n2. The Software may not be used by those who break human rights.", ""),
        (BSD_3 + "\nCommercial use is prohibited.", ""),
        ("Business Source License 1.1\n\nChange License: Apache License, Version 2.0\n" + "Terms. " * 30, ""),
        ("Functional Source License, Version 1.1, ALv2 Future License\n\nApache License, Version 2.0, later " * 2, ""),
        (MIT + "\n" + "Terms that nobody knows. " * 900 + "for non-commercial use", "MIT"),
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
        ("# Copyright X. SPDX-License-Identifier: GPL-2.0-only", "GPL-2.0-only"),
        ("# SPDX-License-Identifier: (MIT)OR(ISC)\n# SPDX-License-Identifier: Zlib", "((MIT)OR(ISC)) AND Zlib"),
        ('PATTERN = "SPDX-License-Identifier: MIT"', None),
        ("# This file is under the MIT licence.", None),
    ],
)
def test_the_identifier_in_a_header(line: str, expression: str | None) -> None:
    assert of_header(f"#!/usr/bin/env python\n{line}\n\nimport os\n") == expression


@pytest.mark.parametrize(
    "said",
    [
        "",
        "see the file LICENSE",
        "(MIT",
        "GPL-3.0-or-later, see COPYING",
        "GPL-2.0-only (see LICENSE.GPL for the text)",
        "All rights reserved",
        "MIT" + " " * 300 + "AND GPL-2.0-only",
        "MIT\n# SPDX-License-Identifier: see below",
    ],
)
def test_an_identifier_that_is_no_expression_is_a_licence_that_nobody_knows_and_not_none(said: str) -> None:
    assert of_header(f"# SPDX-License-Identifier: {said}\nimport os\n") == ""


def test_a_file_that_says_something_unknown_of_itself_is_not_under_its_folders_licence() -> None:
    cleaner = Cleaner(DataConfig(licenses="permissive"))
    file = Document("import os\n", "a.py", "a.py", license="MIT")
    assert cleaner.clean(file).documents == [file]
    with pytest.raises(Unfit, match=r"^licence unknown$"):
        cleaner.clean(replace(file, text="# SPDX-License-Identifier: GPL-3.0-or-later, see COPYING\nimport os\n"))


def test_an_identifier_below_line_30_belongs_to_something_else() -> None:
    assert of_header("\n" * 29 + "# SPDX-License-Identifier: MIT\n") == "MIT"
    assert of_header("\n" * 30 + "# SPDX-License-Identifier: MIT\n") is None


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
        ([("License", "UNKNOWN"), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        ([("License", "Proprietary"), ("Classifier", "License :: OSI Approved :: MIT License")], ""),
        ([("License", "MIT, and GPL for plugins"), ("Classifier", "License :: OSI Approved :: MIT License")], ""),
        ([("License-Expression", "MIT AND"), ("License", "MIT")], ""),
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
    ("stated", "expression"),
    [
        ("mit", "MIT"),
        ("Apache 2.0", "Apache-2.0"),
        (" MIT  OR\nApache-2.0 ", "MIT OR Apache-2.0"),
        ("LicenseRef-Mine AND MIT", "LicenseRef-Mine AND MIT"),
        (MIT, "MIT"),
        ("", ""),
        ("Proprietary", ""),
        ("[mit]", "MIT"),
        ("[/bold]", ""),
        ("\x1b]0;MIT\x07", ""),
        ("LicenseRef-\u202eA", ""),
        ("LicenseRef-" + "x" * 1_000, ""),
        ("free text, " * 100_000, ""),
    ],
)
def test_what_somebody_states_is_a_licence_only_if_it_is_understood(stated: str, expression: str) -> None:
    assert of_statement(stated) == expression


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

    def texts(folder: str) -> list[str]:
        reads.append(folder)
        return [text for path, text in files.items() if str(PurePosixPath(path).parent) == folder]

    licenses = LicenseFiles(texts)
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
    def texts(folder: str) -> list[str]:
        raise AssertionError(folder)

    assert LicenseFiles(texts).of("../outside/code.py") == ""
    assert LicenseFiles(texts).of("/etc/code.py") == ""


def test_a_tree_without_license_files_has_no_known_license() -> None:
    assert LicenseFiles(lambda folder: []).of("a/b.py") == ""


@pytest.mark.parametrize(
    ("texts", "expression"),
    [
        ([MIT, TEXTS["GPL-3.0"]], "GPL-3.0 AND MIT"),
        ([MIT, TEXTS["Apache-2.0"], MIT], "Apache-2.0 AND MIT"),
        ([MIT, "All rights reserved."], ""),
        ([MIT + "\nCommons Clause: the right to sell the Software is not granted.", MIT], ""),
        ([MIT, None], ""),
    ],
)
def test_of_several_licence_files_in_a_folder_all_hold(texts: list[str | None], expression: str) -> None:
    assert LicenseFiles({"a": texts, ".": [MIT]}.__getitem__).of("a/b.py") == expression


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        *(
            (name, True)
            for name in ("LICENSE", "Licence.rst", "LICENSE-GPL", "LICENSE.GPL", "LICENSE.TXT", "license.html")
        ),
        *((name, True) for name in ("COPYING", "COPYING.LESSER", "COPYING3", "UNLICENSE", "licenses.txt")),
        *((name, True) for name in ("MIT-LICENSE.txt", "GPL-LICENSE", "LICENSE_1_0.txt", "LICENSE-APACHE-2.0.md")),
        *((name, False) for name in ("licenses.py", "license_check.js", "copying.c", "LicenseHeader.java")),
        *((name, False) for name in ("licenses.json", "licensed.txt", "licensing.md", "copyingtheworld", "README")),
    ],
)
def test_a_licence_file_is_known_by_its_name(name: str, answer: bool) -> None:
    assert is_license_file(name) is answer
