"""Several processes of one job: what they do together (`world`), and what becomes of the others when one ends (`peers`)."""

from bajka.distributed.world import World, join_world, local_processes, network_warning

__all__ = ["World", "join_world", "local_processes", "network_warning"]
