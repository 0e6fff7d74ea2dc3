"""The demo: the whole road on this machine, with passages and questions about running ML on AWS."""
