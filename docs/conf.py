"""How the manual is built; see https://www.sphinx-doc.org/en/master/usage/configuration.html."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The tree that the manual stands in, not another installed version.
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import atasks_ng  # noqa: E402

project = "atasks_ng"
author = "The atasks_ng authors"
project_copyright = f"2026, {author}"
version = release = atasks_ng.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "directive"]
exclude_patterns = ["_build", "examples"]
highlight_language = "default"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autoclass_content = "class"
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
# Attributes are described in the docstring of their class; once is enough.
napoleon_use_ivar = True

html_theme = "furo"
html_title = "atasks_ng"
html_show_copyright = False
