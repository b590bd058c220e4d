"""Public weights on this machine: which are known, where they lie, how they get there and whether they are whole.

Nothing but `pull` and `hub` touches the network, and only when a user asks for it; renderers read folders.
"""
