"""Training rows built from pairs: other wordings of the same question, hand-overs, replay.

Everything here happens before a snapshot is frozen. A built row keeps its pair's answer to the
letter and says in its metadata which pair and which form it comes from.
"""
