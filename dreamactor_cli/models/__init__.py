"""Neural networks of our own. They know arrays, no files of users; what a checkpoint is, ``*_weights`` knows."""
