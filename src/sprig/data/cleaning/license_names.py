"""Which licences are known, by their SPDX ids and by what people write instead, and which of them are permissive.

Where it stands: below `license_files` and `licenses`. The ids are those of the SPDX licence list (spdx.org/licenses).
"""

import re

from sprig.data.cleaning.spdx import FAMILY, family

# Blue Oak Council's permissive list (blueoakcouncil.org/list), model to bronze, less what no package names; and
# PSF-2.0, which is the part of the list's Python-2.0 that still applies.
_BLUE_OAK = (
    "BlueOak-1.0.0 BSD-2-Clause-Patent ADSL Apache-2.0 APAFML BSD-1-Clause BSD-2-Clause BSD-2-Clause-FreeBSD "
    "BSD-2-Clause-NetBSD BSD-2-Clause-Views BSL-1.0 DSDP ECL-1.0 ECL-2.0 ImageMagick ISC Linux-OpenIB MIT MS-PL Mup "
    "PostgreSQL Spencer-99 UPL-1.0 Xerox 0BSD AFL-1.1 AFL-1.2 AFL-2.0 AFL-2.1 AFL-3.0 AMDPLPA AML AMPAS ANTLR-PD "
    "Apache-1.0 Apache-1.1 Artistic-2.0 BSD-3-Clause BSD-3-Clause-Attribution BSD-3-Clause-Clear BSD-3-Clause-LBNL "
    "BSD-4-Clause BSD-4-Clause-UC BSD-Source-Code bzip2-1.0.5 bzip2-1.0.6 CC0-1.0 CNRI-Jython CNRI-Python "
    "CNRI-Python-GPL-Compatible Cube curl eGenix Entessa FTL ICU Info-ZIP Intel JasPer-2.0 Libpng libtiff MIT-0 "
    "MIT-advertising MIT-CMU MIT-enna MIT-feh MITNFA MTLL Multics Naumen NCSA Net-SNMP NetCDF NTP OLDAP-2.8 OML "
    "OpenSSL PHP-3.0 PHP-3.01 Python-2.0 Ruby SGI-B-2.0 SMLNJ TCL TCP-wrappers Unicode-DFS-2015 Unicode-DFS-2016 "
    "Unlicense VSL-1.0 W3C X11 XFree86-1.1 Xnet Zlib zlib-acknowledgement ZPL-2.0 ZPL-2.1"
)
PERMISSIVE = frozenset((*_BLUE_OAK.split(), "PSF-2.0"))
_OTHERS = (
    "AGPL-1.0 AGPL-3.0 APSL-2.0 Artistic-1.0 Artistic-1.0-Perl Beerware BUSL-1.1 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-4.0 "
    "CC-BY-NC-SA-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CDDL-1.0 CDDL-1.1 CECILL-2.1 CECILL-B CECILL-C CPAL-1.0 CPL-1.0 "
    "Elastic-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 GFDL-1.1 GFDL-1.2 GFDL-1.3 GPL-1.0 GPL-2.0 GPL-3.0 HPND IJG "
    "IPL-1.0 LGPL-2.0 LGPL-2.1 LGPL-3.0 LPPL-1.3c MPL-1.0 MPL-1.1 MPL-2.0 MPL-2.0-no-copyleft-exception MS-RL "
    "MulanPSL-2.0 NASA-1.3 NPL-1.1 OFL-1.1 OSL-3.0 Parity-7.0.0 PolyForm-Noncommercial-1.0.0 QPL-1.0 RPL-1.5 "
    "Sleepycat SSPL-1.0 Unicode-3.0 Vim W3C-20150513 WTFPL"
)
_KNOWN = {name.lower(): name for name in (*PERMISSIVE, *_OTHERS.split())}

NOT_WORDS = re.compile(r"[\W_]+")
"""What stands between words, and means nothing in a licence's name or text."""

