"""Train a model that reads two sentences together and says whether they mean the same.

``wordnet``, ``edits`` and ``templates`` make minimal pairs by rule; ``files`` reads pairs,
``network`` is the cross-encoder, ``training`` the loop, ``train`` the whole way to a model folder.
"""
