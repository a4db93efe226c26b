"""How Sphinx builds the site: `sh scripts/test.sh -s docs`."""
from __future__ import annotations

import sys
from pathlib import Path

import taskproc

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "taskproc"
author = "The taskproc authors"
release = version = taskproc.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "taskproc_reference", "no_network"]

source_suffix = {".md": "markdown"}
exclude_patterns = ["_extensions"]
myst_heading_anchors = 3
default_role = "py:obj"  # `name` in a docstring is code, and a link if the reference has that name

add_module_names = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Class keywords", "params_style")]
python_display_short_literal_types = True
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "taskproc"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