# What packages write where they should write an id, in letters and digits.
_ALIASES = {
    **{"".join(NOT_WORDS.split(name)): known for name, known in _KNOWN.items()},
    **dict.fromkeys(("mitlicense", "themitlicense", "themitlicensemit", "expat", "mitlicensemit"), "MIT"),
    **dict.fromkeys(
        ("bsd", "bsdlicense", "newbsd", "newbsdlicense", "modifiedbsd", "modifiedbsdlicense"), "BSD-3-Clause"
    ),
    **dict.fromkeys(("bsd3", "3clausebsd", "3clausebsdlicense", "bsd3clauselicense", "revisedbsd"), "BSD-3-Clause"),
    **dict.fromkeys(
        ("bsd2", "2clausebsd", "simplifiedbsd", "simplifiedbsdlicense", "bsd2clauselicense"), "BSD-2-Clause"
    ),
    **dict.fromkeys(("apache", "apache2", "apachelicense", "apachelicense2", "apachelicense20"), "Apache-2.0"),
    **dict.fromkeys(("apachelicenseversion20", "apachesoftwarelicense", "apachesoftwarelicense20"), "Apache-2.0"),
    **dict.fromkeys(("asl20", "apachev2", "apachelicensev20", "apache2license", "apache20license"), "Apache-2.0"),
    **dict.fromkeys(("isclicense", "isclicenseiscl", "iscl"), "ISC"),
    **dict.fromkeys(("psf", "psfl", "psflicense", "pythonsoftwarefoundationlicense"), "PSF-2.0"),
    **dict.fromkeys(("mpl2", "mozillapubliclicense20mpl20", "mozillapubliclicense20"), "MPL-2.0"),
    **dict.fromkeys(("unlicense", "theunlicense", "theunlicenseunlicense"), "Unlicense"),
    **dict.fromkeys(("zopepubliclicense",), "ZPL-2.1"),
    **dict.fromkeys(("gpl", "gnugpl", "gnugeneralpubliclicensegpl"), "GPL-1.0-or-later"),
    **dict.fromkeys(("lgpl", "gnulesserpubliclicenselgpl"), "LGPL-2.0-or-later"),
    **dict.fromkeys(("gplv2", "gpl2", "gnugeneralpubliclicensev2gplv2"), "GPL-2.0-only"),
    **dict.fromkeys(("gplv3", "gpl3", "gnugplv3", "gnugeneralpubliclicensev3gplv3"), "GPL-3.0-only"),
    **dict.fromkeys(("gplv2+", "gnugeneralpubliclicensev2orlatergplv2"), "GPL-2.0-or-later"),
    **dict.fromkeys(("gplv3+", "gnugeneralpubliclicensev3orlatergplv3"), "GPL-3.0-or-later"),
    **dict.fromkeys(("lgplv3", "gnulessergeneralpubliclicensev3lgplv3"), "LGPL-3.0-only"),
    **dict.fromkeys(("gnulessergeneralpubliclicensev3orlaterlgplv3",), "LGPL-3.0-or-later"),
    **dict.fromkeys(("gnulessergeneralpubliclicensev2orlaterlgplv2",), "LGPL-2.0-or-later"),
    **dict.fromkeys(("agplv3", "gnuafferogeneralpubliclicensev3"), "AGPL-3.0-only"),
    **dict.fromkeys(("gnuafferogeneralpubliclicensev3orlateragplv3",), "AGPL-3.0-or-later"),
    **dict.fromkeys(("boostsoftwarelicense10bsl10",), "BSL-1.0"),
    **dict.fromkeys(("zliblibpnglicense", "zliblicense"), "Zlib"),
    **dict.fromkeys(("mitnoattributionlicensemit0",), "MIT-0"),
    **dict.fromkeys(("cc010universalcc010publicdomaindedication", "cc0"), "CC0-1.0"),
    **dict.fromkeys(("eclipsepubliclicense20epl20",), "EPL-2.0"),
    **dict.fromkeys(("historicalpermissionnoticeanddisclaimerhpnd",), "HPND"),
    **dict.fromkeys(("universalpermissivelicenseupl",), "UPL-1.0"),
    **dict.fromkeys(("academicfreelicenseafl",), "AFL-3.0"),
}


def named(name: str) -> str:
    """The SPDX id of the licence that goes by that name, "" for no name that is known: "Apache 2.0" is Apache-2.0."""
    letters = "".join(NOT_WORDS.split(name.lower()))
    return _ALIASES.get(letters + "+" * name.endswith("+"), "") or _ALIASES.get(letters, "")


def known(id: str) -> str:
    """An SPDX id in its own spelling ("MIT" for "mit"), "" for one that is not known."""
    suffix = FAMILY.search(id)
    base = _KNOWN.get(family(id), "")
    return base + suffix[0] if base and suffix else base
