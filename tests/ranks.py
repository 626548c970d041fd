"""Several processes that train together, on this machine."""

import multiprocessing
import os
import socket
import traceback

_CONTEXT = multiprocessing.get_context("forkserver")  # the imports are done once, in a process that never trains
_CONTEXT.set_forkserver_preload(
    ["molfusion.runner", "molfusion.encoders", "molfusion.fusion", "molfusion.tasks"]
)


def together(world, function, *arguments, **settings):
    """What `function` returns on each of `world` ranks, in their order; fails if one of them does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Lightning takes a process that finds LOCAL_RANK for one that somebody else has started.
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    answers = _CONTEXT.Queue()
    call = (answers, function, arguments, settings)
    processes = [
        _CONTEXT.Process(target=_rank, args=(rank, {**shared, "LOCAL_RANK": str(rank)}, *call)) for rank in range(world)
    ]
    for process in processes:
        process.start()
    try:
        found = [answers.get(timeout=240) for _ in processes]
    finally:
        for process in processes:
            process.join(timeout=5)
            process.kill()
    failures = [f"rank {rank}:\n{told}" for rank, told, failed in found if failed]
    assert not failures, "\n".join(failures)
    return [told for _, told, _ in sorted(found)]


def _rank(rank, environment, answers, function, arguments, settings):
    os.environ.update(environment)
    import torch

    torch.set_num_threads(1)
    try:
        found = function(*arguments, **settings)
        if torch.distributed.is_initialized():
            torch.distributed.barrier()  # the first rank keeps the others' meeting place until all are done
        answers.put((rank, found, False))
    except BaseException:
        answers.put((rank, traceback.format_exc(), True))
        answers.close()
        answers.join_thread()
        os._exit(1)  # the other rank waits in a collective; whoever started us will end it
