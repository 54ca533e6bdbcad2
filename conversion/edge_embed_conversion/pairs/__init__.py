"""Train and convert pair models: cross-encoders that score whether two sentences are paraphrases.

``wordnet``, ``edits``, ``minimal`` and ``templates`` generate labelled pairs by rule; ``files``
reads tables of pairs; ``network`` is the cross-encoder, ``training`` the training loop, ``train``
the whole of ``edge-embed train-pairs``; ``conversion`` makes OpenVINO graphs of a checkpoint.
"""
