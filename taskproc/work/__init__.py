"""All that a worker process imports: it takes a payload apart, runs the task, keeps the result, tells how it ended.

May import `base`, `store` and `tasks`, and leaves networkx, click, tqdm, pluggy and diskcache alone: a cluster starts
very many workers. Begin with `worker`, one attempt at one task; `pipe`, `file`, `element` and `subprocess` are
the four ways in which a payload comes to it.
"""
