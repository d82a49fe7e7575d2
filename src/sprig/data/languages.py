"""Which language a file is in, by its name: the table that sources and filters go by.

The names are GitHub Linguist's, in lower case, which The Stack uses too. The table has what is programmed, styled or
built with; data and prose (JSON, YAML, XML, Markdown) are not in it: read them with patterns. Where two languages
share an ending, the table decides for the one with more code in public:

- .h is c, though C++ and Objective-C headers end so too: with c++ alone they are not read;
- .m is objective-c, not MATLAB; .pl is perl, not Prolog; .v is verilog, not Coq or V; .fs is f#, not Forth or GLSL;
- .d is d, not Make's dependencies; .cl is opencl, not Common Lisp; .r is r, not Rebol; .ts is typescript, not Qt's XML.

Letter case in an ending means nothing: .F90 is .f90, and .C is c.
"""

import difflib
import posixpath
from collections.abc import Sequence

EXTENSIONS: dict[str, tuple[str, ...]] = {
    "ada": (".adb", ".ads"),
    "assembly": (".asm", ".s"),
    "awk": (".awk", ".gawk"),
    "batchfile": (".bat", ".cmd"),
    "c": (".c", ".h"),
    "c#": (".cs", ".csx"),
    "c++": (".cpp", ".cc", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".h++", ".ipp", ".tpp", ".inl"),
    "clojure": (".clj", ".cljs", ".cljc"),
    "cmake": (".cmake",),
    "coffeescript": (".coffee",),
    "common lisp": (".lisp", ".lsp", ".asd"),
    "crystal": (".cr",),
    "css": (".css",),
    "cuda": (".cu", ".cuh"),
    "cython": (".pyx", ".pxd", ".pxi"),
    "d": (".d", ".di"),
    "dart": (".dart",),
    "dockerfile": (".dockerfile",),
    "elixir": (".ex", ".exs"),
    "elm": (".elm",),
    "emacs lisp": (".el",),
    "erlang": (".erl", ".hrl"),
    "f#": (".fs", ".fsi", ".fsx"),
    "fortran": (".f", ".for", ".f77", ".f90", ".f95", ".f03", ".f08"),
    "glsl": (".glsl", ".vert", ".frag", ".geom", ".comp"),
    "go": (".go",),
    "groovy": (".groovy", ".gradle", ".gvy"),
    "haskell": (".hs", ".hsc", ".lhs"),
    "hcl": (".hcl", ".tf", ".tfvars"),
    "html": (".html", ".htm", ".xhtml"),
    "java": (".java",),
    "javascript": (".js", ".jsx", ".mjs", ".cjs"),
    "julia": (".jl",),
    "kotlin": (".kt", ".kts"),
    "less": (".less",),
    "lua": (".lua",),
    "makefile": (".mk", ".mak"),
    "meson": (),
    "nim": (".nim", ".nims", ".nimble"),
    "nix": (".nix",),
    "objective-c": (".m",),
    "objective-c++": (".mm",),
    "ocaml": (".ml", ".mli", ".mll", ".mly"),
    "opencl": (".cl",),
    "pascal": (".pas", ".pp", ".dpr", ".lpr"),
    "perl": (".pl", ".pm", ".psgi"),
    "php": (".php", ".phtml", ".php5"),
    "powershell": (".ps1", ".psm1", ".psd1"),
    "protocol buffer": (".proto",),
    "python": (".py", ".pyi", ".pyw"),
    "r": (".r",),
    "racket": (".rkt",),
    "ruby": (".rb", ".rake", ".gemspec", ".ru"),
    "rust": (".rs",),
    "sass": (".sass",),
    "scala": (".scala", ".sbt", ".sc"),
    "scheme": (".scm", ".ss", ".sld"),
    "scss": (".scss",),
    "shell": (".sh", ".bash", ".zsh", ".ksh", ".fish", ".bats"),
    "solidity": (".sol",),
    "sql": (".sql",),
    "starlark": (".bzl", ".star", ".bazel"),
    "svelte": (".svelte",),
    "swift": (".swift",),
    "systemverilog": (".sv", ".svh"),
    "tcl": (".tcl", ".tk"),
    "tex": (".tex", ".sty"),
    "typescript": (".ts", ".tsx", ".mts", ".cts"),
    "verilog": (".v", ".vh"),
    "vhdl": (".vhd", ".vhdl"),
    "vim script": (".vim",),
    "visual basic .net": (".vb",),
    "vue": (".vue",),
    "zig": (".zig",),
}
"""The file name endings of each language."""

NAMES: dict[str, tuple[str, ...]] = {
    "cmake": ("CMakeLists.txt",),
    "dockerfile": ("Dockerfile", "Containerfile"),
    "groovy": ("Jenkinsfile",),
    "makefile": ("Makefile", "makefile", "GNUmakefile"),
    "meson": ("meson.build", "meson_options.txt"),
    "python": ("SConstruct", "SConscript", "wscript", "Snakefile"),
    "r": (".Rprofile",),
    "ruby": ("Rakefile", "Gemfile", "Vagrantfile", "Podfile", "Brewfile", "Guardfile"),
    "shell": (".bashrc", ".bash_profile", ".profile", ".zshrc", "PKGBUILD", "APKBUILD"),
    "starlark": ("BUILD", "WORKSPACE"),
    "vim script": (".vimrc",),
}
"""The names of files that say by no ending which language they are in; letter case counts."""

_BY_EXTENSION = {extension: language for language, extensions in EXTENSIONS.items() for extension in extensions}
_ALIASES = {
    **{"csharp": "c#", "fsharp": "f#", "golang": "go", "objc": "objective-c", "terraform": "hcl"},
    **{"python3": "python", "py3": "python", "viml": "vim script", "bash": "shell"},
}
_BY_NAME = {name: language for language, names in NAMES.items() for name in names}


def language_of(path: str) -> str:
    """The language of the file at path, by its name or else its ending; "" for a file that is in none of them."""
    name = posixpath.basename(path)
    return _BY_NAME.get(name) or _BY_EXTENSION.get(posixpath.splitext(name)[1].lower(), "")


def chosen(languages: Sequence[str]) -> frozenset[str]:
    """The languages named, all of the table if none is; ValueError, with the nearest name, for an unknown one."""
    for language in languages:
        if language not in EXTENSIONS:
            near = _nearest(language.lower())
            hint = f"Did you mean {near!r}?" if near else f"There are: {', '.join(EXTENSIONS)}."
            raise ValueError(f"{language!r:.80} is no language of the table. {hint}")
    return frozenset(languages or EXTENSIONS)


def language_named(name: str) -> str:
    """The language of this name in lower case, or of this other name ("golang") or ending ("cpp"); "" for none."""
    return name if name in EXTENSIONS else _ALIASES.get(name) or language_of(f"x.{name}")


def _nearest(name: str) -> str:
    """The language that someone means who calls it so, be it by a slip."""
    return language_named(name) or "".join(difflib.get_close_matches(name, EXTENSIONS, 1))
