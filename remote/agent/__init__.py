"""What runs on the host: standard library only, Python 3.8 and up, shipped as one zip file.

Nothing here imports `core` or the rest of `remote`; the laptop imports `frames` from here.
"""
