"""The documentation as a site: the Markdown of the repository, and references made from the source.

    python -m mkdocs build --strict -f tools/docs_site/mkdocs.yml        # into build/site
    python -m mkdocs serve -f tools/docs_site/mkdocs.yml                 # http://127.0.0.1:8000

Links, anchors and docstrings that lead nowhere are errors. The pages load nothing from elsewhere.
"""
