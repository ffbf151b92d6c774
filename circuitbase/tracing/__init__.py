"""Models, dictionaries, the local replacement model and attribution on it.

`options`, `identities`, `tokenizing` and `plan`, with what they use, import neither torch nor transformers; everything
else may.
"""
